"""One message to an agent: print its answer as it comes, ask what it asks.

The answer's text goes to stdout and nothing else does; thoughts, tool calls and questions go to
stderr, so that the output of `send` can be piped.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from anyclawd.cli import render
from anyclawd.cli.render import Paint, clean
from anyclawd.client.client import Client, quote
from anyclawd.client.exchange import USAGE_ERROR, ClientError
from anyclawd.model.value import Json


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--channel", metavar="CHANNEL", help="speak in a chat of this channel, which sees it too"
    )
    parser.add_argument("--peer", help="the chat's id; without --channel, a name for this talk")
    parser.add_argument(
        "--agent", metavar="AGENT", help="the agent to speak to, where the route does not decide"
    )
    parser.add_argument(
        "--session", metavar="SESSION", help="go on in this chat, in place of the three before"
    )


def message(options: Namespace, text: str) -> Json:
    """The body of `POST /v1/messages`; without a peer, this user has one of their own."""
    if options.session:
        if options.channel or options.peer or options.agent:
            text = "--session names channel, peer and agent; leave --channel, --peer, --agent out"
            raise ClientError(text, USAGE_ERROR)
        return {"content": text, "session": options.session}
    return {
        "content": text,
        "channel": options.channel,
        "peer": options.peer or (None if options.channel else _user()),
        "kind": "local",
        "agent": options.agent,
    }


def text_of(argument: str) -> str:
    """The argument, or all of standard input for `-`, without its last newline."""
    return sys.stdin.read().removesuffix("\n") if argument == "-" else argument


def _user() -> str:
    import os
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def converse(client: Client, body: Json, *, as_json: bool) -> int:
    """Send a message and follow its turn; status 1 if the turn ended in an error."""
    printer = Printer()
    failed = True  # unless a result says otherwise
    with _terminal() as terminal:  # who reads JSON may answer by a request of its own
        can_ask = as_json or terminal is not None
    for event in client.stream("POST", "/v1/messages", {**body, "can_ask": can_ask}):
        if as_json:
            render.print_json_line(event)
        else:
            printer.show(event)
            if event["type"] == "permission" and not printer.is_over:
                _ask(client, event)
        if event["type"] == "result":
            failed = event["isError"]
    return 1 if failed else 0


class Printer:
    """Prints events; remembers whether text was streamed, since the result repeats it.

    Once the turn that was asked for is over, or where there is none, the turns of others are shown:
    those end with an update that holds the result, and no event of their own.
    """

    def __init__(self, *, is_over: bool = False) -> None:
        self._paint = Paint(sys.stderr)
        self.is_over = is_over
        self._streamed = False
        self._line_open = False

    def show(self, event: Json) -> None:
        match event["type"]:
            case "update":
                self._update(event["update"])
            case "result":
                self._result(event)
                self.is_over, self._streamed = True, False
            case "permission" if self.is_over:
                self._aside(f"permission: {event['description']}")
            case _:
                pass  # accepted and permission: nothing of the answer

    def _update(self, update: Json) -> None:
        text = _text(update)
        match update["sessionUpdate"]:
            case "agent_message_chunk":
                self._streamed = self._streamed or bool(text)
                self._line_open = not text.endswith("\n")
                print(clean(text), end="", flush=True)
                if self.is_over and isinstance(update.get("content"), str):
                    self._end_line()  # a notice, which is whole
            case "agent_thought_chunk":
                self._aside(text)
            case "tool_call":
                self._aside(f"tool: {update.get('title') or update.get('name') or 'unnamed'}")
            case "result" if self.is_over:
                self._end_of_another(update, text)
            case _:
                pass  # plans, usage, command menus: for programs, see --json

    def _end_of_another(self, update: Json, text: str) -> None:
        if update.get("isError"):
            self._aside(text, "red")
        elif not self._streamed and text:
            print(clean(text), end="")
            self._line_open = True
        self._end_line()
        self._streamed = False

    def _result(self, event: Json) -> None:
        if event["isError"]:
            self._aside(event["text"] or f"the turn ended: {event['stopReason']}", "red")
        elif not self._streamed and event["text"]:
            print(clean(event["text"]), end="")
            self._line_open = True
        elif event["stopReason"] not in ("end_turn", None):
            self._aside(f"the turn ended: {event['stopReason']}", "yellow")
        self._end_line()

    def _aside(self, text: str, style: str = "dim") -> None:
        self._end_line()
        print(self._paint(clean(text), style), file=sys.stderr, flush=True)

    def _end_line(self) -> None:
        if self._line_open:
            print(flush=True)
        self._line_open = False


def _text(update: Json) -> str:
    content = update.get("content")
    if isinstance(content, dict):
        content = content.get("text")
    return content if isinstance(content, str) else ""


def _ask(client: Client, event: Json) -> None:
    """Put the agent's question to the person, if there is one; the chat may have another."""
    paint = Paint(sys.stderr)
    print(paint(f"permission: {clean(event['description'])}", "bold"), file=sys.stderr)
    with _terminal() as terminal:
        if terminal is None:
            print("no terminal to ask on; nobody here answers it", file=sys.stderr, flush=True)
            return
        option = _chosen(event["options"], terminal)
    if option is None:
        return
    try:
        client.post(f"/v1/permissions/{quote(event['requestId'])}", {"optionId": option})
    except ClientError as error:
        print(f"anyclawctl: {error}", file=sys.stderr)


def _chosen(options: list[Json], terminal: TextIO) -> str | None:
    """The option whose number is typed; end of input leaves the question to the timeout."""
    for number, option in enumerate(options, 1):
        print(f"  {number}) {clean(option['label'])}", file=sys.stderr)
    while True:
        print(f"1-{len(options)}? ", end="", file=sys.stderr, flush=True)
        line = terminal.readline()
        if not line:
            return None
        if line.strip().isdecimal() and 1 <= int(line) <= len(options):
            chosen: str = options[int(line) - 1]["optionId"]
            return chosen


@contextmanager
def _terminal() -> Iterator[TextIO | None]:
    """Where a person can answer: stdin, or the terminal behind it when stdin is a file."""
    if sys.stdin.isatty():
        yield sys.stdin
    elif not sys.stderr.isatty():
        yield None
    else:
        try:
            terminal = open("/dev/tty", encoding="utf-8")  # noqa: PTH123, SIM115 - quick to import
        except OSError:
            yield None
            return
        with terminal:
            yield terminal
