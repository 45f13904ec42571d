"""`notify --channel C --peer P TEXT`: a text to a chat, without an agent."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.turn import text_of


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--channel", metavar="CHANNEL", required=True, help="its key, such as debug-http"
    )
    parser.add_argument("--peer", required=True, help="the chat's id on that channel")
    parser.add_argument("text", metavar="TEXT", help="- reads standard input")


def run(options: Namespace) -> int:
    body = {"channel": options.channel, "peer": options.peer, "text": text_of(options.text)}
    answer = connect(options).post("/v1/notifications", body)
    if options.json:
        render.print_json(answer)
    return 0
