# fish completion for anyclawctl. What comes after a verb is asked of `anyclawctl complete`.

function __anyclawctl_complete
    set -l words (commandline -opc)
    set -l found (command $words[1] complete -- $words[2..-1] (commandline -ct) 2>/dev/null)
    switch "$found[1]"
        case :files
            __fish_complete_path (commandline -ct)
        case :directories
            __fish_complete_directories (commandline -ct)
        case '*'
            printf '%s\n' $found
    end
end

complete -c anyclawctl -f
complete -c anyclawctl -n 'not __fish_use_subcommand' -a '(__anyclawctl_complete)'
complete -c anyclawctl -n __fish_use_subcommand -a status -d 'show the daemon and its units, or some units in detail'
complete -c anyclawctl -n __fish_use_subcommand -a list-units -d 'list units with their states'
complete -c anyclawctl -n __fish_use_subcommand -a list-dependencies -d 'show what a unit pulls in, or with --reverse what pulls it in'
complete -c anyclawctl -n __fish_use_subcommand -a list-jobs -d 'list the jobs that wait or run'
complete -c anyclawctl -n __fish_use_subcommand -a explain -d 'tell why a unit is in the state it is in, and what happens next'
complete -c anyclawctl -n __fish_use_subcommand -a show -d 'print everything known of a unit'
complete -c anyclawctl -n __fish_use_subcommand -a cat -d 'print a unit\'s compiled settings as TOML'
complete -c anyclawctl -n __fish_use_subcommand -a start -d 'start units and wait for the result'
complete -c anyclawctl -n __fish_use_subcommand -a stop -d 'stop units and wait for the result; they stay stopped until started by hand'
complete -c anyclawctl -n __fish_use_subcommand -a restart -d 'stop and start units and wait for the result'
complete -c anyclawctl -n __fish_use_subcommand -a try-restart -d 'restart those units that are up'
complete -c anyclawctl -n __fish_use_subcommand -a reload -d 'take up a changed configuration, or let units reload theirs'
complete -c anyclawctl -n __fish_use_subcommand -a cancel -d 'take back jobs that wait or run'
complete -c anyclawctl -n __fish_use_subcommand -a wait -d 'wait until units have ended; the exit status is theirs'
complete -c anyclawctl -n __fish_use_subcommand -a kill -d 'send a signal to the processes of units'
complete -c anyclawctl -n __fish_use_subcommand -a reset-failed -d 'forget that units have failed, and their start limits'
complete -c anyclawctl -n __fish_use_subcommand -a is-active -d 'tell by exit status whether one of the units is active'
complete -c anyclawctl -n __fish_use_subcommand -a is-failed -d 'tell by exit status whether one of the units has failed'
complete -c anyclawctl -n __fish_use_subcommand -a set-property -d 'put settings of a unit into a drop-in, and take them up'
complete -c anyclawctl -n __fish_use_subcommand -a edit -d 'edit a drop-in of a unit, and take it up'
complete -c anyclawctl -n __fish_use_subcommand -a top -d 'show what units use, again and again'
complete -c anyclawctl -n __fish_use_subcommand -a logs -d 'print what units wrote to stderr, and their state changes'
complete -c anyclawctl -n __fish_use_subcommand -a graph -d 'draw the unit graph'
complete -c anyclawctl -n __fish_use_subcommand -a analyze -d 'tell where the time of a boot went, lint the plan, predict the next boot'
complete -c anyclawctl -n __fish_use_subcommand -a sessions -d 'list conversations, look into them, control, export and erase them'
complete -c anyclawctl -n __fish_use_subcommand -a message -d 'tell what has become of a message'
complete -c anyclawctl -n __fish_use_subcommand -a pair -d 'let in peers that were given a code, and take that back'
complete -c anyclawctl -n __fish_use_subcommand -a login -d 'log in to an agent, or list how one can'
complete -c anyclawctl -n __fish_use_subcommand -a logout -d 'log out of an agent'
complete -c anyclawctl -n __fish_use_subcommand -a send -d 'send a message to an agent and print its answer'
complete -c anyclawctl -n __fish_use_subcommand -a notify -d 'send a text to a chat, without an agent'
complete -c anyclawctl -n __fish_use_subcommand -a chat -d 'talk to an agent'
complete -c anyclawctl -n __fish_use_subcommand -a validate -d 'check a configuration, without a daemon'
complete -c anyclawctl -n __fish_use_subcommand -a doctor -d 'tell what is wrong with this installation, and what to do about it'
complete -c anyclawctl -n __fish_use_subcommand -a schema -d 'print the JSON Schema of the configuration'
complete -c anyclawctl -n __fish_use_subcommand -a init -d 'write a first configuration'
complete -c anyclawctl -n __fish_use_subcommand -a demo -d 'boot a small system, send it a message, show what happened'
complete -c anyclawctl -n __fish_use_subcommand -a run -d 'run the daemon in the foreground'
