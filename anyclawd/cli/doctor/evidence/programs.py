"""What the machine has of what units name."""

import os
import stat
from pathlib import Path

from anyclawd.cli.doctor.evidence.paths import look
from anyclawd.cli.doctor.finding import MakeDirectory
from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.permissions import Shape, Use
from anyclawd.cli.doctor.verdict.programs import Missing, ProgramFacts
from anyclawd.model.plan import Plan
from anyclawd.model.unit import Unit


def facts_of(scene: Scene, plan: Plan) -> ProgramFacts:
    from anyclawd.compile.world import place_of, world_lacks

    return ProgramFacts(
        missing=tuple(
            Missing(
                unit=lack.unit,
                place=str(place_of(lack, plan, scene.places).span),
                severity=lack.severity,
                text=lack.text,
                remedy=lack.remedy,
                makeable=_makeable(plan.units[lack.unit], scene)
                if lack.setting == "working_dir"
                else None,
            )
            for lack in world_lacks(plan, scene.machine)
        ),
        unseen=tuple(sorted(scene.machine.unseen)),
        units=sum(unit.is_process for unit in plan.units.values()),
    )


def _makeable(unit: Unit, scene: Scene) -> MakeDirectory | None:
    """Its working directory, if nothing is in its place and its owner may make it there."""
    path, owner = unit.working_dir, _account(unit, scene.daemon_uid)
    parent = look(str(Path(path).parent), Use.PRIVATE)
    if os.access(path, os.F_OK) or parent.shape is not Shape.DIRECTORY or owner is None:
        return None
    if owner[0] not in (0, parent.uid) or not parent.mode & stat.S_IWUSR:
        return None
    return MakeDirectory(path=path, mode=0o755, owner=owner)


def _account(unit: Unit, daemon_uid: int) -> tuple[int, int] | None:
    """Whose its process is; None where that has no account to look up."""
    import pwd

    try:
        if unit.user and not unit.user.isdecimal():
            account = pwd.getpwnam(unit.user)
        else:
            account = pwd.getpwuid(int(unit.user) if unit.user else daemon_uid)
    except KeyError:
        return None
    return account.pw_uid, account.pw_gid
