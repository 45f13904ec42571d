"""The Debian package of this very checkout, built as a developer of Debian would build it.

It is built of what is committed, in a clean tree of the release, by a user, without a network and
with nothing installed but what debian/control asks for. What comes out is kept in the cache of
trees by the content of the commit; tests, which no package holds, decide nothing of it.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.system import tree
from tests.system.tree import Release, Tree

ROOT = Path(__file__).parents[2]

#: What a build begins with: /source holds the upstream tarball, and debian/ in another.
_BUILD = """
useradd --no-create-home "$BUILDER"
echo 127.0.0.1 localhost >/etc/hosts
mkdir --parents "$PLACE"
cd "$PLACE"
cp /source/* .
chown --recursive "$BUILDER" .
exec runuser --user "$BUILDER" -- sh -euc '
umask "$MASK"
for tarball in *.tar.xz; do tar --extract --file "$tarball"; done
cd anyclawd-*/
exec dpkg-buildpackage --no-sign
'
"""

#: Tests of the packages in /packages, against what is installed of them.
_TEST = "exec autopkgtest --quiet --output-dir=/tmp/output /packages/anyclawd_*.changes -- null"

#: How long packages are kept that nobody has asked for: a week.
_KEPT_S = 7 * 24 * 3600.0

#: Parts of the checkout that no package holds.
_UNPACKAGED = ("tests/", ".ci/")


class PackagingError(Exception):
    """A step has ended in failure; the text is the end of what it has printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What differs between machines that build the same package."""

    user: str = "builder"
    place: str = "/build"
    umask: str = "022"
    locale: str = "C.UTF-8"
    zone: str = "UTC"
    tests: bool = False  #: whether the build passes the tests, as it does for Debian


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a build has left in a directory."""

    release: Release
    directory: Path

    @property
    def deb(self) -> Path:
        """The package itself: the one file that is installed."""
        return self._one("anyclawd_*_all.deb")

    @property
    def documentation(self) -> Path:
        return self._one("anyclawd-doc_*_all.deb")

    @property
    def changes(self) -> Path:
        return self._one("anyclawd_*.changes")

    @property
    def log(self) -> Path:
        return self.directory / "build.log"

    def _one(self, pattern: str) -> Path:
        [found] = self.directory.glob(pattern)
        return found


def built(release: Release) -> Built:
    """The packages of this checkout for a release, built now or before.

    Raises Unavailable where they cannot be built here, and PackagingError where the build fails.
    """
    room, source = builder(release), commit()
    rows = _git("ls-tree", "-r", "-z", source).split("\0")
    packaged = [row for row in rows if not row.partition("\t")[2].startswith(_UNPACKAGED)]
    content = "\n".join([room.layers[0].name, *packaged])
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    kept = tree.cache() / f"{release}+package-{digest}"
    with tree.making(kept) as is_missing:
        if is_missing:
            with tempfile.TemporaryDirectory(dir=tree.cache(), prefix="making-") as work:
                output = Path(work, "output")
                _build(room, source, output, Conditions())
                output.rename(kept)
        os.utime(kept)
    for former in tree.cache().glob(f"{release}+package-*"):
        if former.stat().st_mtime < kept.stat().st_mtime - _KEPT_S:
            shutil.rmtree(former) if former.is_dir() else former.unlink()
    return Built(release=release, directory=kept)


def build(release: Release, output: Path, conditions: Conditions) -> Built:
    """Build the packages in other conditions, into a directory that is not there yet."""
    _build(builder(release), commit(), output, conditions)
    return Built(release=release, directory=output)


@cache
def commit() -> str:
    """What is built: one commit in a whole run of tests, whoever commits another meanwhile."""
    return _git("rev-parse", "HEAD")


def builder(release: Release) -> Tree:
    """A tree that has what the package declares to need for its build."""
    control = (ROOT / "debian/control").read_text()
    [needs] = re.findall(r"^Build-Depends:\n((?: .*\n)+)", control, re.MULTILINE)
    packages = [need.split()[0].rstrip(",") for need in needs.splitlines()]
    return tree.layer(release, "build", ["build-essential", *packages])


def tested(packages: Built) -> str:
    """Run debian/tests where nothing but what they declare is installed; the end of the log.

    Raises PackagingError where a test fails, or where none has run.
    """
    with tree.chroot(testbed(packages)) as chroot:
        done = chroot.run("sh", "-euc", _TEST, binds={"/packages": packages.directory})
    if done.returncode:
        raise PackagingError(done.stdout[-12000:])
    return done.stdout[-4000:]


def testbed(packages: Built) -> Tree:
    """A tree that has what the package and its tests depend on, but not the package."""
    depends = subprocess.run(
        ["dpkg-deb", "--field", packages.deb, "Depends"], check=True, capture_output=True, text=True
    )
    tests = (ROOT / "debian/tests/control").read_text()
    libraries = sorted({*re.findall(r"python3-[a-z-]+", depends.stdout + tests)})
    return tree.layer(packages.release, "testbed", ["autopkgtest", "dpkg-dev", *libraries])


def findings(packages: Built) -> str:
    """What the release's own lintian has to say of the packages, at its most pedantic."""
    room = tree.layer(packages.release, "lintian", ["lintian"])
    with tree.chroot(room) as chroot:
        lintian = ["lintian", "--allow-root", "--pedantic"]
        changes = f"/packages/{packages.changes.name}"
        done = chroot.run(*lintian, changes, binds={"/packages": packages.directory})
    return done.stdout


def _build(room: Tree, source: str, output: Path, conditions: Conditions) -> None:
    with tempfile.TemporaryDirectory() as packed, tree.chroot(room) as chroot:
        _pack(source, Path(packed))
        done = chroot.run(
            *("sh", "-euc", _BUILD),
            binds={"/source": Path(packed)},
            environment={
                "HOME": "/nonexistent",
                "BUILDER": conditions.user,
                "PLACE": conditions.place,
                "MASK": conditions.umask,
                "LC_ALL": conditions.locale,
                "TZ": conditions.zone,
                "DEB_BUILD_OPTIONS": "" if conditions.tests else "nocheck",
            },
        )
        if done.returncode:
            raise PackagingError(done.stdout[-12000:])
        output.mkdir()
        (output / "build.log").write_text(done.stdout)
        for path in Path(f"{chroot.files}{conditions.place}").iterdir():
            if path.is_file():
                shutil.copy(path, output)


def _pack(source: str, directory: Path) -> None:
    """Make the upstream tarball, and another one of debian/."""
    version = (ROOT / "debian/changelog").read_text().partition("(")[2].partition("-")[0]
    for tarball, *paths in (
        (f"anyclawd_{version}.orig.tar.xz", ":(exclude)debian"),
        ("debian.tar.xz", "debian"),
    ):
        _git(
            *("-c", "tar.umask=0022", "-c", "tar.tar.xz.command=xz -1c"),
            *("archive", "--format=tar.xz", f"--prefix=anyclawd-{version}/"),
            *(f"--output={directory / tarball}", source, "--", *paths),
        )


def _git(*words: str) -> str:
    asked = subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True)
    return asked.stdout.strip()
