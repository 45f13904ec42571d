"""What the machine has of what units name."""

import os
from pathlib import Path

from anyclawd.cli.doctor.evidence.paths import is_directory
from anyclawd.cli.doctor.finding import MakeDirectory
from anyclawd.cli.doctor.scene import Scene
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
    """Its working directory, if that has a parent and nothing is in its place."""
    path = unit.working_dir
    if os.access(path, os.F_OK) or not is_directory(str(Path(path).parent)):
        return None
    return MakeDirectory(path=path, mode=0o755, owner=_account(unit, scene.daemon_uid))


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
