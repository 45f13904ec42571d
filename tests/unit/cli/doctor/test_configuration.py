"""Verdicts on the configuration and on what it names: reloads, programs, credentials."""

from dataclasses import replace

import pytest

from anyclawd.cli.doctor.finding import MakeDirectory
from anyclawd.cli.doctor.verdict import configuration, credentials, programs
from anyclawd.cli.doctor.verdict.configuration import ConfigFacts, ReloadFacts
from anyclawd.cli.doctor.verdict.credentials import CredentialFacts
from anyclawd.cli.doctor.verdict.permissions import Shape
from anyclawd.cli.doctor.verdict.programs import Missing, ProgramFacts
from anyclawd.model.errors import Finding, Severity
from anyclawd.model.span import Span
from anyclawd.model.value import Json
from tests.fakes.finding import told


def said(severity: Severity, text: str, hint: str = "") -> Finding:
    span = Span("/etc/x.yaml", 3, 5)
    return Finding(span=span, severity=severity, key="a.b", text=text, hint=hint)


CONFIG = ConfigFacts(path="/etc/x.yaml", units=7)
WRONG = replace(CONFIG, found=(said(Severity.ERROR, "no unit 'y'", "x"),))
UNSEEN = replace(CONFIG, failure="we may not read it", is_unseen=True)
NOTHING: Json = {
    "added": [],
    "removed": [],
    "modified": [],
    "settings": [],
    "unchanged": 7,
    "findings": [],
}
RUNS = ReloadFacts(answer=NOTHING)
CONFIGS = {  # behaviour: (as seen from here, as the daemon says, what is told)
    "none": (
        ConfigFacts(path="", why_none="no configuration"),
        None,
        ["error no configuration"],
    ),
    "good": (CONFIG, None, ["ok /etc/x.yaml: compiles to 7 units"]),
    "wrong": (
        WRONG,
        None,
        ["error /etc/x.yaml:3:5: a.b: no unit 'y' (did you mean 'x'?)"],
    ),
    "doubtful": (
        replace(CONFIG, found=(said(Severity.WARNING, "unknown key"),)),
        None,
        ["warning /etc/x.yaml:3:5: a.b: unknown key", "ok /etc/x.yaml: compiles to 7 units"],
    ),
    "told-elsewhere": (
        replace(
            CONFIG,
            found=(said(Severity.WARNING, "not known"),),
            told_elsewhere=frozenset({"not known"}),
        ),
        None,
        ["ok /etc/x.yaml: compiles to 7 units"],
    ),
    "unseen": (UNSEEN, None, ["note /etc/x.yaml: we may not read it"]),
    "without-a-library": (
        replace(CONFIG, needs_library="networkx"),
        RUNS,
        [
            "error /etc/x.yaml: cannot be compiled: the module 'networkx' is missing",
            "ok /etc/x.yaml: is what runs, 7 units",
        ],
    ),
    "unreadable": (
        replace(CONFIG, failure="is a directory"),
        None,
        ["error /etc/x.yaml: cannot be compiled: is a directory"],
    ),
    "runs": (CONFIG, RUNS, ["ok /etc/x.yaml: is what runs, 7 units"]),
    "wrong-from-here-alone": (WRONG, RUNS, ["ok /etc/x.yaml: is what runs, 7 units"]),
    "unseen-but-runs": (
        UNSEEN,
        RUNS,
        [
            (
                "note /etc/x.yaml: we may not read it; the daemon has judged it, and checks of what"
                " it names are left out"
            ),
            "ok /etc/x.yaml: is what runs, 7 units",
        ],
    ),
    "wrong-for-the-daemon": (
        CONFIG,
        ReloadFacts(findings=("/etc/x.yaml:1:1: error: x: y",)),
        ["error /etc/x.yaml:1:1: error: x: y"],
    ),
    "doubtful-for-the-daemon": (
        CONFIG,
        ReloadFacts(answer={**NOTHING, "findings": ["/etc/x.yaml:1:1: warning: x: y"]}),
        ["warning /etc/x.yaml:1:1: warning: x: y", "ok /etc/x.yaml: is what runs, 7 units"],
    ),
    "unanswered": (
        CONFIG,
        ReloadFacts(failure="it does not answer"),
        [
            "ok /etc/x.yaml: compiles to 7 units",
            "note /etc/x.yaml: the daemon cannot say whether a reload is due: it does not answer",
        ],
    ),
    "reload-due": (
        CONFIG,
        ReloadFacts(
            answer={
                **NOTHING,
                "added": ["a.agent"],
                "removed": ["b.agent"],
                "modified": [{"unit": "c.agent"}],
            }
        ),
        ["warning /etc/x.yaml: is not what runs: +a.agent, -b.agent, ~c.agent"],
    ),
    "many-changes": (
        CONFIG,
        ReloadFacts(answer={**NOTHING, "added": [f"u{number}.tool" for number in range(10)]}),
        [
            (
                "warning /etc/x.yaml: is not what runs: +u0.tool, +u1.tool, +u2.tool, +u3.tool,"
                " +u4.tool, +u5.tool, +u6.tool, +u7.tool and 2 more"
            )
        ],
    ),
    "restart-due": (
        CONFIG,
        ReloadFacts(
            answer={
                **NOTHING,
                "settings": [
                    {"key": "log_format", "effect": "restart"},
                    {"key": "log_level", "effect": "live"},
                ],
            }
        ),
        [
            "warning /etc/x.yaml: is not what runs: log_level",
            "warning /etc/x.yaml: a restart of the daemon is due for log_format",
        ],
    ),
}


