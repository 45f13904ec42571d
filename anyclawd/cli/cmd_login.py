"""`login AGENT [METHOD]`: log in to an agent, or list how one can."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import Paint, clean
from anyclawd.client.client import Client, quote
from anyclawd.client.exchange import FAILED, ClientError

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from anyclawd.model.value import Json

#: The type of a method that the agent's own program has to be run for.
_TERMINAL = "terminal"


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="such as default, or default.agent")
    parser.add_argument("method", nargs="?", metavar="METHOD", help="one of those it offers")


def run(options: Namespace) -> int:
    client = connect(options)
    offered = client.get(_target(options))
    if options.method is None:
        return _list(offered, options)
    method = _offered(offered, options.method)
    if method["type"] == _TERMINAL:
        raise ClientError(_in_a_terminal(client, offered["agent"], method), FAILED)
    answer = client.post(_target(options), {"method": options.method}, waits=True)
    if options.json:
        render.print_json(answer)
    else:
        print(f"logged in to {answer['agent']} by {clean(answer['method'])}")
    return 0


def _target(options: Namespace) -> str:
    return f"/v1/agents/{quote(options.agent)}/authenticate"


def _list(offered: Json, options: Namespace) -> int:
    if options.json:
        render.print_json(offered)
    elif not offered["methods"]:
        print(f"{offered['agent']} offers no way to log in; it may need none")
    else:
        rows = [
            (clean(row["id"]), clean(row["type"]), clean(row["name"])) for row in offered["methods"]
        ]
        table = render.table(rows, ("METHOD", "TYPE", "NAME"))
        print(render.headed(table, Paint(sys.stdout)))
    return 0


def _offered(offered: Json, wanted: str) -> Json:
    for method in offered["methods"]:
        if method["id"] == wanted:
            return method
    known = ", ".join(repr(method["id"]) for method in offered["methods"]) or "none"
    raise ClientError(f"{offered['agent']} does not offer method {wanted!r}; it offers {known}")


def _in_a_terminal(client: Client, agent: str, method: Json) -> str:
    """What to do where the agent wants to talk to a person in a terminal."""
    unit = client.get(f"/v1/units/{quote(agent)}")
    command = clean(" ".join(unit["argv"]))
    return (
        f"method {method['id']!r} needs a terminal: run the agent's own program there as the user "
        f"of {agent}, log in, then restart {agent}; the daemon runs: {command}"
    )
