"""The relations between units.

Two axes, as in systemd: what a unit pulls in, and what it is ordered after. `requires` implies
`after` unless the reference says `order: false`. Source: systemd.unit(5).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from anyclawd.model.span import BUILT_IN, Span

#: `<name>.<kind>`, for instance `default.agent`.
UnitName = NewType("UnitName", str)


class Relation(StrEnum):
    """What an edge of the graph means; spelled as the setting that makes it."""

    REQUIRES = "requires"
    WANTS = "wants"
    AFTER = "after"
    BEFORE = "before"
    BINDS_TO = "binds_to"
    PART_OF = "part_of"
    CONFLICTS = "conflicts"
    ON_FAILURE = "on_failure"


class Until(StrEnum):
    """What an `after` waits for; the default is that the start job has ended."""

    READY = "ready"
    STARTED = "started"
    HEALTHY = "healthy"
    EXITED = "exited"
    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """One reference from a unit to another."""

    unit: UnitName
    until: Until = Until.READY  #: meant for `after` alone
    span: Span = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """Every relation of one unit, the ordering that `requires` implies already in `after`."""

    requires: tuple[Ref, ...] = ()
    wants: tuple[Ref, ...] = ()
    binds_to: tuple[Ref, ...] = ()
    part_of: tuple[Ref, ...] = ()
    conflicts: tuple[Ref, ...] = ()
    on_failure: tuple[Ref, ...] = ()
    after: tuple[Ref, ...] = ()
    before: tuple[Ref, ...] = ()
