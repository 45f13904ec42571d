"""Which units a command means."""

import pytest

from anyclawd.admin.control import NothingMatches
from anyclawd.admin.pattern import expand
from anyclawd.model.deps import UnitName

KNOWN = [UnitName(name) for name in ("web-1.service", "web-2.service", "db.service", "a.agent")]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["db.service"], ["db.service"]),
        (["web-*"], ["web-1.service", "web-2.service"]),
        (["web-?.service"], ["web-1.service", "web-2.service"]),
        (["web-[2-9].service"], ["web-2.service"]),
        (["*"], list(KNOWN)),
        (["*.agent", "web-2.service", "web-*"], ["a.agent", "web-2.service", "web-1.service"]),
        (["db.service", "db.service"], ["db.service"]),
        (["not.known"], ["not.known"]),
    ],
    ids=" ".join,
)
def test_names_stay_and_patterns_are_matched(patterns: list[str], names: list[str]) -> None:
    found = expand(patterns, KNOWN)
    assert list(found) == names


def test_a_pattern_that_matches_nothing_is_named() -> None:
    with pytest.raises(NothingMatches, match=r"no unit's name matches 'mail-\*'"):
        expand(["web-*", "mail-*"], KNOWN)


def test_case_counts() -> None:
    with pytest.raises(NothingMatches):
        expand(["WEB-*"], KNOWN)
