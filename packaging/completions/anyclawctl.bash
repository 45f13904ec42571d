# bash completion for anyclawctl. All there is to complete is asked of `anyclawctl complete`.

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
  mapfile -t found < <("$1" complete -- "${words[@]:1}" 2>/dev/null)
  case ${found[0]-} in
    :files) compopt -o default; return ;;
    :directories) compopt -o dirnames; return ;;
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
    [[ $line == *= ]] && compopt -o nospace  # its value comes next
    printf -v quoted %q "${line#"$cut"}"  # names of chats are chosen by strangers
    COMPREPLY+=("$quoted")
  done
}

complete -F _anyclawctl anyclawctl
