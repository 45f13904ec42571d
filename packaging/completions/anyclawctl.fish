# fish completion for anyclawctl. All there is to complete is asked of `anyclawctl complete`.

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

complete -c anyclawctl -f -a '(__anyclawctl_complete)'
