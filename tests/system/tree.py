"""Debian trees to boot or to build in, each a stack of overlay layers kept in a cache.

At the bottom of a stack lies what debootstrap made; above it come layers, each made once, by
commands run inside the stack below, and named after a digest of all that decides what is in it.
Nothing is ever changed in place: who wants another content gets another layer, and what runs in a
tree (a machine, or a `Chroot`) writes to an upper directory of its own, which goes when it ends.

The cache is `$ANYCLAWD_MACHINES`, else `anyclawd/machines` below the user's cache directory; to
begin anew, for instance after a point release of Debian, remove it.
"""

import fcntl
import hashlib
import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.fakes.daemon import Deadline

#: How long nobody has to ask for something in the cache until it goes: two weeks.
_KEPT_S = 14 * 24 * 3600.0

#: The longest that one step may take: a mirror that has gone silent is no reason to wait for ever.
_STEP_S = 1800.0

#: What a machine has beside a minimal Debian: users' sessions, an administrator's tools, and those
#: of the tests.
_TOOLS = ("ca-certificates", "curl", "iproute2", "libpam-systemd", "needrestart", "procps")

#: What the package needs of Debian.
_NEEDED = (
    *("python3", "python3-aiohttp", "python3-aiosqlite", "python3-jsonschema", "python3-networkx"),
    *("python3-prometheus-client", "python3-sdnotify", "python3-tomli-w", "python3-uvloop"),
    "python3-yaml",
)

#: A name of its own, not ours. And dpkg need not wait for a disk: what a crash breaks is made anew.
_SETTLE = "echo debian >/etc/hostname; echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/unsafe-io"

#: Mounts a tree and unified cgroups where only the container sees them, and becomes the container.
#: A hybrid host shows its cgroups of version 1 in that place; a systemd of today refuses those.
#: What systemd-nspawn keeps for a while lies on a tmpfs: on a disk it would not be cleaned up.
_ENTER = """
layers=$1 upper=$2 cgroup=$3
shift 3
options="volatile,lowerdir=$layers,upperdir=$upper/files,workdir=$upper/work"
mount -t overlay overlay -o "$options" "$upper/root"
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
  umount -R /sys/fs/cgroup
  mount -t cgroup2 none /sys/fs/cgroup
fi
mkdir --parents /run/systemd/nspawn
mount -t tmpfs none /run/systemd/nspawn
echo 0 >"/sys/fs/cgroup/$cgroup/cgroup.procs"
exec systemd-nspawn --quiet --directory="$upper/root" --register=no --keep-unit "$@"
"""


class Release(StrEnum):
    """The releases of Debian that the package is for."""

    TRIXIE = "trixie"
    BOOKWORM = "bookworm"


class Unavailable(Exception):
    """This machine cannot do it; the text says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A file system of a release, to be mounted and never to be written."""

    release: Release
    layers: tuple[Path, ...]  #: directories, the uppermost first


def cache() -> Path:
    """Where trees are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(os.environ.get("ANYCLAWD_MACHINES") or Path(home, "anyclawd", "machines"))


def lacking() -> str:
    """What this machine lacks to run containers, empty if nothing."""
    if os.geteuid() != 0:
        return "containers need root"
    for program, package in (("systemd-nspawn", "systemd-container"), ("unshare", "util-linux")):
        if shutil.which(program) is None:
            return f"there is no {program}: install the Debian package {package}"
    if _cgroups() is None:
        return "no cgroup2 file system is mounted"
    trial = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    tried = subprocess.run(trial, capture_output=True, text=True)
    return f"this root may not mount: {tried.stderr.strip()}" if tried.returncode else ""


def base(release: Release) -> Tree:
    """A Debian with a few tools, the lists of apt, and all that ours needs within its reach.

    That, and what it recommends, is fetched, so that apt finds it without a network, and not
    installed, so that installing the package has that to do.

    Raises Unavailable where it is neither in the cache nor to be had.
    """
    if why := lacking():
        raise Unavailable(why)
    bottom = Tree(release=release, layers=(_bootstrapped(release),))
    fetch = ["apt-get", "install", "--yes", "--download-only", "python3-pil", *_NEEDED]
    return grown(
        bottom,
        "base",
        [["sh", "-c", _SETTLE], ["apt-get", "update"], _install(_TOOLS), fetch],
    )


def ready(release: Release) -> Tree:
    """A base tree with what the package needs installed, so that the package itself is soon in."""
    return grown(base(release), "ready", [_install(_NEEDED)], network=False)


def layer(release: Release, name: str, packages: Sequence[str]) -> Tree:
    """A base tree with further packages of Debian installed, without what they recommend."""
    return grown(base(release), name, [["apt-get", "update"], _install(packages)])


def grown(
    below: Tree,
    name: str,
    commands: Sequence[Sequence[str]],
    *,
    binds: Mapping[str, Path] | None = None,
    network: bool = True,
) -> Tree:
    """A tree with one more layer, which holds what `commands` have changed when run one by one.

    `binds` are files of this machine, by where they are to be seen inside while the commands run;
    their contents count among what names the layer.
    """
    files = {
        inside: hashlib.sha256(path.read_bytes()).hexdigest()
        for inside, path in (binds or {}).items()
    }
    what = [[path.name for path in below.layers], [*map(list, commands)], files]
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]
    kept = cache() / f"{below.release}+{name}-{digest}"
    with making(kept) as is_missing:
        if is_missing:
            with chroot(below) as room:
                for command in commands:
                    done = room.run(*command, network=network, binds=binds)
                    if done.returncode:
                        end = done.stdout[-3000:]
                        raise Unavailable(f"cannot make {kept.name}: {' '.join(command)}: {end}")
                room.files.rename(kept)
    return Tree(release=below.release, layers=(kept, *below.layers))


class Chroot:
    """A writable view of a tree in which commands run one after another, without a systemd."""

    def __init__(self, tree: Tree, upper: Path) -> None:
        self.tree, self._upper = tree, upper
        self.files = upper / "files"  #: what was written so far, by where it is inside

    def run(
        self,
        *argv: str,
        network: bool = False,
        binds: Mapping[str, Path] | None = None,
        environment: Mapping[str, str] | None = None,
        directory: str = "/",
    ) -> "subprocess.CompletedProcess[str]":
        """Run one command as root; its exit status, and what it wrote to stdout and stderr in one.

        Raises TimeoutExpired after half an hour.

        `binds` are files and directories of this machine by where they are to be seen, read only.
        """
        variables = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        with container(self.tree, self._upper, "chroot") as enter:
            return subprocess.run(
                [
                    *enter,
                    *("--pipe", "--as-pid2", f"--chdir={directory}"),
                    *("--resolv-conf=replace-host" if network else "--private-network",),
                    *(f"--bind-ro={path}:{inside}" for inside, path in (binds or {}).items()),
                    *(
                        f"--setenv={name}={text}"
                        for name, text in (variables | dict(environment or {})).items()
                    ),
                    *argv,
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=_STEP_S,
            )


@contextmanager
def chroot(tree: Tree) -> Iterator[Chroot]:
    """A view of a tree that is gone afterwards, with all that was written."""
    with upper_directory() as upper:
        yield Chroot(tree, upper)


@contextmanager
def upper_directory() -> Iterator[Path]:
    """A place, on the file system of the cache, for what is written above a tree."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache(), prefix="running-") as name:
        upper = Path(name)
        for part in ("files", "root"):
            (upper / part).mkdir()
        upper.chmod(0o755)
        yield upper


