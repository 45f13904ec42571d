"""`message ID`: what has become of a message, by the id that its sender was given."""

import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import Paint, clean
from anyclawd.client.client import quote

#: States to their colours; the others are on their way.
_COLOURS = {"answered": "green", "delivered": "green", "refused": "red", "interrupted": "red"}


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("message", metavar="ID", help="as its sender was told, or sessions show")


def run(options: Namespace) -> int:
    message = connect(options).get(f"/v1/messages/{quote(options.message)}")
    if options.json:
        render.print_json(message)
        return 0
    paint, state = Paint(sys.stdout), message["state"]
    facts = {
        "state": paint(state, _COLOURS.get(state, "yellow")),
        "session": clean(message["session"]),
        "received": render.moment(message["receivedAt"]),
        "updated": render.moment(message["updatedAt"]),
        "turn ended": clean(message["stopReason"]),
        "delivery": clean(message["deliveryId"]),
    }
    print(paint(clean(message["messageId"]), "bold"))
    print("\n".join(f"  {label:>10}: {text}" for label, text in facts.items() if text))
    if message["text"]:
        print(f"\n{clean(message['text'])}")
    return 0
