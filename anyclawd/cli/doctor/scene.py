"""What a doctor is called to: the configuration, the directories, and the daemon if one answers."""

import os
import pwd
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from anyclawd.cli import places
from anyclawd.client.boots import find_state_dir
from anyclawd.client.client import SYSTEM_SOCKET, Client, find_socket
from anyclawd.client.exchange import ClientError
from anyclawd.model.value import Json
from anyclawd.runtime import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyclawd.cli.doctor.evidence.metrics import Figures
    from anyclawd.cli.doctor.evidence.trial import Stage
    from anyclawd.cli.doctor.verdict.service import ServiceFacts
    from anyclawd.cli.doctor.verdict.store import StoreFacts
    from anyclawd.compile.compiler import Outcome
    from anyclawd.model.plan import Plan

#: Where the packaged daemon has its things.
_SYSTEM_CONFIG, _SYSTEM_STATE = "/etc/anyclawd", "/var/lib/anyclawd"

#: How long the daemon may take for an answer.
_ANSWER_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What the compiler makes of the configuration, as seen from here."""

    outcome: "Outcome | None"  #: None where the compiler could not even run
    failure: str = ""  #: why it could not
    is_unseen: bool = False  #: we may not read it


@dataclass(slots=True, kw_only=True)
class Online:
    """A daemon that answers."""

    client: Client
    status: Json


@dataclass(kw_only=True)
class Scene:
    """Everything that checks share; read once, on first use."""

    environ: Mapping[str, str]
    socket: str
    config: str  #: empty where there is none
    no_config: str = ""  #: why there is none
    state_dir: str
    runtime_dir: str
    online: Online | None = None
    silence: str = ""  #: why no daemon answers
    is_asked: bool = True  #: whether a daemon was looked for at all
    uid: int = field(default_factory=os.geteuid)

    @cached_property
    def compiled(self) -> Compiled:
        return _compiled(self.config, self.environ, f"{self.runtime_dir}/dropins")

    @cached_property
    def service(self) -> "ServiceFacts":
        """The unit of systemd that the daemon runs in, or would."""
        from anyclawd.cli.doctor.evidence import service_manager

        return service_manager.facts_of(self.pid)

    @cached_property
    def store(self) -> "StoreFacts | None":
        """The database; several checks ask after it, and it is read through once."""
        from anyclawd.cli.doctor.evidence import store

        return store.facts_of(self)

    @cached_property
    def stage(self) -> "Stage":
        """How the daemon starts its units; to be asked for only where there is a plan."""
        from anyclawd.cli.doctor.evidence.trial import Stage

        assert self.plan is not None
        return Stage(
            settings=self.plan.settings,
            environ=self.environ,
            state_dir=self.state_dir,
            daemon_uid=self.daemon_uid,
        )

    @property
    def pid(self) -> int | None:
        return None if self.online is None else self.online.status["pid"]

    @cached_property
    def running(self) -> frozenset[str]:
        """The units that have a process at the moment."""
        rows = [] if self.online is None else self.online.status["units"]
        return frozenset(row["name"] for row in rows if row["pid"] is not None)

    @cached_property
    def figures(self) -> "Figures":
        """The daemon's figures; to be asked for only where one answers."""
        from anyclawd.cli.doctor.evidence import metrics

        assert self.online is not None
        return metrics.read(self.online)

    @property
    def plan(self) -> "Plan | None":
        outcome = self.compiled.outcome
        return None if outcome is None else outcome.plan

    @cached_property
    def daemon_uid(self) -> int:
        """Whose processes the daemon's are, or would be."""
        if self.online is not None:
            owner = _owner_of(f"/proc/{self.online.status['pid']}")
            if owner is not None:
                return owner
        owner = _owner_of(self.state_dir)
        return self._expected_uid() if owner is None else owner

    def _expected_uid(self) -> int:
        """Of a daemon that has never run: as its unit of systemd says, else ours."""
        user = self.service.user
        try:
            return pwd.getpwnam(user).pw_uid if user else self.uid
        except KeyError:
            return self.uid


def scene_of(options: Namespace, environ: Mapping[str, str]) -> Scene:
    """What the command line and the environment mean. A named socket that is silent is no error."""
    runtime = _runtime_dir(options.runtime_dir, environ)
    socket = options.socket or (f"{runtime}/admin.sock" if options.runtime_dir else "")
    socket = find_socket(socket or None, environ)
    online, silence = (None, "") if options.offline else _call(socket)
    config, why = _config_of(options, environ, online)
    if not options.runtime_dir and not environ.get("RUNTIME_DIRECTORY"):
        runtime = str(Path(socket).parent)
    return Scene(
        environ=environ if online is None else _environ_of(online.status["pid"], environ),
        socket=socket,
        config=config,
        no_config=why,
        state_dir=_state_dir(options.state_dir, environ, socket, config),
        runtime_dir=runtime,
        online=online,
        silence=silence,
        is_asked=not options.offline,
    )


def _call(socket: str) -> tuple[Online | None, str]:
    client = Client(socket, _ANSWER_S)
    try:
        return Online(client=client, status=client.get("/v1/status")), ""
    except ClientError as error:
        return None, str(error)


def _config_of(
    options: Namespace, environ: Mapping[str, str], online: Online | None
) -> tuple[str, str]:
    """Its absolute path, or why there is none. A daemon that runs knows best which one it is."""
    if not options.config and online is not None:
        return online.status["config"], ""
    try:
        return str(places.find_config(options, environ).absolute()), ""
    except ClientError as error:
        return "", str(error)


def _state_dir(given: str | None, environ: Mapping[str, str], socket: str, config: str) -> str:
    """As the daemon finds it; the system's, too, for a user who asks after the system's daemon."""
    is_told = given or environ.get("STATE_DIRECTORY")
    is_systems = socket == SYSTEM_SOCKET and config.startswith(f"{_SYSTEM_CONFIG}/")
    if not is_told and is_systems:
        return _SYSTEM_STATE
    return str(Path(find_state_dir(given, environ)).absolute())


def _runtime_dir(given: str | None, environ: Mapping[str, str]) -> str:
    found = given or environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return str(Path(found).absolute()) if found else ""


def _environ_of(pid: int, ours: Mapping[str, str]) -> Mapping[str, str]:
    """The daemon's environment where we may see it, else our own."""
    content = tree.read(f"/proc/{pid}/environ")
    if not content:
        return ours
    items = content.decode("utf-8", "surrogateescape").split("\0")
    return dict(item.partition("=")[::2] for item in items if item)


def _compiled(config: str, environ: Mapping[str, str], dropins: str) -> Compiled:
    if not config:
        return Compiled(outcome=None)
    if not os.access(config, os.R_OK):
        is_there = os.access(Path(config).parent, os.X_OK) and not os.access(config, os.F_OK)
        text = "there is no such file" if is_there else "we may not read it"
        return Compiled(outcome=None, failure=text, is_unseen=not is_there)
    try:
        from anyclawd.compile.compiler import compile_config
        from anyclawd.compile.tree import Machine
    except ModuleNotFoundError as error:
        return Compiled(outcome=None, failure=f"the compiler lacks the module {error.name!r}")
    outcome = compile_config(
        config, environ, Machine(environ), dropins=dropins, has_credentials=False
    )
    return Compiled(outcome=outcome)


def _owner_of(path: str) -> int | None:
    try:
        return Path(path).stat().st_uid
    except OSError:
        return None
