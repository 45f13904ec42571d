"""Names that a configuration has, for where no daemon can be asked."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = {"AGENT": ".agent", "CHANNEL": ".channel"}

#: What the daemon brings along itself.
_BUILT_IN = (
    *("default.target", "agents.target", "channels.target", "tools.target", "services.target"),
    *("orchestrator.core", "admin.core", "store.core", "mcp.core"),
)


def deployments(directory: str) -> Iterator[tuple[str, str]]:
    """`@NAME` of each that has a directory for its socket. Source: systemd.exec(5)."""
    for name in sorted(os.listdir(directory)):  # noqa: PTH208 - quick to import
        if name.startswith("anyclawd@"):
            yield name.removeprefix("anyclawd"), ""


def names(wanted: str, config: str) -> Iterator[tuple[str, str]]:
    """Units, and the agents and channels among them, of a configuration; none where it is empty."""
    if not config or wanted not in ("UNIT", *_KINDS):
        return
    from anyclawd.compile.outline import units_in  # YAML is as long in coming as all the rest

    found = (*units_in(config), *_BUILT_IN)
    if wanted == "UNIT":
        yield from ((name, "") for name in found)
        return
    kind = _KINDS[wanted]
    yield from ((name.removesuffix(kind), "") for name in found if name.endswith(kind))
