"""The configuration as it compiles from here, and as the daemon would take it up."""

from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.configuration import ConfigFacts, ReloadFacts
from anyclawd.cli.reload import reload
from anyclawd.client.exchange import ClientError
from anyclawd.model import credential


def config_facts(scene: Scene) -> ConfigFacts:
    compiled = scene.compiled
    outcome, plan = compiled.outcome, scene.plan
    names = (one.name for one in scene.credentials)
    return ConfigFacts(
        path=scene.config,
        why_none=scene.no_config,
        failure=compiled.failure,
        is_unseen=compiled.is_unseen,
        needs_library=compiled.needs_library,
        found=() if outcome is None else outcome.findings,
        told_elsewhere=frozenset(map(credential.not_known, names)),
        units=0 if plan is None else len(plan.units),
    )


def reload_facts(scene: Scene) -> ReloadFacts | None:
    """What a reload would do; nothing is done. None where that is about another configuration."""
    online = scene.online
    if online is None or online.status["config"] != scene.config:
        return None
    try:
        answer = reload(online.client, dry_run=True)
    except ClientError as error:
        return ReloadFacts(findings=error.findings, failure="" if error.findings else str(error))
    return ReloadFacts(answer=answer)