@contextmanager
def container(tree: Tree, upper: Path, name: str) -> Iterator[list[str]]:
    """The beginning of a command that runs systemd-nspawn on a tree, to be followed by arguments.

    Its mounts are its own and vanish with it; all of its processes are in one control group, and
    are killed, if any are left, when the context ends, and when the process that started it dies.
    """
    cgroups = _cgroups()
    if cgroups is None:
        raise Unavailable("no cgroup2 file system is mounted")
    shutil.rmtree(upper / "work", ignore_errors=True)  # it would tell of the former mount
    (upper / "work").mkdir()
    group = Path(tempfile.mkdtemp(dir=cgroups, prefix=f"machine-{name}-"))
    layers = ":".join(map(str, tree.layers))
    enter = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"]
    try:
        yield [*enter, "sh", "-euc", _ENTER, "sh", layers, str(upper), group.name]
    finally:
        _end(group)


def _end(group: Path) -> None:
    """Kill what is in a control group and remove it; a group is empty soon after its processes."""
    (group / "cgroup.kill").write_text("1")
    deadline = Deadline()
    with (group / "cgroup.events").open() as events:
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        while "populated 1" in events.read():
            poll.poll(1000 * min(1.0, deadline.left(f"{group.name} to be empty")))
            events.seek(0)
    for path, _, _ in os.walk(group, topdown=False):
        Path(path).rmdir()


def _cgroups() -> Path | None:
    """Where the unified hierarchy of control groups is mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


def _install(packages: Sequence[str]) -> list[str]:
    return ["apt-get", "install", "--yes", "--no-install-recommends", *packages]


def _bootstrapped(release: Release) -> Path:
    """The directory that debootstrap has filled."""
    kept = cache() / release
    with making(kept) as is_missing:
        if is_missing:
            if shutil.which("debootstrap") is None:
                raise Unavailable(
                    "there is no debootstrap: install the Debian package of that name"
                )
            with tempfile.TemporaryDirectory(dir=cache(), prefix="making-") as work:
                root = Path(work, "root")
                command = ["debootstrap", "--variant=minbase", "--include=systemd-sysv,dbus"]
                made = subprocess.run(
                    [*command, release, str(root), mirror()],
                    capture_output=True,
                    text=True,
                    timeout=_STEP_S,
                )
                if made.returncode:
                    end = (made.stdout + made.stderr)[-3000:]
                    raise Unavailable(f"cannot make a tree of {release} from {mirror()}: {end}")
                root.rename(kept)
    return kept


def mirror() -> str:
    """Where this machine itself has Debian from, or `$ANYCLAWD_DEBIAN_MIRROR`."""
    if chosen := os.environ.get("ANYCLAWD_DEBIAN_MIRROR"):
        return chosen
    if shutil.which("apt-get"):
        targets = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
        asked = subprocess.run([*targets, "Label: Debian"], capture_output=True, text=True)
        if sites := asked.stdout.split():
            return sites[0]
    raise Unavailable("no mirror of Debian is known: name one in ANYCLAWD_DEBIAN_MIRROR")


@contextmanager
def making(kept: Path) -> Iterator[bool]:
    """Whether something is still to be made, which no other process does meanwhile.

    What has the same name before its digest, and was not asked for in a long time, is removed.
    """
    cache().mkdir(parents=True, exist_ok=True)
    with kept.with_name(f"{kept.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not kept.exists()
        os.utime(kept)
    family, _, digest = kept.name.rpartition("-")
    for other in cache().glob(f"{family}-{'[0-9a-f]' * len(digest)}") if family else ():
        if other.stat().st_mtime < kept.stat().st_mtime - _KEPT_S:
            shutil.rmtree(other)
            other.with_name(f"{other.name}.lock").unlink(missing_ok=True)
