"""Who may read and change what the daemon lives on."""

from dataclasses import replace

import pytest

from anyclawd.cli.doctor.verdict.permissions import PathFacts, Shape, Use, findings
from tests.fakes.finding import told

OURS, OTHERS = 900, 1000


def at(use: Use, mode: int, *, uid: int = OURS, secret: bool = False) -> PathFacts:
    is_directory = use in (Use.STATE, Use.RUNTIME, Use.CONFIG_DIRECTORY, Use.ABOVE)
    shape = Shape.DIRECTORY if is_directory else Shape.FILE
    return PathFacts(
        path="/x",
        use=use,
        shape=shape,
        mode=mode,
        uid=uid,
        owner="ann" if uid == OTHERS else "claw",
        holds_secrets=secret,
    )


PRIVATE = ["ok 1 files and directories are as private as they should be"]
ROWS = {  # behaviour: (path, what is told)
    "state-for-its-owner": (at(Use.STATE, 0o700), PRIVATE),
    "state-of-root": (at(Use.STATE, 0o700, uid=0), PRIVATE),
    "state-passed-through": (at(Use.STATE, 0o711), PRIVATE),  # by users of units
    "state-listed": (
        at(Use.STATE, 0o755),
        ["warning /x: everybody may list the state directory -> chmod o-r /x"],
    ),
    "state-written": (
        at(Use.STATE, 0o777),
        [
            (
                "error /x: everybody may write into the state directory, so the daemon will not use"
                " it -> chmod o-rw /x"
            )
        ],
    ),
    "state-of-another": (
        at(Use.STATE, 0o700, uid=OTHERS),
        ["error /x: the state directory belongs to ann, so the daemon will not use it"],
    ),
    "state-no-directory": (
        replace(at(Use.STATE, 0o600), shape=Shape.FILE),
        ["error /x: the state directory is no directory"],
    ),
    "state-missing": (
        replace(at(Use.STATE, 0), shape=Shape.MISSING),
        ["ok /x: the state directory is not there yet; the daemon makes it"],
    ),
    "state-unseen": (
        replace(at(Use.STATE, 0), shape=Shape.UNSEEN),
        ["note /x: the state directory cannot be seen from here"],
    ),
    "runtime-entered-by-all": (at(Use.RUNTIME, 0o755), PRIVATE),
    "runtime-written": (
        at(Use.RUNTIME, 0o757),
        [
            (
                "error /x: everybody may write into the runtime directory, so the daemon will not"
                " use it -> chmod o-rw /x"
            )
        ],
    ),
    "config-directory-read": (at(Use.CONFIG_DIRECTORY, 0o755), PRIVATE),
    "config-directory-written": (
        at(Use.CONFIG_DIRECTORY, 0o777),
        [
            (
                "error /x: everybody may put files here, and with them run any program as the"
                " daemon -> chmod o-w /x"
            )
        ],
    ),
    "config-directory-of-another": (
        at(Use.CONFIG_DIRECTORY, 0o755, uid=OTHERS),
        ["warning /x: belongs to ann, who can run any program as the daemon with it"],
    ),
    "config-directory-of-all": (
        at(Use.CONFIG_DIRECTORY, 0o1777, uid=0),
        [("error /x: everybody may put files here, and with them run any program as the daemon")],
    ),
    "config-read": (at(Use.CONFIG, 0o644), PRIVATE),
    "config-written": (
        at(Use.CONFIG, 0o646),
        [
            (
                "error /x: everybody may change it, and with it run any program as the daemon"
                " -> chmod o-w /x"
            )
        ],
    ),
    "config-of-another": (
        at(Use.CONFIG, 0o640, uid=OTHERS),
        ["warning /x: belongs to ann, who can run any program as the daemon with it"],
    ),
    "config-with-a-secret": (at(Use.CONFIG, 0o640, secret=True), PRIVATE),
    "config-with-a-secret-read": (
        at(Use.CONFIG, 0o644, secret=True),
        ["warning /x: everybody may read it, and a secret is written out in it -> chmod o-r /x"],
    ),
    "config-with-a-secret-that-the-daemon-reads-as-anybody": (
        replace(at(Use.CONFIG, 0o644, uid=0, secret=True), needs_group="claw"),
        ["warning /x: everybody may read it, and a secret is written out in it"],
    ),
    "config-unseen": (
        replace(at(Use.CONFIG, 0), shape=Shape.UNSEEN),
        ["note /x: a file of the configuration cannot be seen from here"],
    ),
    "above-for-all": (at(Use.ABOVE, 0o755), PRIVATE),
    "above-sticky": (at(Use.ABOVE, 0o1777, uid=0), PRIVATE),
    "above-written": (
        at(Use.ABOVE, 0o777, uid=0),
        [("error /x: everybody may put another directory in the place of the configuration's")],
    ),
    "above-of-another": (
        at(Use.ABOVE, 0o755, uid=OTHERS),
        ["warning /x: ann may put another directory in the place of the configuration's"],
    ),
    "program": (at(Use.PROGRAM, 0o755, uid=OTHERS), PRIVATE),
    "program-written": (
        at(Use.PROGRAM, 0o777),
        ["error /x: everybody may change it, and units execute it -> chmod o-w /x"],
    ),
    "database-private": (at(Use.PRIVATE, 0o600), PRIVATE),
    "database-read": (
        at(Use.PRIVATE, 0o644),
        ["warning /x: everybody may read it -> chmod g-r,o-r /x"],
    ),
    "database-written": (
        at(Use.PRIVATE, 0o666),
        ["error /x: everybody may change it -> chmod g-rw,o-rw /x"],
    ),
    "database-of-another": (
        at(Use.PRIVATE, 0o600, uid=OTHERS),
        ["error /x: belongs to ann and not to the daemon, which may be kept from using it"],
    ),
    "database-missing": (replace(at(Use.PRIVATE, 0), shape=Shape.MISSING), PRIVATE),
}


@pytest.mark.parametrize(("facts", "lines"), ROWS.values(), ids=ROWS)
def test_rights(facts: PathFacts, lines: list[str]) -> None:
    assert told(findings([facts], OURS)) == lines


UNTOUCHED = {  # behaviour: what is told of and left as it is
    "a-shared-directory": at(Use.CONFIG_DIRECTORY, 0o1777, uid=0),
    "a-shared-directory-of-sockets": at(Use.RUNTIME, 0o1777, uid=0),
    "a-database-of-root": at(Use.PRIVATE, 0o644, uid=0),
}


@pytest.mark.parametrize("facts", UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_others_need_is_left_as_it_is(facts: PathFacts) -> None:
    [found] = findings([facts], OURS)
    assert found.remedy
    assert found.fix is None


def test_only_rights_that_are_there_are_taken() -> None:
    facts = at(Use.CONFIG, 0o604, secret=True)
    assert [one.fix and one.fix.rights for one in findings([facts], OURS)] == [0o004]  # type: ignore[union-attr]  # it takes rights
