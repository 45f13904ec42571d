"""`logout AGENT`: log out of an agent."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.client.client import quote


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="such as default, or default.agent")


def run(options: Namespace) -> int:
    target = f"/v1/agents/{quote(options.agent)}/logout"
    answer = connect(options).post(target, None, waits=True)
    if options.json:
        render.print_json(answer)
    else:
        print(f"logged out of {answer['agent']}")
    return 0
