"""`complete -- WORD...`: what the last word of a command line could become, for shells.

The completions in `packaging/completions/` ask for it; it is no verb for people. The other words
are those before it, without `anyclawctl` itself. Each line is a candidate, a tab and what it means;
the line `:files` alone says that a file is wanted, and `:directories` that a directory is. Whatever
goes wrong, the answer is that there is nothing, within `_PATIENCE_S`: a shell waits for it, and
prints what it is told.

What a verb takes is read off its own parser, so that nothing is written down a second time; which
names go where an argument is missing is decided by its metavar.
"""

from __future__ import annotations

import os
from argparse import REMAINDER, Action, ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module

from anyclawd.cli.arguments import add_global_options
from anyclawd.cli.complete.line import Line
from anyclawd.client.client import Client, find_socket
from anyclawd.client.exchange import NO_DAEMON, NOT_PERMITTED, ClientError

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from anyclawd.model.value import Json

#: How long a daemon may take for an answer.
_PATIENCE_S = 1.0

#: What is printed where the shell is to complete the name of a file, or of a directory.
_FILES, _DIRECTORIES = ":files", ":directories"

#: Verbs that mean another configuration than the daemon's where the line names one.
_OF_CONFIGURATIONS = ("analyze", "edit", "graph", "set-property")

#: Verbs for anything that a drop-in can be for.
_OF_DROPINS = ("edit", "set-property")

_HELP = "show this help message and exit"

_LONGEST_MEANING = 100


class _Recorder(ArgumentParser):
    """A parser that parses nothing, and tells what it was given."""

    def __init__(self, **kwargs: Json) -> None:
        self.actions: list[Action] = []
        super().__init__(**{**kwargs, "add_help": False})

    def add_argument(self, *args: Json, **kwargs: Json) -> Action:
        action = super().add_argument(*args, **kwargs)
        self.actions.append(action)
        return action

    def add_mutually_exclusive_group(self, **_kwargs: Json) -> _Recorder:  # type: ignore[override]  # it is asked for add_argument alone
        return self

    def add_subparsers(self, **kwargs: Json) -> _SubParsersAction[_Recorder]:  # type: ignore[override]  # of its own kind
        nested = super().add_subparsers(**kwargs)
        self.actions.append(nested)
        return nested


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("words", nargs=REMAINDER, metavar="WORD")


def run(options: Namespace) -> int:
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    *before, last = words or [""]
    if options.socket:
        before = ["-s", options.socket, *before]
    told: set[str] = set()
    for text, meaning in _candidates(before, last):
        if text not in told and (text.startswith(last) or text in (_FILES, _DIRECTORIES)):
            told.add(text)
            short = " ".join(meaning.split())[:_LONGEST_MEANING]
            if text.isprintable():  # a shell would take anything else for something of its own
                print(f"{text}\t{short}" if short else text)
    return 0


def _candidates(before: list[str], last: str) -> Iterable[tuple[str, str]]:
    from anyclawd.cli.main import VERBS, verb_position

    position = verb_position(before)
    parser = _Recorder()
    add_global_options(parser)
    if position is None:
        parser.add_argument("--version", action="store_true", help="print versions and exit")
        parser.add_argument("-h", "--help", action="store_true", help=_HELP)
        return _of_words(parser, before, Line(before, (), (), last), dict(VERBS))
    verb = before[position]
    if verb not in VERBS:
        return ()
    module = import_module(f"anyclawd.cli.cmd_{verb.replace('-', '_')}")
    parser.add_argument("-h", "--help", action="store_true", help=_HELP)
    module.configure(parser)
    words = before[:position] + before[position + 1 :]
    return _of_words(parser, words, Line(before, (verb,), (), last), {})


def _of_words(
    parser: _Recorder, words: list[str], line: Line, verbs: dict[str, str]
) -> Iterable[tuple[str, str]]:
    """What the last word can become behind words that this parser would take."""
    options = {name: action for action in parser.actions for name in action.option_strings}
    arguments = [action for action in parser.actions if not action.option_strings]
    given: list[str] = []
    waiting: Action | None = None  # an option whose value comes next
    for number, word in enumerate(words):
        if waiting is not None:
            waiting = None
        elif word.startswith("-") and word != "-":
            action = options.get(word)
            waiting = action if action is not None and action.nargs != 0 else None
        else:
            nested = _at(arguments, len(given))
            if isinstance(nested, _SubParsersAction) and word in nested.choices:
                below = Line(line.words, (*line.verbs, word), (), line.last)
                return _of_words(nested.choices[word], words[number + 1 :], below, {})
            given.append(word)
    line = Line(line.words, line.verbs, given, line.last)
    if waiting is not None:
        return _values(waiting, line)
    if line.last.startswith("-"):
        return _of_option(options, line)
    argument = _at(arguments, len(given))
    if argument is None:
        return verbs.items()
    return (pair for pair in _values(argument, line) if pair[0] not in given)


def _of_option(options: dict[str, Action], line: Line) -> Iterable[tuple[str, str]]:
    """What an option that has begun can become, or its value in the same word."""
    name, is_given, begun = line.last.partition("=")
    if not is_given:
        return [(name, action.help or "") for name, action in options.items()]
    if name not in options:
        return ()
    values = _values(options[name], Line(line.words, line.verbs, line.given, begun))
    whole = (_FILES, _DIRECTORIES)
    return [(text if text in whole else f"{name}={text}", meaning) for text, meaning in values]


def _at(arguments: Sequence[Action], taken: int) -> Action | None:
    """The argument that a word is for, behind so many; the last one may take any number."""
    if taken < len(arguments):
        return arguments[taken]
    takes_more = bool(arguments) and arguments[-1].nargs in ("*", "+")
    return arguments[-1] if takes_more else None


def _values(action: Action, line: Line) -> Iterable[tuple[str, str]]:
    if isinstance(action, _SubParsersAction):
        return [(name, own.description or "") for name, own in action.choices.items()]
    if action.choices is not None:
        return [(str(choice), "") for choice in action.choices]
    match wanted := str(action.metavar or action.option_strings[-1]):
        case "PATH" if line.last.startswith("@"):
            from anyclawd.cli.complete import offline

            return offline.deployments("/run")
        case "FILE" | "PATH":
            return [(_FILES, "")]
        case "DIR":
            return [(_DIRECTORIES, "")]
        case "SIGNAL":
            from signal import Signals

            return [(signal.name, "") for signal in Signals]
        case "WHEN":
            return [(when, "") for when in ("today", "yesterday", "-10min", "-1h", "-1d")]
        case "KEY=VALUE":
            from anyclawd.cli.complete import properties

            return properties.candidates(line.given[0], line.last)
        case _:
            return _names(wanted, line)


def _names(wanted: str, line: Line) -> Iterator[tuple[str, str]]:
    """Names that the daemon knows, or the configuration where no daemon answers or is meant."""
    from anyclawd.cli.complete import offline, online

    client = Client(_socket(line), _PATIENCE_S)
    verb = line.verbs[0]
    if verb not in _OF_CONFIGURATIONS or line.value_of("-c", "--config") is None:
        try:
            yield from online.names(wanted, line, client)
            if verb in _OF_DROPINS:  # for what is no unit, as templates are, or not up to now
                yield from offline.names(wanted, online.config_of(client))
        except ClientError as error:
            if error.exit_code not in (NO_DAEMON, NOT_PERMITTED):
                return
        else:
            return
    yield from offline.names(wanted, line.config(os.environ))


def _socket(line: Line) -> str:
    """The socket that the line names, else the usual one."""
    return find_socket(line.value_of("-s", "--socket"), os.environ)
