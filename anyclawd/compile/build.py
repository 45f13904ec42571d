"""From a draft to a `Unit`: defaults applied, every value final.

Relations are the graph's business and are linked in by `compiler`; here a unit gets everything
that concerns itself alone.
"""

import posixpath
from collections.abc import Mapping
from types import MappingProxyType

from anyclawd.compile.draft import Draft, problem_of, protocol_of, readiness_of
from anyclawd.compile.origin import Shown
from anyclawd.compile.policies import (
    backoff_of,
    condition_of,
    exit_codes_of,
    health_of,
    hooks_of,
    items_of,
    notify_access_of,
    readiness_pattern_of,
    readiness_probe_of,
    resources_of,
    restart_of,
    start_limit_of,
    timeouts_of,
    value_of,
)
from anyclawd.compile.secret import hidden_in, is_secret_origin, marked
from anyclawd.compile.tree import Node
from anyclawd.model.deps import Dependencies, Ref
from anyclawd.model.plan import DEFAULT_TARGET
from anyclawd.model.policy import Isolation, Restart
from anyclawd.model.secret import SHOWN_AS
from anyclawd.model.span import BUILT_IN
from anyclawd.model.tool import ToolRole
from anyclawd.model.unit import (
    Ack,
    AgentRole,
    ChannelRole,
    Kind,
    ReactionLifecycle,
    Unit,
)
from anyclawd.model.value import Json

_EMPTY: Mapping[str, Json] = MappingProxyType({})
_PLAIN_UNIT = Unit(name=DEFAULT_TARGET, kind=Kind.TARGET, span=BUILT_IN)


class Builder:
    """Makes units out of drafts. `shown` learns whose values went into them as they are.

    Where a unit does not say how often its health is looked at, it is `health_interval_s`.
    """

    def __init__(self, working_directory: str, shown: Shown, health_interval_s: float) -> None:
        self._working_directory, self._shown = working_directory, shown
        self._health_interval_s = health_interval_s

    def build(
        self,
        draft: Draft,
        deps: Dependencies,
        *,
        services: tuple[Ref, ...] = (),
        channel: ChannelRole | None = None,
        agent: AgentRole | None = None,
        tool: ToolRole | None = None,
    ) -> Unit:
        """The unit. Its kind decides which role it has to be given."""
        settings, declaration = draft.settings, draft.declaration
        kind = declaration.kind
        is_process = kind not in (Kind.CORE, Kind.TARGET)
        readiness = readiness_of(draft)
        return Unit(
            name=declaration.name,
            kind=kind,
            span=declaration.span,
            description=_description(settings),
            required=value_of(settings, "required", default=False),
            problem=problem_of(draft),
            protocol=protocol_of(draft),
            argv=draft.program.argv if draft.program is not None else (),
            environment=self._free(settings, "environment"),
            pass_environment=items_of(settings, "pass_environment", ()),
            working_dir=self.directory(draft),
            has_state_directory=value_of(settings, "state_directory", default=False),
            has_check=value_of(settings, "check", default=False),
            services=tuple(ref.unit for ref in services),
            user=value_of(settings, "user", ""),
            readiness=readiness,
            readiness_probe=readiness_probe_of(draft, readiness),
            readiness_pattern=readiness_pattern_of(draft),
            notify_access=notify_access_of(draft),
            health=health_of(draft, self._health_interval_s),
            watchdog_s=value_of(settings, "watchdog", _PLAIN_UNIT.watchdog_s),
            hooks=hooks_of(draft),
            condition=condition_of(draft, self._working_directory),
            isolate=Isolation(value_of(settings, "isolate", Isolation.NONE)),
            restart=restart_of(settings, readiness) if is_process else Restart.NEVER,
            backoff=backoff_of(settings),
            start_limit=start_limit_of(settings),
            exit_codes=exit_codes_of(settings),
            timeouts=timeouts_of(settings, kind),
            resources=resources_of(settings),
            stdout_line_max_bytes=value_of(
                settings, "stdout_line_max", _PLAIN_UNIT.stdout_line_max_bytes
            ),
            stderr_rate=value_of(settings, "stderr_rate", _PLAIN_UNIT.stderr_rate),
            options=self._free(settings, "options"),
            hidden=hidden_in(settings, self._shown),
            deps=deps,
            channel=channel,
            agent=agent,
            tool=tool,
        )

    def directory(self, draft: Draft) -> str:
        """The absolute working directory, or empty where it is the daemon's own."""
        node = draft.settings.get("working_dir")
        if node is None:
            return ""
        return posixpath.normpath(posixpath.join(self._working_directory, node.value))

    def session_directory(self, draft: Draft) -> str:
        """Where the sessions of an agent work."""
        inside = draft.declaration.container_dir
        return inside or self.directory(draft) or self._working_directory

    def _free(self, settings: Mapping[str, Node], name: str) -> Mapping[str, Json]:
        node = settings.get(name)
        return _EMPTY if node is None else MappingProxyType(marked(node, self._shown))


def _description(settings: Mapping[str, Node]) -> str:
    """What everybody is shown of a unit, so it is no place for a secret."""
    node = settings.get("description")
    if node is None:
        return ""
    is_secret = node.origin is not None and is_secret_origin(node.origin)
    return SHOWN_AS if is_secret else node.value


def read_ack(node: Node) -> Ack:
    """`options.ack`, read by the table."""
    default, value = Ack(), node.value
    return Ack(
        reaction=value_of(value, "reaction", default.reaction),
        typing=value_of(value, "typing", default.typing),
        reaction_emoji=value_of(value, "reaction_emoji", default.reaction_emoji),
        reaction_lifecycle=ReactionLifecycle(
            value_of(value, "reaction_lifecycle", default.reaction_lifecycle)
        ),
    )
