"""Checks of how a unit is looked at while it runs: readiness, health, isolation."""

import re
from urllib.parse import urlsplit

from anyclawd.compile.diagnose import Report
from anyclawd.compile.draft import Draft, protocol_of, readiness_of
from anyclawd.compile.policies import PROBED, notify_access_of
from anyclawd.compile.quantity import format_duration
from anyclawd.compile.read import show
from anyclawd.compile.settings import HOST
from anyclawd.compile.tree import Node
from anyclawd.model.policy import Isolation, NotifyAccess, ProbeType, ReadinessType
from anyclawd.model.unit import Protocol

#: The least that looks may take, and that may lie between them.
_LEAST_S = 0.01


def check_supervision(draft: Draft, health_interval_s: float, report: Report) -> None:
    """Report what could never work; `health_interval_s` is that of units that say none."""
    settings = draft.settings
    if "readiness" in settings:
        _check_readiness(draft, settings["readiness"], report)
    if "health" in settings:
        _check_health(draft, settings["health"], health_interval_s, report)
    if "isolate" in settings:
        _check_isolation(draft, report)


def check_least(duration: Node | None, least_s: float, key: str, report: Report) -> None:
    """Report a duration that is too short to mean anything."""
    if duration is not None and duration.value < least_s:
        found = show(duration) if duration.origin else format_duration(duration.value)
        text = f"expected a duration of at least {format_duration(least_s)}, found {found}"
        report.error(duration.span, key, text)


def _check_readiness(draft: Draft, node: Node, report: Report) -> None:
    readiness = readiness_of(draft)
    if readiness in PROBED:
        _check_probe(draft, "readiness", report)
    if readiness is ReadinessType.LOG and "pattern" in node.value:
        pattern: Node = node.value["pattern"]
        try:
            re.compile(pattern.value)
        except re.error as error:
            why = f": {error}" if pattern.origin is None else ""
            text = f"{show(pattern)} is no regular expression{why}"
            report.error(pattern.span, draft.key("readiness.pattern"), text)


def _check_health(draft: Draft, node: Node, health_interval_s: float, report: Report) -> None:
    _check_probe(draft, "health", report)
    if "interval" not in node.value and health_interval_s < _LEAST_S:
        text = "needs the key 'interval', since supervisor.health_check_interval_secs is 0"
        report.error(node.key_span, draft.key("health"), text)
    kind: Node = node.value["type"]
    if kind.value == ProbeType.RPC and protocol_of(draft) is Protocol.NONE:
        text = "a unit with protocol none answers no request, expected another type"
        report.error(kind.span, draft.key("health.type"), text)
    if readiness_of(draft) is ReadinessType.EXITED:
        text = "a unit that is ready when it has ended has no health; remove one of the two"
        report.error(node.key_span, draft.key("health"), text)


def _check_probe(draft: Draft, name: str, report: Report) -> None:
    """What all looks at a unit from outside have in common."""
    probe: dict[str, Node] = draft.settings[name].value
    for key in ("interval", "timeout"):
        check_least(probe.get(key), _LEAST_S, draft.key(f"{name}.{key}"), report)
    url, host, port = probe.get("url"), probe.get("host"), probe.get("port")
    if url is not None and not _has_place(url.value):
        text = f"expected a URL with a host and a port up to 65535, found {show(url)}"
        report.error(url.span, draft.key(f"{name}.url"), text)
    if host is not None and re.search(HOST.pattern, host.value) is None:
        text = f"expected {HOST.expected}, found {show(host)}"
        report.error(host.span, draft.key(f"{name}.host"), text)
    if port is not None and isinstance(port.value, str):
        text = f"expected a whole number outside of a template, found {show(port)}"
        report.error(port.span, draft.key(f"{name}.port"), text)


def _has_place(url: str) -> bool:
    """Whether a URL says where to connect to."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # an address or a port that is none
        return False


def _check_isolation(draft: Draft, report: Report) -> None:
    is_isolated = draft.settings["isolate"].value == Isolation.PID
    if is_isolated and notify_access_of(draft) is NotifyAccess.MAIN:
        access: Node = draft.settings["readiness"].value["access"]
        text = (
            "with isolate: pid the main process is the one that makes the namespace, and the"
            " program runs below it, so expected all"
        )
        report.error(access.span, draft.key("readiness.access"), text)
