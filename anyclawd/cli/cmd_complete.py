"""`complete -- WORD...`: what the last word of a command line could become, for shells.

The completions in `packaging/completions/` ask for it; it is no verb for people. The other words
are those before it, without `anyclawctl` itself. Each line is a candidate, a tab and what it means;
the line `:files` alone says that a file is wanted. Whatever goes wrong, the answer is that there is
nothing, within `_PATIENCE_S`: a shell waits for it, and prints what it is told.

What a verb takes is read off its own parser, so that nothing is written down a second time; which
names go where an argument is missing is decided by its metavar.
"""

from __future__ import annotations

import os
from argparse import REMAINDER, Action, ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import pairwise

from anyclawd.cli.arguments import add_global_options
from anyclawd.client.client import Client, find_socket, query, quote
from anyclawd.client.exchange import ClientError

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from anyclawd.model.value import Json

#: How long a daemon may take for an answer.
_PATIENCE_S = 1.0

#: What is printed where the shell is to complete the name of a file.
_FILES = ":files"

_FILE_METAVARS = ("FILE", "PATH", "DIR")


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
    for text, meaning in _candidates(before, last):
        if text.startswith(last) or text == _FILES:
            told = " ".join(meaning.split())
            if text.isprintable():  # a shell would take anything else for something of its own
                print(f"{text}\t{told}" if told else text)
    return 0


def _candidates(before: list[str], last: str) -> Iterable[tuple[str, str]]:
    from anyclawd.cli.main import VERBS, verb_position

    position = verb_position(before)
    parser = _Recorder()
    add_global_options(parser)
    if position is None:
        return _of_words(parser, before, last, dict(VERBS), before)
    if before[position] not in VERBS:
        return ()
    module = import_module(f"anyclawd.cli.cmd_{before[position].replace('-', '_')}")
    module.configure(parser)
    return _of_words(parser, before[:position] + before[position + 1 :], last, {}, before)


def _of_words(
    parser: _Recorder, words: list[str], last: str, verbs: dict[str, str], line: list[str]
) -> Iterable[tuple[str, str]]:
    """What the last word can become behind words that this parser would take."""
    options = _options(parser)
    arguments = [action for action in parser.actions if not action.option_strings]
    taken = 0
    waiting: Action | None = None  # an option whose value comes next
    for number, word in enumerate(words):
        if waiting is not None:
            waiting = None
        elif word.startswith("-") and word != "-":
            action = options.get(word)
            waiting = action if action is not None and action.nargs != 0 else None
        else:
            nested = _at(arguments, taken)
            if isinstance(nested, _SubParsersAction) and word in nested.choices:
                return _of_words(nested.choices[word], words[number + 1 :], last, {}, line)
            taken += 1
    if waiting is not None:
        return _values(waiting, line, last)
    if last.startswith("-"):
        return _of_option(options, last, line)
    argument = _at(arguments, taken)
    return verbs.items() if argument is None else _values(argument, line, last)


def _of_option(options: dict[str, Action], last: str, line: list[str]) -> Iterable[tuple[str, str]]:
    """What an option that has begun can become, or its value in the same word."""
    name, is_given, begun = last.partition("=")
    if not is_given:
        return [(name, action.help or "") for name, action in options.items()]
    if name not in options:
        return ()
    values = _values(options[name], line, begun)
    return [(text if text == _FILES else f"{name}={text}", meaning) for text, meaning in values]


def _options(parser: _Recorder) -> dict[str, Action]:
    return {name: action for action in parser.actions for name in action.option_strings}


def _at(arguments: Sequence[Action], taken: int) -> Action | None:
    """The argument that a word is for, behind so many; the last one may take any number."""
    if taken < len(arguments):
        return arguments[taken]
    takes_more = bool(arguments) and arguments[-1].nargs in ("*", "+")
    return arguments[-1] if takes_more else None


def _values(action: Action, line: list[str], last: str) -> Iterable[tuple[str, str]]:
    if isinstance(action, _SubParsersAction):
        return [(name, own.description or "") for name, own in action.choices.items()]
    if action.choices is not None:
        return [(str(choice), "") for choice in action.choices]
    if action.metavar in _FILE_METAVARS:
        return [(_FILES, "")]
    if action.metavar == "SIGNAL":
        from signal import Signals

        return [(signal.name, "") for signal in Signals]
    return _names(str(action.metavar), line, last)


def _names(metavar: str, line: list[str], last: str) -> Iterator[tuple[str, str]]:
    """Names that the daemon knows; none where it cannot be asked, or knows none like this."""
    client = Client(_socket(line), _PATIENCE_S)
    try:
        match metavar:
            case "UNIT":
                for unit in client.get("/v1/units")["units"]:
                    yield unit["name"], f"{unit['active']} ({unit['sub']})"
            case "SESSION":
                for row in client.get(f"/v1/sessions?session={quote(_beginning(last))}")[
                    "sessions"
                ]:
                    yield row["session"], row["title"] or row["state"]
            case "AGENT":
                for agent in client.get("/health")["agents"]:
                    yield agent["name"], "connected" if agent["connected"] else "not connected"
            case "METHOD":
                target = f"/v1/agents/{quote(line[-1])}/authenticate"
                for method in client.get(target)["methods"]:
                    yield method["id"], method["name"]
            case "CHANNEL":
                units = client.get(f"/v1/units?{query([('unit', '*.channel')])}")["units"]
                for unit in units:
                    yield unit["name"].removesuffix(".channel"), unit["active"]
            case "JOB":
                for job in client.get("/v1/jobs")["jobs"]:
                    yield str(job["id"]), f"{job['type']} of {job['unit']}"
            case "CODE":
                for code in client.get("/v1/pairing")["codes"]:
                    yield code["code"], f"{code['channel']}:{code['kind']}:{code['peer']}"
            case "PEER":
                for grant in client.get("/v1/pairing")["grants"]:
                    yield f"{grant['channel']}:{grant['kind']}:{grant['peer']}", ""
            case _:
                pass  # a text, a number: nothing that anybody could know
    except ClientError:
        return


def _beginning(word: str) -> str:
    """A pattern for all that begins with a word: there may be thousands of sessions. glob(7)."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in word) + "*"


def _socket(line: list[str]) -> str:
    """The socket that the line names, else the usual one."""
    given = None
    for option, value in pairwise(line):
        if option in ("-s", "--socket"):
            given = os.path.expanduser(value)  # noqa: PTH111 - quick to import
    return find_socket(given, os.environ)
