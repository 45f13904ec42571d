"""What a doctor is called to: the configuration, the directories, and the daemon if one answers."""

import os
import pwd
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from anyclawd import __version__
from anyclawd.cli import places
from anyclawd.cli.acting import acting_as, groups_of
from anyclawd.cli.doctor import deployment
from anyclawd.client.boots import find_state_dir
from anyclawd.client.client import Client, find_socket
from anyclawd.client.exchange import ClientError
from anyclawd.model.value import Json
from anyclawd.runtime import tree
from anyclawd.runtime.spawn import PASSED_ON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyclawd.cli.doctor.evidence.metrics import Figures
    from anyclawd.cli.doctor.evidence.trial import Stage
    from anyclawd.cli.doctor.there import There
    from anyclawd.cli.doctor.verdict.service import ServiceFacts
    from anyclawd.cli.doctor.verdict.store import StoreFacts
    from anyclawd.compile.compiler import Outcome
    from anyclawd.compile.origin import Taken
    from anyclawd.compile.sources import Input
    from anyclawd.compile.world import Places
    from anyclawd.model.plan import Plan

#: How long the daemon may take for an answer.
_ANSWER_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What the compiler makes of the configuration, as seen from here."""

    outcome: "Outcome | None"  #: None where the compiler could not even run
    failure: str = ""  #: why it could not
    is_unseen: bool = False  #: we may not read it
    needs_library: str = ""  #: the module that it lacks


@dataclass(slots=True, kw_only=True)
class Online:
    """A daemon that answers.

    Who it is the kernel says: what root does for the doctor must not hang on its own word.
    """

    client: Client
    status: Json
    uid: int
    pid: int | None  #: None where it cannot be seen from here


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
        return _compiled(self)

    @property
    def inputs(self) -> "tuple[Input, ...]":
        """What the plan depends on."""
        outcome = self.compiled.outcome
        return () if outcome is None else outcome.inputs

    @property
    def credentials(self) -> "tuple[Taken, ...]":
        """Those that the configuration asks for."""
        return tuple(one for one in self._taken if one.source == "credential")

    @property
    def variables(self) -> "tuple[Taken, ...]":
        """Those of the daemon's environment that the configuration asks for."""
        return tuple(one for one in self._taken if one.source == "env")

    @property
    def _taken(self) -> "tuple[Taken, ...]":
        outcome = self.compiled.outcome
        return () if outcome is None else outcome.taken

    @property
    def places(self) -> "Places":
        """Where things stand in the configuration that the machine may lack."""
        outcome = self.compiled.outcome
        return {} if outcome is None else outcome.places

    @cached_property
    def working_directory(self) -> str:
        """The daemon's, from which relative paths are read; ours where that is not known."""
        if self.pid is not None and (found := _link(f"/proc/{self.pid}/cwd")):
            return found
        return self.service.working_directory or str(Path.cwd())

    @cached_property
    def holder(self) -> int | None:
        """The pid of the daemon that has the state directory, whether it answers or not."""
        return _holder(f"{self.state_dir}/lock")

    @cached_property
    def machine(self) -> "There":
        """This machine, as the daemon sees it."""
        from anyclawd.cli.doctor.there import There

        return There(self.environ, self.working_directory, self.daemon_uid)

    @cached_property
    def service(self) -> "ServiceFacts":
        """The unit of systemd that the daemon runs in, or would."""
        from anyclawd.cli.doctor.evidence import service_manager

        return service_manager.facts_of(self.pid, deployment.by_config(self.config, self.environ))

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
            environ={**self.environ, **self._identity},
            state_dir=self.state_dir,
            daemon_uid=self.daemon_uid,
            working_directory=self.working_directory if self._has_worked else "",
        )

    @property
    def _identity(self) -> dict[str, str]:
        """Variables that tell who one is, as a service manager sets them for the daemon."""
        if self.online is not None or self.daemon_uid == self.uid:
            return {}
        try:
            account = pwd.getpwuid(self.daemon_uid)
        except KeyError:  # a number without a name
            return {}
        name, shell = account.pw_name, account.pw_shell or "/bin/sh"
        return {"HOME": account.pw_dir, "USER": name, "LOGNAME": name, "SHELL": shell}

    @property
    def _has_worked(self) -> bool:
        """Whether its working directory is there, which a service manager makes at a start."""
        return os.access(self.working_directory, os.X_OK)

    @property
    def is_strange(self) -> bool:
        """Whether the daemon is of another version than we are."""
        return self.online is not None and self.online.status.get("version") != __version__

    @property
    def pid(self) -> int | None:
        return None if self.online is None else self.online.pid

    @cached_property
    def running(self) -> frozenset[str]:
        """The units that have a process at the moment."""
        if self.online is not None:
            rows = self.online.status["units"]
            return frozenset(row["name"] for row in rows if row["pid"] is not None)
        # Which they are, only that daemon could say: what may be running is left in peace.
        is_hidden = self.holder is not None and self.plan is not None
        return frozenset(self.plan.units) if is_hidden and self.plan is not None else frozenset()

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
            return self.online.uid
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
    socket = _socket(options, environ)
    online, silence = (None, "") if options.offline else _call(socket)
    config, why = _config_of(options, environ, socket, online)
    if not options.runtime_dir and not environ.get("RUNTIME_DIRECTORY"):
        runtime = str(Path(socket).parent)
    scene = Scene(
        environ=environ,
        socket=socket,
        config=config,
        no_config=why,
        state_dir=_state_dir(options.state_dir, environ, config),
        runtime_dir=runtime,
        online=online,
        silence=silence,
        is_asked=not options.offline,
    )
    scene.environ = _environ_of(scene)
    return scene


