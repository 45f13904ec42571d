"""Entry point of `anyclawctl`: finds the verb, imports its module, turns errors into statuses.

A verb is a module `cmd_<verb>` with two functions: `configure(parser)` adds its arguments, and
`run(options)` does the work and returns the exit status. Nothing else is imported here, since a
`status` shall cost little more than the interpreter's own start. The global options may stand
before or after the verb.
"""

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator
from importlib import import_module

from anyclawd.cli.arguments import Help, add_global_options, terminal_width
from anyclawd.client.exchange import FAILED, USAGE_ERROR, ClientError

#: To what end, verb, and what it does; in the order of the help text.
GROUPS = {
    "look": {
        "status": "show the daemon and its units, or some units in detail",
        "list-units": "list units with their states",
        "list-dependencies": "show what a unit pulls in, or with --reverse what pulls it in",
        "list-jobs": "list the jobs that wait or run",
        "explain": "tell why a unit is in the state it is in, and what happens next",
        "show": "print everything known of a unit",
        "cat": "print a unit's compiled settings as TOML",
        "is-active": "tell by exit status whether one of the units is active",
        "is-failed": "tell by exit status whether one of the units has failed",
        "top": "show what units use, again and again",
        "logs": "print what units wrote to stderr, and their state changes",
        "graph": "draw the unit graph",
        "analyze": "tell where the time of a boot went, lint the plan, predict the next boot",
    },
    "control": {
        "start": "start units and wait for the result",
        "stop": "stop units and wait for the result; they stay stopped until started by hand",
        "restart": "stop and start units and wait for the result",
        "try-restart": "restart those units that are up",
        "reload": "take up a changed configuration, or let units reload theirs",
        "set-property": "put settings of a unit into a drop-in, and take them up",
        "edit": "edit a drop-in of a unit, and take it up",
        "reset-failed": "forget that units have failed, and their start limits",
        "cancel": "take back jobs that wait or run",
        "wait": "wait until units have ended; the exit status is theirs",
        "kill": "send a signal to the processes of units",
    },
    "talk": {
        "send": "send a message to an agent and print its answer",
        "chat": "talk to an agent",
        "notify": "send a text to a chat, without an agent",
    },
    "care for conversations": {
        "sessions": "list conversations, look into them, control, export and erase them",
        "message": "tell what has become of a message",
        "pair": "let in peers that were given a code, and take that back",
        "login": "log in to an agent, or list how one can",
        "logout": "log out of an agent",
    },
    "configure": {
        "validate": "check a configuration, without a daemon",
        "doctor": "tell what is wrong with this installation, and what to do about it",
        "schema": "print the JSON Schema of the configuration",
        "init": "write a first configuration",
        "demo": "boot a small system, send it a message, show what happened",
        "run": "run the daemon in the foreground",
    },
}

#: Verb to what it does.
VERBS = {verb: text for verbs in GROUPS.values() for verb, text in verbs.items()}

#: What shells ask, and nobody types.
HIDDEN = ("complete",)

INTERRUPTED = 130

#: Where the list of verbs tells what they do.
_INDENT = 21


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is for `sys.exit`."""
    words = sys.argv[1:] if arguments is None else arguments
    _open_streams()
    try:
        status = _dispatch(words)
        sys.stdout.flush()
    except ClientError as error:
        for line in (*error.findings, f"anyclawctl: {error}"):
            print(line, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return FAILED
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"anyclawctl: {place}{error.strerror or error}", file=sys.stderr)
        _flush_or_discard()
        return FAILED
    return status


def _open_streams() -> None:
    """Put the null device where a standard stream is closed; what cannot be encoded is spelled."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - quick to import, open until the end
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # real streams


def _dispatch(words: list[str]) -> int:
    position = verb_position(words)
    if position is None:
        return _without_verb(words)
    verb = words[position]
    if verb not in VERBS and verb not in HIDDEN:
        print(f"anyclawctl: no verb {verb!r}{_nearest(verb)}; see --help", file=sys.stderr)
        return USAGE_ERROR
    module = import_module(f"anyclawd.cli.cmd_{verb.replace('-', '_')}")
    parser = ArgumentParser(
        prog=f"anyclawctl {verb}",
        description=f"{VERBS.get(verb, 'complete words')}.",
        formatter_class=Help,
    )
    add_global_options(parser)
    module.configure(parser)
    options = parser.parse_args(joined(words[:position] + words[position + 1 :]))
    status: int = module.run(options)
    return status


def verb_position(words: list[str]) -> int | None:
    """The index of the verb: the first word that is no option and no option's value."""
    takes_value = False
    for position, word in enumerate(words):
        if takes_value:
            takes_value = False
        elif not word.startswith("-") or word == "-":
            return position
        else:
            takes_value = word in ("-s", "--socket", "-c", "--config")
    return None


def joined(words: list[str]) -> list[str]:
    """`--since -1h` as the one word `--since=-1h`: argparse takes `-1h` for an option."""
    found: list[str] = []
    for word in words:
        is_value = word.startswith("-") and word[1:2].isdecimal() and not word[1:].isdecimal()
        if is_value and found and found[-1].startswith("--") and "=" not in found[-1]:
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def _without_verb(words: list[str]) -> int:
    parser = _overview()
    parser.add_argument("--version", action="store_true", help="print versions and exit")
    options: Namespace = parser.parse_args(words)
    if options.version:
        from anyclawd.cli import version

        return version.run(options)
    parser.print_help(sys.stderr)
    return USAGE_ERROR


def _overview() -> ArgumentParser:
    class Verbatim(Help, RawDescriptionHelpFormatter):
        """Keeps the list of verbs as it is."""

    parser = ArgumentParser(
        prog="anyclawctl",
        usage="anyclawctl [-s PATH] [-c FILE] [--json] VERB ...",
        description="Control anyclawd, the supervisor and gateway for AI agents.",
        epilog="\n".join(_verbs()),
        formatter_class=Verbatim,
    )
    add_global_options(parser)
    return parser


def _verbs() -> Iterator[str]:
    """A list of them, as wide as the terminal."""
    from textwrap import wrap

    width = max(terminal_width() - _INDENT, _INDENT)
    for end, verbs in GROUPS.items():
        yield f"to {end}:"
        for verb, text in verbs.items():
            first, *rest = wrap(text, width)
            yield f"  {verb:{_INDENT - 3}} {first}"
            yield from (f"{'':{_INDENT}}{line}" for line in rest)
        yield ""
    yield "'anyclawctl VERB --help' tells more, and anyclawctl(1) all."


def _nearest(verb: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(verb, VERBS, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _flush_or_discard() -> None:
    """Leave nothing to the interpreter, whose own try at it would end with exit status 120."""
    try:
        sys.stdout.flush()
    except OSError:
        _discard_output()


def _discard_output() -> None:
    """Leave the rest unwritten: whoever read it has gone, for instance `| head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
