"""What control groups there are for units."""

import os
from pathlib import Path

from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.containment import ContainmentFacts
from anyclawd.model.policy import CgroupUse
from anyclawd.runtime import cgroup, tree

#: Where v2 is mounted: alone, or beside the hierarchies of v1.
_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
_INITIAL = "pid:[4026531836]"


def facts_of(scene: Scene) -> ContainmentFacts:
    use = CgroupUse.AUTO if scene.plan is None else scene.plan.settings.cgroup
    service = scene.service
    found, why_none = cgroup.find("doctor", CgroupUse.AUTO)
    if found is not None and not os.access(Path(found.path).parent, os.W_OK):
        why_none = "the control group is not ours to write to"
    return ContainmentFacts(
        said=scene.online.status["containment"] if scene.online is not None else "",
        why_none=why_none,
        unit=service.unit if service.is_loaded else "",
        is_delegated=service.is_delegated,
        controllers=_controllers(),
        is_required=use is CgroupUse.REQUIRED,
        is_refused=use is CgroupUse.NEVER,
        is_boxed=not service.is_booted and _is_in_namespace(),
    )


def _is_in_namespace() -> bool:
    """Whether our processes end with some other one, which is the first of its namespace.

    Source: pid_namespaces(7); PROC_PID_INIT_INO of Linux is the number of the initial one.
    """
    try:
        return str(Path("/proc/self/ns/pid").readlink()) != _INITIAL
    except OSError:
        return False


def _controllers() -> tuple[str, ...]:
    for root in _ROOTS:
        if listed := tree.read(f"{root}/cgroup.controllers").decode().split():
            return tuple(listed)
    return ()
