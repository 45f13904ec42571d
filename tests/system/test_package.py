"""What the package holds, what it asks of a Debian, and that all who build it get the same."""

import subprocess
import tarfile
import tomllib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

import anyclawd
from tests.system import package as packaging
from tests.system.package import ROOT, Built, Conditions
from tests.system.tree import Chroot, Release, Tree, chroot

PYTHON = "usr/lib/python3/dist-packages/"
SHARED = "usr/share/anyclawd/"

#: Where the two releases have systemd's own units.
UNITS = {Release.TRIXIE: "usr/lib/systemd/system/", Release.BOOKWORM: "lib/systemd/system/"}

#: What is no code and no data of it.
AROUND = {
    "etc/anyclawd/anyclaw.yaml",
    "usr/bin/anyclaw-mcp-stdio",
    "usr/bin/anyclawctl",
    "usr/bin/anyclawd",
    "usr/lib/systemd/user/anyclawd.service",
    "usr/lib/sysusers.d/anyclawd.conf",
    "usr/lib/tmpfiles.d/anyclawd.conf",
    "usr/share/bash-completion/completions/anyclawctl",
    "usr/share/bash-completion/completions/anyclawd",
    "usr/share/doc/anyclawd/changelog.Debian.gz",
    "usr/share/doc/anyclawd/copyright",
    "usr/share/fish/vendor_completions.d/anyclawctl.fish",
    "usr/share/fish/vendor_completions.d/anyclawd.fish",
    "usr/share/lintian/overrides/anyclawd",
    "usr/share/man/man1/anyclaw-mcp-stdio.1.gz",
    "usr/share/man/man1/anyclawctl.1.gz",
    "usr/share/man/man5/anyclaw.yaml.5.gz",
    "usr/share/man/man5/anyclawd.unit.5.gz",
    "usr/share/man/man8/anyclawd.8.gz",
    "usr/share/python3/runtime.d/anyclawd.rtupdate",
    "usr/share/zsh/vendor-completions/_anyclawctl",
    "usr/share/zsh/vendor-completions/_anyclawd",
}

#: Imports every module that has been installed, with nothing but what Depends brings.
IMPORT_ALL = """
import importlib, pkgutil
import anyclaw_sdk, anyclawd
for root in anyclawd, anyclaw_sdk:
    for module in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    print(root.__path__[0])
"""

#: Other conditions than those of `built`, as far as they can be had without another machine.
ELSEWHERE = Conditions(
    user="somebody",
    place="/home/somebody/anyclawd-for-debian",
    umask="077",
    locale="C",
    zone="Pacific/Kiritimati",
    tests=True,
)


def members(deb: Path) -> list[tarfile.TarInfo]:
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], check=True, capture_output=True)
    with tarfile.open(fileobj=BytesIO(unpacked.stdout)) as archive:
        return archive.getmembers()


def files(deb: Path) -> set[str]:
    return {member.name.removeprefix("./") for member in members(deb) if not member.isdir()}


def field(deb: Path, name: str) -> list[str]:
    """One field of the control file, as the list it is."""
    asked = subprocess.run(
        ["dpkg-deb", "--field", deb, name], check=True, capture_output=True, text=True
    )
    return sorted(item.strip() for item in asked.stdout.split(","))


def committed(*paths: str) -> set[str]:
    asked = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", packaging.commit(), *paths],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return set(asked.stdout.splitlines())


# -- what it holds ------------------------------------------------------------------------------


def test_it_holds_what_is_committed_and_nothing_else(package: Built) -> None:
    code = {
        PYTHON + path.removeprefix("ext/sdk/")
        for path in committed("anyclawd", "ext/sdk/anyclaw_sdk")
    }
    kinds = [f"ext/{kind}" for kind in ("agents", "channels", "services", "tools")]
    shared = {SHARED + path for path in committed("units", "schema", *kinds)}
    units = {UNITS[package.release] + name for name in ("anyclawd.service", "anyclawd@.service")}
    found = {path for path in files(package.deb) if ".dist-info/" not in path}
    assert found == code | shared | units | AROUND


def test_the_documentation_is_whole(package: Built) -> None:
    own = "usr/share/doc/anyclawd/"
    fragments = committed("docs/changelog.d")
    pages = {own + path for path in committed("README.md", "docs") - fragments}
    found = {path for path in files(package.documentation) if path.startswith(own)}
    links = {own + "examples", own + "ext"}
    assert found == {page for page in pages if not page.endswith(".gitignore")} | links


def test_all_is_root_s_and_nobody_else_writes_it(package: Built) -> None:
    for deb in (package.deb, package.documentation):
        for member in members(deb):
            assert (member.uname, member.gname) == ("root", "root"), member.name
            is_program = member.isdir() or member.name.startswith("./usr/bin/")
            is_program |= member.name.endswith(".rtupdate")
            if not member.issym():
                assert member.mode == (0o755 if is_program else 0o644), member.name


