"""`graph [--format FORMAT]`: the unit graph of the daemon, or with -c of a configuration."""

import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.draw.graph import Graph, graph_of, to_json


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=("dot", "mermaid", "json", "graphml"), help="the default is dot"
    )


def run(options: Namespace) -> int:
    graph = _of_configuration(options) if options.config else _of_daemon(options)
    match options.format or ("json" if options.json else "dot"):
        case "json":
            render.print_json(to_json(graph))
        case "mermaid":
            from anyclawd.draw.mermaid import mermaid

            sys.stdout.write(mermaid(graph))
        case "graphml":
            from anyclawd.draw.graphml import graphml

            sys.stdout.write(graphml(graph))
        case _:
            from anyclawd.draw.dot import dot

            sys.stdout.write(dot(graph))
    return 0


def _of_daemon(options: Namespace) -> Graph:
    client = connect(options)
    states = {unit["name"]: unit["active"] for unit in client.get("/v1/status")["units"]}
    return graph_of(client.get("/v1/plan"), states)


def _of_configuration(options: Namespace) -> Graph:
    from anyclawd.admin.views import plan_view
    from anyclawd.cli.offline import compiled

    return graph_of(plan_view(compiled(options)), {})
