"""Names that a daemon knows, by what a verb wants of them."""

from __future__ import annotations

from anyclawd.cli.complete.line import Line
from anyclawd.client.client import Client, query, quote

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyclawd.model.value import Json

#: Active states of the units that a verb does something to; all where it is not here.
_ACTIVE = {
    "start": ("inactive", "failed"),
    "stop": ("active", "activating", "reloading", "failed"),
    "try-restart": ("active", "activating", "reloading"),
    "reload": ("active",),
    "wait": ("active", "activating", "reloading", "deactivating"),
    "kill": ("active", "activating", "reloading", "deactivating"),
    "reset-failed": ("failed", "activating"),
}

#: Verbs for what has processes.
_OF_PROCESSES = ("reload", "kill")

#: The states of the sessions that a verb of `sessions` does something to.
_SESSION_STATES = {
    "cancel": ("waiting", "opening", "prompting"),
    "close": ("idle", "waiting", "opening", "prompting", "cancelling"),
    "fork": ("idle", "waiting", "opening", "prompting", "cancelling"),
}

#: Of how many sessions, those used last, the messages are looked at.
_SESSIONS_WITH_MESSAGES = 5


def names(wanted: str, line: Line, client: Client) -> Iterator[tuple[str, str]]:
    """(name, meaning) pairs for the metavar of an argument, or an option that has none.

    Raises ClientError where the daemon cannot be asked, or does not know what is asked about.
    """
    match wanted:
        case "UNIT":
            yield from _units(line, client)
        case "--state":
            units = client.get("/v1/units")["units"]
            yield from ((state, "") for unit in units for state in (unit["active"], unit["sub"]))
        case "NAME":
            yield from _properties(line, client)
        case "SESSION":
            yield from _sessions(line, client)
        case "ID":
            yield from _messages(client)
        case "AGENT":
            for agent in client.get("/health")["agents"]:
                yield agent["name"], "connected" if agent["connected"] else "not connected"
        case "METHOD":
            target = f"/v1/agents/{quote(line.given[0])}/authenticate"
            for method in client.get(target)["methods"]:
                yield method["id"], method["name"]
        case "CHANNEL":
            for unit in client.get(f"/v1/units?{query([('unit', '*.channel')])}")["units"]:
                yield unit["name"].removesuffix(".channel"), unit["active"]
        case "--peer":
            pattern = f"{_literal(line.value_of('--channel') or '@anyclawctl')}:*"
            for row in _rows(pattern, client):
                yield row["peer"], row["title"] or row["state"]
        case "JOB":
            for job in client.get("/v1/jobs")["jobs"]:
                yield str(job["id"]), f"{job['type']} of {job['unit']}"
        case "CODE":
            for code in client.get("/v1/pairing")["codes"]:
                yield code["code"], f"{code['channel']}:{code['kind']}:{code['peer']}"
        case "PEER":
            for grant in client.get("/v1/pairing")["grants"]:
                yield f"{grant['channel']}:{grant['kind']}:{grant['peer']}", ""
        case "N":
            for boot in client.get("/v1/boots")["boots"]:
                yield str(boot["boot"]), boot["started_at"]
        case _:
            pass  # a text, a number: nothing that anybody could know


def config_of(client: Client) -> str:
    """The configuration that the daemon runs."""
    return str(client.get("/v1/status")["config"])


def _units(line: Line, client: Client) -> Iterator[tuple[str, str]]:
    verb = line.verbs[0]
    for unit in client.get("/v1/units")["units"]:
        if unit["active"] not in _ACTIVE.get(verb, (unit["active"],)):
            continue
        if verb not in _OF_PROCESSES or unit["kind"] not in ("core", "target"):
            yield unit["name"], f"{unit['active']} ({unit['sub']})"


def _properties(line: Line, client: Client) -> Iterator[tuple[str, str]]:
    """Of the units of the line, and where it has none yet, of the daemon and of any unit."""
    from anyclawd.cli.cmd_show import everything, properties_of

    if not line.given:
        yield from properties_of(client.get("/v1/status"))
    for unit in line.given or [client.get("/v1/units")["units"][0]["name"]]:
        yield from properties_of(everything(client, unit))


def _sessions(line: Line, client: Client) -> Iterator[tuple[str, str]]:
    states = _SESSION_STATES.get(line.verbs[1]) if line.verbs[0] == "sessions" else None
    for row in _rows(f"{_literal(line.last)}*", client):
        if states is None or row["state"] in states:
            yield row["session"], row["title"] or row["state"]


def _messages(client: Client) -> Iterator[tuple[str, str]]:
    """Of the sessions that were used last, the latest first."""
    rows = [row for row in client.get("/v1/sessions")["sessions"] if row["idle_s"] is not None]
    for row in sorted(rows, key=lambda row: row["idle_s"])[:_SESSIONS_WITH_MESSAGES]:
        for message in client.get(f"/v1/sessions/{quote(row['session'])}")["messages"]:
            yield message["messageId"], f"{message['state']}, in {message['session']}"


def _rows(pattern: str, client: Client) -> list[Json]:
    return list(client.get(f"/v1/sessions?session={quote(pattern)}")["sessions"])


def _literal(text: str) -> str:
    """A pattern for all that begins with a text: there may be thousands of them. glob(7)."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in text)
