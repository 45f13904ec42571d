# fish completion for anyclawd.

complete -c anyclawd -f
complete -c anyclawd -s c -l config -r -F -d 'the configuration'
complete -c anyclawd -l state-dir -x -a '(__fish_complete_directories)' -d 'what outlives a run'
complete -c anyclawd -l runtime-dir -x -a '(__fish_complete_directories)' -d 'where admin.sock is made'
complete -c anyclawd -l log-level -x -a 'debug info warn error off' -d 'what is logged'
complete -c anyclawd -l version -d 'print the version'
complete -c anyclawd -s h -l help -d 'print a summary of the options'
