"""What performs each check of the table: its evidence is gathered, then judged.

Modules are imported by the check that needs them, so that a library that is missing spoils no
other check, and what is told first is told soon.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from anyclawd.cli.doctor.checks import NEED_PLAN, Check, When
from anyclawd.cli.doctor.finding import Finding, error, note
from anyclawd.cli.doctor.lessened import findings_as
from anyclawd.cli.doctor.scene import Scene
from anyclawd.client.exchange import ClientError

_RESTART = "restart it: systemctl restart anyclawd, or stop and start the daemon"

#: Held by `is_due`.
NEEDS_PLAN = "checks that need a plan are made where there is one"


def _daemon(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import daemon as evidence
    from anyclawd.cli.doctor.verdict import daemon

    return daemon.findings(evidence.facts_of(scene))


def _configuration(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import configuration as evidence
    from anyclawd.cli.doctor.verdict import configuration

    yield from configuration.findings(evidence.config_facts(scene), evidence.reload_facts(scene))
    if scene.plan is None:
        yield note("", f"for the lack of it these are left out: {', '.join(NEED_PLAN)}")


def _permissions(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import paths
    from anyclawd.cli.doctor.verdict import permissions

    return permissions.findings(paths.facts_of(scene), scene.daemon_uid)


def _credentials(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import credentials as evidence
    from anyclawd.cli.doctor.verdict import credentials

    return credentials.findings(evidence.facts_of(scene))


def _programs(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import programs as evidence
    from anyclawd.cli.doctor.verdict import programs

    assert scene.plan is not None, NEEDS_PLAN
    return programs.findings(evidence.facts_of(scene, scene.plan))


def _versions(_scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import versions as evidence
    from anyclawd.cli.doctor.verdict import versions

    return versions.findings(evidence.facts())


def _store(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.verdict import store

    assert scene.store is not None, NEEDS_PLAN
    return store.findings(scene.store)


def _disk(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import disk as evidence
    from anyclawd.cli.doctor.verdict import disk

    return disk.findings(evidence.facts_of(scene))


def _clock(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import clock as evidence
    from anyclawd.cli.doctor.verdict import clock

    newest = None if scene.store is None else scene.store.newest_wall_s
    return clock.findings(evidence.facts(newest))


def _containment(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import containment as evidence
    from anyclawd.cli.doctor.verdict import containment

    return containment.findings(evidence.facts_of(scene))


def _service(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.verdict import service

    return service.findings(scene.service)


def _ports(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import ports as evidence
    from anyclawd.cli.doctor.verdict import ports

    assert scene.plan is not None, NEEDS_PLAN
    return ports.findings(evidence.facts_of(scene, scene.plan), is_root=scene.daemon_uid == 0)


def _extensions(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import extensions as evidence
    from anyclawd.cli.doctor.verdict import extensions

    assert scene.plan is not None, NEEDS_PLAN
    facts = evidence.facts_of(scene, scene.plan)
    return findings_as(scene.daemon_uid, lambda: extensions.findings(facts))


def _agents(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import agents as evidence
    from anyclawd.cli.doctor.verdict import agents

    facts = evidence.facts_of(scene)
    if scene.online is not None:  # it is asked, and nothing is started
        return agents.findings(facts)
    return findings_as(scene.daemon_uid, lambda: agents.findings(facts))


def _units(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import units as evidence
    from anyclawd.cli.doctor.verdict import units

    return () if scene.online is None else units.findings(evidence.facts_of(scene.online))


def _messages(scene: Scene) -> Iterable[Finding]:
    from anyclawd.cli.doctor.evidence import messages as evidence
    from anyclawd.cli.doctor.verdict import messages

    return messages.findings(evidence.facts_of(scene))


#: By the name of the check, in the order of the table.
EXAMINATIONS: Mapping[str, Callable[[Scene], Iterable[Finding]]] = MappingProxyType(
    {
        "daemon": _daemon,
        "configuration": _configuration,
        "permissions": _permissions,
        "credentials": _credentials,
        "programs": _programs,
        "versions": _versions,
        "store": _store,
        "disk": _disk,
        "clock": _clock,
        "containment": _containment,
        "service": _service,
        "ports": _ports,
        "extensions": _extensions,
        "agents": _agents,
        "units": _units,
        "messages": _messages,
    }
)


def is_due(check: Check, scene: Scene) -> bool:
    """Whether a check has anything to look at: some are about a daemon, some about its absence."""
    if check.needs_plan and scene.plan is None:
        return False
    match check.when:
        case When.ALWAYS:
            return True
        case When.ONLINE:
            return scene.online is not None


def examine(check: Check, scene: Scene) -> Iterable[Finding]:
    """What a check finds, one by one as it is found."""
    try:
        yield from EXAMINATIONS[check.name](scene)
    except ModuleNotFoundError as missing:
        yield error(missing.name or "", "the check needs this module", "see the check 'versions'")
    except ClientError as silence:
        yield error(scene.socket, str(silence), "see the log of the daemon")
    except OSError as hindrance:
        reason = (hindrance.strerror or str(hindrance)).lower()
        yield note(str(hindrance.filename or ""), f"cannot be looked at: {reason}")
    except (LookupError, ValueError):
        if not scene.is_strange:
            raise
        yield note(scene.socket, "a daemon of another version answers in another way", _RESTART)
