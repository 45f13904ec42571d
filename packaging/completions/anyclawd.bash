# bash completion for anyclawd.

_anyclawd() {
  COMPREPLY=()
  case $3 in
    -c | --config) compopt -o default ;;
    --state-dir | --runtime-dir) compopt -o dirnames ;;
    --log-level) mapfile -t COMPREPLY < <(compgen -W "debug info warn error off" -- "$2") ;;
    *)
      local options="-c --config --state-dir --runtime-dir --log-level --version -h --help"
      mapfile -t COMPREPLY < <(compgen -W "$options" -- "$2")
      ;;
  esac
}

complete -F _anyclawd anyclawd