def test_the_configuration_is_the_one_conffile(package: Built) -> None:
    control = subprocess.run(
        ["dpkg-deb", "--info", package.deb, "conffiles"], check=True, capture_output=True, text=True
    )
    assert control.stdout.split() == ["/etc/anyclawd/anyclaw.yaml"]


# -- what it asks for ---------------------------------------------------------------------------


def test_it_depends_on_what_the_project_does(package: Built) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {f"python3-{need.partition('>')[0]}" for need in project["dependencies"]}
    wanted = {
        name.replace("python3-py", "python3-") if name == "python3-pyyaml" else name
        for name in wanted
    }
    depends = field(package.deb, "Depends")
    assert {name for name in depends if name.startswith("python3-")} == wanted
    assert set(depends) - wanted == {
        "init-system-helpers (>= 1.52)",
        "python3:any",
        "systemd | systemd-standalone-sysusers | systemd-sysusers",
    }


def test_it_takes_the_place_of_the_sdk(package: Built) -> None:
    assert field(package.deb, "Provides") == ["python3-anyclaw-sdk"]
    assert field(package.deb, "Architecture") == ["all"]
    assert field(package.deb, "Recommends") == ["python3-pil"]


@pytest.fixture(scope="module")
def installed(tree: Tree, package: Built) -> Iterator[Chroot]:
    """A fresh Debian, without a network, in which apt has installed the one file."""
    with chroot(tree) as room:
        done = room.run(
            *("apt-get", "install", "--yes", "--no-install-recommends", "/anyclawd.deb"),
            binds={"/anyclawd.deb": package.deb},
        )
        assert done.returncode == 0, done.stdout[-4000:]
        yield room


def said(room: Chroot, *argv: str) -> str:
    done = room.run(*argv)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def test_it_installs_on_a_fresh_debian_and_finds_all_it_imports(installed: Chroot) -> None:
    assert said(installed, "python3", "-I", "-c", IMPORT_ALL).splitlines() == [
        "/usr/lib/python3/dist-packages/anyclawd",
        "/usr/lib/python3/dist-packages/anyclaw_sdk",
    ]


def test_its_programs_run_without_the_caller_s_environment(installed: Chroot) -> None:
    for name in ("anyclawd", "anyclawctl", "anyclaw-mcp-stdio"):
        assert said(installed, "head", "-n", "1", f"/usr/bin/{name}") == "#! /usr/bin/python3 -I\n"
    version = said(installed, "env", "PYTHONPATH=/nowhere", "anyclawd", "--version")
    assert version.split() == ["anyclawd", anyclawd.__version__]


def test_all_code_is_compiled_when_it_is_installed(installed: Chroot) -> None:
    """The daemon could not write what it compiles, and would do it at every start."""
    script = """
for source in $(find /usr/lib/python3/dist-packages/anyclaw* /usr/share/anyclawd -name '*.py'); do
  set -- "$(dirname "$source")/__pycache__/$(basename "$source" .py)".*.pyc
  [ -e "$1" ] || echo "$source"
done
"""
    assert said(installed, "sh", "-euc", script) == ""


def test_secrets_of_the_configuration_are_for_the_group_alone(installed: Chroot) -> None:
    form = ["stat", "--format", "%A %U:%G %n"]
    assert said(installed, *form, "/etc/anyclawd", "/etc/anyclawd/anyclaw.yaml").splitlines() == [
        "drwxr-x--- root:anyclawd /etc/anyclawd",
        "-rw-r----- root:anyclawd /etc/anyclawd/anyclaw.yaml",
    ]
    account = said(installed, "getent", "passwd", "anyclawd").strip().split(":")
    assert account[-2:] == ["/var/lib/anyclawd", "/usr/sbin/nologin"]


def test_the_configuration_that_comes_with_it_is_valid(installed: Chroot) -> None:
    said(installed, "anyclawctl", "validate", "--strict", "/etc/anyclawd/anyclaw.yaml")


# -- how it is built ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def elsewhere(package: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The packages, built in other conditions; the build has passed the tests."""
    output = tmp_path_factory.mktemp("elsewhere") / package.release
    return packaging.build(package.release, output, ELSEWHERE)


def test_whoever_builds_it_gets_the_same_bytes(package: Built, elsewhere: Built) -> None:
    for one, other in (
        (package.deb, elsewhere.deb),
        (package.documentation, elsewhere.documentation),
    ):
        assert one.read_bytes() == other.read_bytes(), f"diffoscope {one} {other}"


def test_lintian_finds_nothing(elsewhere: Built) -> None:
    assert packaging.findings(elsewhere) == ""


def test_what_is_installed_passes_the_tests_of_whole_systems(elsewhere: Built) -> None:
    if elsewhere.release is not Release.TRIXIE:
        pytest.skip(
            "takes minutes; with these versions of the libraries, .ci/run floors has passed them"
        )
    assert "e2e                  PASS" in packaging.tested(elsewhere)