def _call(socket: str) -> tuple[Online | None, str]:
    client = Client(socket, _ANSWER_S)
    try:
        pid, uid = client.peer()
        return Online(client=client, status=client.get("/v1/status"), uid=uid, pid=pid or None), ""
    except ClientError as error:
        return None, str(error)


def _socket(options: Namespace, environ: Mapping[str, str]) -> str:
    """The one that is named, by whatever option; else that of the deployment, or the usual one."""
    if options.socket or options.runtime_dir:
        return find_socket(options.socket or f"{options.runtime_dir}/admin.sock", environ)
    deployed = deployment.by_config(options.config or "", environ)
    if deployed is not None and not deployed.is_users and not environ.get("ANYCLAWD_SOCKET"):
        return deployed.socket
    return find_socket(None, environ)


def _config_of(
    options: Namespace, environ: Mapping[str, str], socket: str, online: Online | None
) -> tuple[str, str]:
    """Its absolute path, or why there is none. A daemon that runs knows best which one it is."""
    if not options.config and online is not None:
        return online.status["config"], ""
    is_named = options.socket or environ.get("ANYCLAWD_SOCKET")
    deployed = deployment.by_socket(socket) if is_named else None
    if not options.config and deployed is not None:
        return deployed.config, ""
    try:
        return str(places.find_config(options, environ).absolute()), ""
    except ClientError as error:
        return "", str(error)
    except OSError as error:  # it is there, or may be, and we may not look
        return str(error.filename), ""


def _state_dir(given: str | None, environ: Mapping[str, str], config: str) -> str:
    """That of the deployment, whoever asks after it; else as the daemon finds it."""
    deployed = deployment.by_config(config, environ)
    is_told = given or environ.get("STATE_DIRECTORY")
    if not is_told and deployed is not None and not deployed.is_users:
        return deployed.state_dir
    return str(Path(find_state_dir(given, environ)).absolute())


def _runtime_dir(given: str | None, environ: Mapping[str, str]) -> str:
    found = given or environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return str(Path(found).absolute()) if found else ""


def _environ_of(scene: Scene) -> Mapping[str, str]:
    """The daemon's environment where we may see it, else our own.

    Of root's own no more than every process is given: what a program is told of it, the daemon's
    user has a say in.
    """
    online, ours = scene.online, scene.environ
    if online is not None and online.pid is not None:
        is_its_own = _owner_of(f"/proc/{online.pid}") == online.uid
        if is_its_own and (content := tree.read(f"/proc/{online.pid}/environ")):
            items = content.decode("utf-8", "surrogateescape").split("\0")
            return dict(item.partition("=")[::2] for item in items if item)
    if scene.uid == 0 and scene.daemon_uid != 0:
        return {name: ours[name] for name in PASSED_ON if name in ours}
    return ours


def _holder(lock: str) -> int | None:
    """The pid that holds a lock.

    Read from the kernel's list, since to try the lock would keep a daemon out that starts just now.
    Source: proc_locks(5).
    """
    try:
        inode = Path(lock).stat().st_ino
    except OSError:
        return None
    noted = tree.read(lock).strip()
    for line in tree.read("/proc/locks").splitlines():
        fields = line.split()
        is_this = len(fields) > 5 and fields[5].rpartition(b":")[2] == b"%d" % inode
        if is_this and fields[1] == b"FLOCK" and fields[4] == noted:
            return int(noted)
    return None


def _link(path: str) -> str:
    """Where a link leads; empty where we may not see it."""
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _compiled(scene: Scene) -> Compiled:
    config, environ = scene.config, scene.environ
    if not config:
        return Compiled(outcome=None)
    try:
        Path(config).open("rb").close()
    except PermissionError:
        return Compiled(outcome=None, failure="we may not read it", is_unseen=True)
    except OSError as error:
        return Compiled(outcome=None, failure=(error.strerror or str(error)).lower())
    try:
        from anyclawd.compile.compiler import compile_config

        machine = scene.machine
    except ModuleNotFoundError as error:
        return Compiled(outcome=None, needs_library=error.name or "")
    dropins = f"{scene.runtime_dir}/dropins"
    # Drop-ins at run time and the variables are the daemon's to choose, and so is what is read.
    with acting_as(scene.daemon_uid, *groups_of(scene.daemon_uid)):
        outcome = compile_config(config, environ, machine, dropins=dropins, has_credentials=False)
    return Compiled(outcome=outcome)


def _owner_of(path: str) -> int | None:
    try:
        return Path(path).stat().st_uid
    except OSError:
        return None