@pytest.mark.parametrize(("facts", "running", "lines"), CONFIGS.values(), ids=CONFIGS)
def test_configuration(facts: ConfigFacts, running: ReloadFacts | None, lines: list[str]) -> None:
    assert told(configuration.findings(facts, running)) == lines


# --- programs ------------------------------------------------------------------------------------


HOMELESS = Missing(
    unit="a.agent",
    place="/etc/x.yaml:3:5",
    severity=Severity.ERROR,
    text="no directory '/srv/x' to work in",
    remedy="create it or correct working_dir",
    makeable=MakeDirectory(path="/srv/x"),
)
LACKS = {
    "nothing": ((), (), ["ok nothing is missing for 2 units with a process"]),
    "a-directory": (
        (HOMELESS,),
        (),
        [
            (
                "error a.agent: /etc/x.yaml:3:5: no directory '/srv/x' to work in"
                " -> make the directory /srv/x"
            )
        ],
    ),
    "what-may-fail": (
        (replace(HOMELESS, severity=Severity.WARNING, text="no program 'x'", makeable=None),),
        (),
        ["warning a.agent: /etc/x.yaml:3:5: no program 'x'"],
    ),
    "something-unseen": (
        (),
        ("/root/a", "/root/b"),
        [
            "note 2 paths cannot be seen from here, /root/a among them",
            "ok nothing is missing for 2 units with a process",
        ],
    ),
}


@pytest.mark.parametrize(("missing", "unseen", "lines"), LACKS.values(), ids=LACKS)
def test_programs(missing: tuple[Missing, ...], unseen: tuple[str, ...], lines: list[str]) -> None:
    facts = ProgramFacts(missing=missing, unseen=unseen, units=2)
    assert told(programs.findings(facts)) == lines


# --- credentials ---------------------------------------------------------------------------------

KEY = CredentialFacts(name="key", unit="a.service", is_in_unit=True, is_handed_over=True)
FILE = replace(KEY, source="/etc/key", shape=Shape.FILE, mode=0o600)
CREDENTIALS = {
    "handed-over": (KEY, ["ok key: is there"]),
    "handed-over-and-nothing-else-known": (
        replace(KEY, unit="", is_in_unit=False),
        ["ok key: is there"],
    ),
    "not-handed-over": (
        replace(KEY, is_handed_over=False),
        ["error key: is not among those that the service is given"],
    ),
    "not-handed-over-with-a-default": (
        replace(KEY, is_handed_over=False, is_in_unit=False, has_default=True),
        ["ok key: has a default, and the service is given no other"],
    ),
    "not-to-be-seen": (
        CredentialFacts(name="key"),
        ["note key: cannot be seen from here, since the service manager alone has it"],
    ),
    "not-in-the-unit": (
        replace(KEY, is_handed_over=None, is_in_unit=False),
        ["error key: a.service does not say where it is from"],
    ),
    "not-in-the-unit-with-a-default": (
        replace(KEY, is_handed_over=None, is_in_unit=False, has_default=True),
        ["ok key: has a default, and a.service gives no other"],
    ),
    "in-the-unit": (replace(KEY, is_handed_over=None), ["ok key: a.service has it"]),
    "private-file": (FILE, ["ok key: comes from /etc/key"]),
    "file-for-all": (
        replace(FILE, mode=0o644),
        ["warning key: everybody may read its file /etc/key -> chmod o-r /etc/key"],
    ),
    "file-by-all": (
        replace(FILE, mode=0o646),
        ["error key: everybody may change its file /etc/key -> chmod o-rw /etc/key"],
    ),
    "file-gone": (
        replace(FILE, shape=Shape.MISSING),
        ["error key: its file /etc/key is not there, so the service cannot start"],
    ),
    "file-gone-in-spite-of-a-default": (
        replace(FILE, shape=Shape.MISSING, has_default=True),
        ["error key: its file /etc/key is not there, so the service cannot start"],
    ),
    "file-not-found": (
        replace(FILE, shape=Shape.MISSING, is_searched=True),
        ["error key: its file /etc/key is not there, so the service is not given it"],
    ),
    "file-not-found-with-a-default": (
        replace(FILE, shape=Shape.MISSING, is_searched=True, has_default=True),
        ["note key: its file /etc/key is not there; its default is taken"],
    ),
    "file-unseen": (
        replace(FILE, shape=Shape.UNSEEN),
        ["note key: its file /etc/key cannot be seen from here"],
    ),
    "socket": (
        replace(FILE, shape=Shape.OTHER),
        ["note key: comes from /etc/key, which is no file"],
    ),
}


@pytest.mark.parametrize(("facts", "lines"), CREDENTIALS.values(), ids=CREDENTIALS)
def test_credentials(facts: CredentialFacts, lines: list[str]) -> None:
    assert told(credentials.findings((facts,))) == lines


def test_without_credentials_there_is_nothing_to_say() -> None:
    assert told(credentials.findings(())) == ["ok the configuration names none"]
