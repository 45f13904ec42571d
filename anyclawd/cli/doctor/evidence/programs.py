"""What the machine has of what units name."""

import os
from pathlib import Path

from anyclawd.cli.doctor.evidence.paths import is_directory
from anyclawd.cli.doctor.finding import MakeDirectory
from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.programs import ProgramFacts
from anyclawd.model import world
from anyclawd.model.plan import Plan
from anyclawd.model.unit import Unit


def facts_of(scene: Scene, plan: Plan) -> ProgramFacts:
    from anyclawd.compile.compiler import world_findings
    from anyclawd.compile.tree import Machine

    return ProgramFacts(
        lacking=world_findings(plan, Machine(scene.environ), scene.places),
        makeable=_makeable(plan, scene),
        units=sum(unit.is_process for unit in plan.units.values()),
    )


def _makeable(plan: Plan, scene: Scene) -> dict[str, MakeDirectory]:
    """By the text that misses it: each working directory that is not there, and has a parent."""
    return {
        world.no_working_dir(path): MakeDirectory(
            path=path, mode=0o755, owner=_account(unit, scene.daemon_uid)
        )
        for unit in plan.units.values()
        if (path := unit.working_dir)
        and not os.access(path, os.F_OK)
        and is_directory(str(Path(path).parent))
    }


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
