"""What is known of tools beyond their processes: how they are spoken to, and who may use what."""

from dataclasses import dataclass
from enum import StrEnum


class Era(StrEnum):
    """Which generation of MCP a tool is spoken to in. Source: MCP, revisions up to 2026-07-28."""

    AUTO = "auto"  #: the server is asked first, and the one that answers holds
    HANDSHAKE = "handshake"  #: `initialize`, as up to 2025-11-25
    MODERN = "modern"  #: stateless, as from 2026-07-28 on


class ToolNames(StrEnum):
    """What a tool is called where agents see several units at once."""

    PLAIN = "plain"  #: as its unit calls it; `unit__tool` where two units have the same name
    PREFIXED = "prefixed"  #: always `unit__tool`


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAccess:
    """Which tools of those units that an agent is granted it may use; patterns with `*` and `?`.

    A pattern is matched against the tool's own name, or with a slash in it against `entry/name`.
    What is denied is denied, whatever is allowed.
    """

    allow: tuple[str, ...] = ("*",)  #: where it is empty, none is allowed
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRole:
    """What the gateway knows of a tool beyond its process."""

    description: str = ""
    era: Era = Era.HANDSHAKE
    is_trusted: bool = False  #: it learns who calls, and may deliver and inject
    call_timeout_s: float = 300.0  #: the ceiling of one call, whatever progress it tells of
