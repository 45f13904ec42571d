"""What performs each check of the table: its evidence is gathered, then judged."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from anyclawd.cli.doctor.checks import Check, When
from anyclawd.cli.doctor.evidence import configuration as config_evidence
from anyclawd.cli.doctor.evidence import daemon as daemon_evidence
from anyclawd.cli.doctor.evidence import disk as disk_evidence
from anyclawd.cli.doctor.evidence import paths as path_evidence
from anyclawd.cli.doctor.evidence import ports as port_evidence
from anyclawd.cli.doctor.evidence import programs as program_evidence
from anyclawd.cli.doctor.finding import Finding
from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict import configuration, daemon, disk, permissions, ports, programs


def _daemon(scene: Scene) -> Iterable[Finding]:
    return daemon.findings(daemon_evidence.facts_of(scene))


def _configuration(scene: Scene) -> Iterable[Finding]:
    facts = config_evidence.config_facts(scene)
    return configuration.findings(facts, config_evidence.reload_facts(scene))


def _permissions(scene: Scene) -> Iterable[Finding]:
    return permissions.findings(path_evidence.facts_of(scene), scene.daemon_uid)


def _programs(scene: Scene) -> Iterable[Finding]:
    return programs.findings(program_evidence.facts_of(scene))


def _ports(scene: Scene) -> Iterable[Finding]:
    return ports.findings(port_evidence.facts_of(scene), is_root=scene.daemon_uid == 0)


def _disk(scene: Scene) -> Iterable[Finding]:
    return disk.findings(disk_evidence.facts_of(scene))


#: By the name of the check.
EXAMINATIONS: Mapping[str, Callable[[Scene], Iterable[Finding]]] = MappingProxyType(
    {
        "daemon": _daemon,
        "configuration": _configuration,
        "permissions": _permissions,
        "programs": _programs,
        "ports": _ports,
        "disk": _disk,
    }
)


def is_due(check: Check, scene: Scene) -> bool:
    """Whether a check has anything to look at: some are about a daemon, some about its absence."""
    match check.when:
        case When.ALWAYS:
            return True
        case When.ONLINE:
            return scene.online is not None
        case When.OFFLINE:
            return scene.online is None


def examine(check: Check, scene: Scene) -> tuple[Finding, ...]:
    return tuple(EXAMINATIONS[check.name](scene))
