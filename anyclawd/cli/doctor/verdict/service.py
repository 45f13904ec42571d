"""Whether a service manager looks after the daemon as it should."""

from collections.abc import Iterator
from dataclasses import dataclass

from anyclawd.cli.doctor.finding import Finding, error, note, ok, warning

#: So many restarts of one service tell of more than an upgrade.
_RESTARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts:
    """The unit of systemd that the daemon runs in, or would."""

    is_booted: bool  #: systemd runs this machine
    unit: str = ""
    is_outside: bool = False  #: no unit runs the daemon, or is for its configuration
    is_silent: bool = False  #: systemd does not answer
    is_users: bool = False  #: a user's own manager has it
    is_loaded: bool = False
    active: str = ""
    result: str = ""
    enabled: str = ""
    restarts: int = 0
    needs_reload: bool = False
    restart: str = ""
    watchdog_s: float = 0.0
    is_delegated: bool = False
    user: str = ""
    working_directory: str = ""
    lingers: bool = True
    environment_files: tuple[str, ...] = ()
    #: (name or pattern, file it is loaded from) as the unit says it.
    credentials: tuple[tuple[str, str], ...] = ()

    @property
    def systemctl(self) -> str:
        return "systemctl --user" if self.is_users else "systemctl"


def findings(facts: ServiceFacts) -> Iterator[Finding]:
    if not facts.is_booted:
        text = "systemd does not run this machine; nobody restarts the daemon but who started it"
        yield note("", text)
    elif facts.is_outside:
        yield note("", "no unit of systemd is for it, so nothing restarts it after a crash")
    elif facts.is_silent:
        yield note(facts.unit, "systemd does not say how it is")
    elif not facts.is_loaded:
        remedy = "see docs/how-to/install.md, or install the package"
        yield note(facts.unit, "there is no such unit of systemd", remedy)
    else:
        found = list(_unit(facts))
        yield from found
        if not found:
            yield ok(facts.unit, f"{facts.active}, {facts.enabled}, restart {facts.restart}")


def _unit(facts: ServiceFacts) -> Iterator[Finding]:
    unit, systemctl = facts.unit, facts.systemctl
    if facts.active == "failed":
        remedy = f"journalctl -u {unit} -e"
        yield error(unit, f"has failed: {facts.result}", remedy)
    elif facts.active == "inactive":
        yield note(unit, "does not run", f"{systemctl} start {unit}")
    if facts.restarts >= _RESTARTS:
        text = f"systemd has restarted it {facts.restarts} times"
        yield warning(unit, text, f"journalctl -u {unit}")
    if facts.needs_reload:
        yield warning(unit, "its file is not what systemd has read", f"{systemctl} daemon-reload")
    if facts.restart in ("no", ""):
        yield warning(unit, "is not restarted after a crash", "set Restart=on-failure")
    if not facts.watchdog_s:
        yield note(unit, "no watchdog looks after it", "set WatchdogSec=30")
    if facts.enabled == "disabled":
        yield note(unit, "does not start with the machine", f"{systemctl} enable {unit}")
    if not facts.lingers:
        yield warning(unit, "ends when its user logs out", "loginctl enable-linger")
