"""`chat`: a prompt loop. Ctrl-C cancels the turn that runs, Ctrl-D or `/exit` ends the talk."""

import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import turn
from anyclawd.cli.daemon import connect
from anyclawd.client.client import Client
from anyclawd.client.exchange import NO_DAEMON, ClientError
from anyclawd.model.value import Json

#: How the keys of sessions begin that belong to a caller; hanging up ends their turns.
_OWN = "@anyclawctl:"


def configure(parser: ArgumentParser) -> None:
    turn.configure(parser)


def run(options: Namespace) -> int:
    client = connect(options)
    client.get("/v1/status")
    while (text := _line()) not in (None, "/exit"):
        if text:
            _turn(client, turn.message(options, text), options)
    return 0


def _line() -> str | None:
    """The next line that is typed, or None at the end; on a terminal with line editing."""
    try:
        if sys.stdin.isatty():
            import readline  # noqa: F401 - gives input() its editing and history

            return input("> ").strip()
        return input().strip()
    except EOFError:
        return None


def _turn(client: Client, body: Json, options: Namespace) -> None:
    """One turn; a refusal is told and the talk goes on, unless there is nobody to talk to."""
    try:
        _converse(client, body, options)
    except ClientError as error:
        if error.exit_code == NO_DAEMON:
            raise
        print(f"anyclawctl: {error}", file=sys.stderr)


def _converse(client: Client, body: Json, options: Namespace) -> None:
    """One turn. Ctrl-C hangs up, which ends a turn of our own; that of a chat has to be told."""
    try:
        turn.converse(client, body, as_json=options.json)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        if options.channel or not (options.session or _OWN).startswith(_OWN):
            cancel = {**body, "content": "/cancel"}
            turn.converse(client, cancel, as_json=options.json)
