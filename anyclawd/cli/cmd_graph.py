"""`graph [--format FORMAT]`: the unit graph of the daemon, or with -c of a configuration."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection
from dataclasses import dataclass

from anyclawd.cli import output
from anyclawd.cli.daemon import connect
from anyclawd.client.exchange import NO_SUCH_UNIT, USAGE_ERROR, ClientError
from anyclawd.draw.graph import (
    ORDER,
    REQUIREMENT,
    STRENGTH,
    Graph,
    around,
    graph_of,
    part_of,
    to_json,
)
from anyclawd.model.spelling import nearest
from anyclawd.model.value import Json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyclawd.draw.html import Card

_FORMATS = ("dot", "mermaid", "json", "graphml", "svg", "html")


#: What each unit takes in a boot that is predicted for a configuration.
_ASSUMED_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is drawn: a plan as `GET /v1/plan` shows it, and what is known of it."""

    view: Json
    rows: Collection[Json]  #: of `GET /v1/status`; none where no states are asked for
    name: str
    boot: Callable[[], Json]  #: its record
    boot_is: str  #: whose boot that is, for people


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
        raise ClientError("a configuration has no states; leave --state or -c out", USAGE_ERROR)
    found = _of_configuration(options) if options.config else _of_daemon(options)
    graph = graph_of(found.view, found.rows)
    if options.order or options.require:
        graph = part_of(graph, ORDER if options.order else REQUIREMENT)
    if options.unit:
        graph = _around(graph, options.unit)
    output.write(options, _drawn(options, graph, found))
    return 0


def _drawn(options: Namespace, graph: Graph, found: _Found) -> str:
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

            caption = Caption(title=_title(options, found.name), subtitle=_subtitle(graph))
            return svg(graph, caption)
        case "html":
            from anyclawd.draw.html import html
            from anyclawd.draw.svg import Caption
            from anyclawd.draw.timeline import boot_of

            told = f"{_subtitle(graph)}; {found.boot_is}"
            caption = Caption(title=_title(options, found.name), subtitle=told)
            cards = {node.name: _card(found.view["units"][node.name]) for node in graph.nodes}
            return html(graph, caption, cards, boot_of(found.boot()))
        case _:
            from anyclawd.draw.dot import dot

            return dot(graph)


def _around(graph: Graph, name: str) -> Graph:
    try:
        return around(graph, name)
    except KeyError as error:
        near = nearest(name, [node.name for node in graph.nodes])
        hint = f" (did you mean {near!r}?)" if near else ""
        raise ClientError(f"no unit {name!r}{hint}", NO_SUCH_UNIT, "no-such-unit") from error


def _title(options: Namespace, name: str) -> str:
    what = "order" if options.order else "requirements" if options.require else "units"
    return f"{what} around {options.unit} in {name}" if options.unit else f"{what} of {name}"


def _subtitle(graph: Graph) -> str:
    """How many units there are, by kind."""
    kinds = [node.kind for node in graph.nodes]
    counted = [_count(kinds.count(kind), kind) for kind in dict.fromkeys(kinds)]
    return f"{_count(len(kinds), 'unit')}: {', '.join(counted)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _card(settings: Json) -> "Card":
    """What the page says of a unit: nothing that could hold a secret."""
    from anyclawd.draw.html import Card

    facts = [
        ("protocol", settings["protocol"]),
        ("ready by", settings["readiness"]["type"]),
        ("restart", settings["restart"]),
    ]
    is_process = settings["kind"] not in ("core", "target")
    related = [
        (relation.replace("_", " "), ", ".join(dict.fromkeys(ref["unit"] for ref in refs)))
        for relation in map(str, STRENGTH)
        if (refs := settings[relation])
    ]
    return Card(facts=(*(facts if is_process else ()), *related, ("declared", settings["span"])))


def _of_daemon(options: Namespace) -> _Found:
    client = connect(options)
    status = client.get("/v1/status")
    return _Found(
        view=client.get("/v1/plan"),
        rows=status["units"] if options.state else (),
        name=status["config"] or "the running daemon",
        boot=lambda: client.get("/v1/boot"),
        boot_is="the boot is that of this daemon",
    )


def _of_configuration(options: Namespace) -> _Found:
    from anyclawd.admin.views import plan_view
    from anyclawd.cli.offline import compiled

    plan = compiled(options)

    def predicted() -> Json:
        from anyclawd.engine.simulate import simulate

        return simulate(plan, {}, assumed_s=_ASSUMED_S, started_at="a prediction").record

    return _Found(
        view=plan_view(plan),
        rows=(),
        name=options.config,
        boot=predicted,
        boot_is=f"the boot is predicted, each unit takes {_ASSUMED_S:g} s",
    )
