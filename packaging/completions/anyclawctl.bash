# bash completion for anyclawctl. What comes after a verb is asked of `anyclawctl complete`.

_anyclawctl_verbs() {
  local verbs="
    status list-units list-dependencies list-jobs explain show cat start stop restart
    try-restart reload cancel wait kill reset-failed is-active is-failed set-property edit top
    logs graph analyze sessions message pair login logout send notify chat validate schema init
    demo run
  "
  mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$1")
}

# The words up to the cursor as the shell would run them, into `words`: readline cuts them at colons
# and at signs, which session keys have in them.
_anyclawctl_words() {
  local rest=${COMP_LINE:0:COMP_POINT} index piece
  words=()
  for ((index = 0; index <= COMP_CWORD; index++)); do
    piece=${COMP_WORDS[index]}
    [[ $rest == *"$piece"* ]] || piece=${rest##*[[:space:]]}  # the cursor is within it
    if ((index == 0)) || [[ $rest == [[:space:]]* ]]; then
      words+=("$piece")
    else
      words[-1]+=$piece
    fi
    rest=${rest#*"$piece"}
  done
}

_anyclawctl() {
  local words found line last quoted sign cut=
  COMPREPLY=()
  _anyclawctl_words
  last=${words[-1]}
  if ((${#words[@]} == 2)) && [[ $last != -* ]]; then
    _anyclawctl_verbs "$last"
    return
  fi
  mapfile -t found < <("$1" complete -- "${words[@]:1}" 2>/dev/null)
  case ${found[0]-} in
    :files) compopt -o default; return ;;
    :directories) compopt -o dirnames; return ;;
    *=) compopt -o nospace ;;  # a value comes next
  esac
  # Readline replaces only what is behind the last of the signs that it cuts words at, and @ itself.
  for sign in : = @; do
    if [[ $COMP_WORDBREAKS == *"$sign"* && $last == *"$sign"* ]]; then
      line=${last%"${last##*"$sign"}"}
      [[ $sign == @ ]] && line=${line%@}
      ((${#line} > ${#cut})) && cut=$line
    fi
  done
  for line in "${found[@]}"; do
    line=${line%%$'\t'*}
    printf -v quoted %q "${line#"$cut"}"  # names of chats are chosen by strangers
    COMPREPLY+=("$quoted")
  done
}

complete -F _anyclawctl anyclawctl
