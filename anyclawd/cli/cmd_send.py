"""`send TEXT`: one message to an agent, its answer on stdout."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import turn
from anyclawd.cli.daemon import connect


def configure(parser: ArgumentParser) -> None:
    turn.configure(parser)
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="go on with what the chat is shown after the answer, until Ctrl-C",
    )
    parser.add_argument("text", metavar="TEXT", help="- reads standard input")


def run(options: Namespace) -> int:
    body = turn.message(options, turn.text_of(options.text))
    return turn.converse(connect(options), {**body, "follow": options.follow}, as_json=options.json)
