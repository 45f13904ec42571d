"""`graph [--format FORMAT]`: the unit graph of the daemon, or with -c of a configuration."""

from argparse import ArgumentParser, Namespace
from collections.abc import Collection
from difflib import get_close_matches

from anyclawd.cli import output
from anyclawd.cli.daemon import connect
from anyclawd.client.exchange import NO_SUCH_UNIT, ClientError
from anyclawd.draw.graph import ORDER, REQUIREMENT, Graph, around, graph_of, part_of, to_json
from anyclawd.model.value import Json

_FORMATS = ("dot", "mermaid", "json", "graphml", "svg", "html")


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("--format", choices=_FORMATS, help="the default is dot")
    parser.add_argument(
        "--unit", metavar="UNIT", help="only what UNIT depends on, and what depends on it"
    )
    parser.add_argument("--state", action="store_true", help="show what state each unit is in")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--order", action="store_true", help="only who starts before whom")
    which.add_argument("--require", action="store_true", help="only who pulls in or stops whom")
    output.configure(parser)


def run(options: Namespace) -> int:
    if options.state and options.config:
        raise ClientError("a configuration has no states; leave --state or -c out")
    view, rows, name = _of_configuration(options) if options.config else _of_daemon(options)
    graph = graph_of(view, rows)
    if options.order or options.require:
        graph = part_of(graph, ORDER if options.order else REQUIREMENT)
    if options.unit:
        graph = _around(graph, options.unit)
    output.write(options, _drawn(options, graph, view, name))
    return 0


def _drawn(options: Namespace, graph: Graph, view: Json, name: str) -> str:
    match options.format or ("json" if options.json else "dot"):
        case "json":
            import json

            return json.dumps(to_json(graph), indent=2) + "\n"
        case "mermaid":
            from anyclawd.draw.mermaid import mermaid

            return mermaid(graph)
        case "graphml":
            from anyclawd.draw.graphml import graphml

            return graphml(graph)
        case "svg":
            from anyclawd.draw.svg import Caption, svg

            return svg(graph, Caption(title=_title(options, name), subtitle=_subtitle(graph)))
        case _:
            from anyclawd.draw.dot import dot

            return dot(graph)


def _around(graph: Graph, name: str) -> Graph:
    try:
        return around(graph, name)
    except KeyError as error:
        near = get_close_matches(name, [node.name for node in graph.nodes], 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ClientError(f"no unit {name!r}{hint}", NO_SUCH_UNIT, "no-such-unit") from error


def _title(options: Namespace, name: str) -> str:
    what = "order" if options.order else "requirements" if options.require else "units"
    return f"{what} of {options.unit} in {name}" if options.unit else f"{what} of {name}"


def _subtitle(graph: Graph) -> str:
    """How many units there are, by kind."""
    kinds = [node.kind for node in graph.nodes]
    counted = [_count(kinds.count(kind), kind) for kind in dict.fromkeys(kinds)]
    return f"{_count(len(kinds), 'unit')}: {', '.join(counted)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _of_daemon(options: Namespace) -> tuple[Json, Collection[Json], str]:
    client = connect(options)
    status = client.get("/v1/status")
    rows = status["units"] if options.state else ()
    return client.get("/v1/plan"), rows, status["config"] or "the running daemon"


def _of_configuration(options: Namespace) -> tuple[Json, Collection[Json], str]:
    from anyclawd.admin.views import plan_view
    from anyclawd.cli.offline import compiled

    plan = compiled(options)
    return plan_view(plan), (), options.config
