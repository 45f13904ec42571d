"""The units for systemd: known to the oldest release, as closed as they are said to be, alike."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SYSTEMD = ROOT / "packaging" / "systemd"
SYSTEM, DEPLOYMENT = SYSTEMD / "anyclawd.service", SYSTEMD / "anyclawd@.service"
USER = SYSTEMD / "user" / "anyclawd.service"
UNITS = pytest.mark.parametrize("unit", [SYSTEM, DEPLOYMENT, USER], ids=str)
HARDENED = pytest.mark.parametrize("unit", [SYSTEM, DEPLOYMENT], ids=lambda unit: unit.name)

#: What Debian 12 has; it ignores these, which newer ones need.
OLDEST = 252
NEWER = {"ReloadSignal"}
IGNORED = re.compile(r"ignoring: notify-reload|'ReloadSignal' in section \[Service\], ignoring")


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"there is no {program} here")


#: Even offline, `systemd-analyze security` makes this directory where nobody has.
judges = pytest.mark.skipif(
    os.geteuid() != 0 and not Path("/run/systemd").is_dir(),
    reason="systemd-analyze needs root to make /run/systemd",
)


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False)


def settings(unit: Path) -> list[tuple[str, str]]:
    lines = [line for line in unit.read_text().splitlines() if line and line[0] not in "#["]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def known() -> set[str]:
    """The settings that the systemd of this machine knows; empty where it is none of Debian 12."""
    systemd = Path("/usr/lib/systemd/systemd")
    if not systemd.exists() or f"systemd {OLDEST} " not in run(systemd, "--version").stdout:
        return set()
    told = run(systemd, "--dump-configuration-items").stdout
    return set(re.findall(r"^(\w+)=", told, re.MULTILINE))


@UNITS
def test_the_oldest_systemd_knows_every_setting(unit: Path) -> None:
    names = known()
    if not names:
        pytest.skip(f"the systemd of this machine is not {OLDEST}")
    assert {name for name, _ in settings(unit)} - names == NEWER


@UNITS
def test_a_newer_systemd_reloads_once_and_an_older_one_keeps_its_type(unit: Path) -> None:
    told = settings(unit)
    assert [value for name, value in told if name == "Type"] == ["notify", "notify-reload"]
    assert dict(told)["ReloadSignal"] == "SIGCHLD"  # caught, and no news to the daemon
    assert re.fullmatch(r"/usr/bin/anyclawctl -s \S+/admin\.sock reload", dict(told)["ExecReload"])


@needs("systemd-analyze")
@UNITS
def test_systemd_finds_nothing_in_it(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name.replace("@", "@shop")
    stand_in = re.sub(r"^(Exec\w+)=.*", r"\1=/bin/true", unit.read_text(), flags=re.MULTILINE)
    copy.write_text(stand_in)
    scope = ["--user"] if unit is USER else []
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    command = ["systemd-analyze", *scope, "--man=no", "verify", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    found = [line for line in done.stderr.splitlines() if str(copy) in line or unit.stem in line]
    assert [line for line in found if not IGNORED.search(line)] == []


@needs("systemd-analyze")
@judges
@HARDENED
def test_its_exposure_is_at_most_two(unit: Path) -> None:
    done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit)
    assert done.returncode == 0, done.stdout


@needs("systemd-analyze")
@judges
@HARDENED
def test_all_that_is_left_open_is_explained(unit: Path) -> None:
    done = run("systemd-analyze", "security", "--offline=true", "--json=short", unit)
    verdicts = [one for one in json.loads(done.stdout) if not one["set"] and one["exposure"]]
    assert verdicts
    explained = unit.read_text().partition("# What is left open")[2]
    manual = (ROOT / "docs" / "how-to" / "secure.md").read_text()
    for verdict in verdicts:
        name, _, value = verdict["name"].partition("=")
        assert f"{name}=" in explained, verdict
        assert f"`{name}=`" in manual, verdict
        if value.startswith("~@"):
            assert value in explained, verdict


@HARDENED
def test_each_line_of_the_hardening_is_told_in_the_manual(unit: Path) -> None:
    hardening = unit.read_text().partition("# Hardening")[2].partition("[Install]")[0]
    names = set(re.findall(r"^(\w+)=", hardening, re.MULTILINE))
    manual = (ROOT / "docs" / "how-to" / "secure.md").read_text()
    assert [name for name in sorted(names) if f"`{name}=" not in manual] == []


def test_a_deployment_differs_in_names_alone() -> None:
    named = {"Description": r", deployment %i$", "User": "-%i"}
    system, deployment = settings(SYSTEM), settings(DEPLOYMENT)
    alike = [(name, re.sub(named.get(name, "@%i"), "", value)) for name, value in deployment]
    assert alike == system
    places = {name: value for name, value in deployment if (name, value) not in system}
    assert sorted(places) == [
        "ConfigurationDirectory",
        "Description",
        "ExecReload",
        "ExecStart",
        "ReadOnlyPaths",
        "RuntimeDirectory",
        "StateDirectory",
        "User",
        "WorkingDirectory",
    ]


@needs("systemd-sysusers")
@needs("systemd-tmpfiles")
@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to give files away")
def test_the_configuration_is_for_the_group_to_read(tmp_path: Path) -> None:
    (tmp_path / "etc" / "anyclawd").mkdir(parents=True)
    (tmp_path / "etc" / "anyclawd" / "anyclaw.yaml").touch()
    for program, kind in (("sysusers", ()), ("tmpfiles", ("--create",))):
        file = ROOT / "packaging" / f"{program}.d" / "anyclawd.conf"
        done = run(f"systemd-{program}", f"--root={tmp_path}", *kind, file)
        assert done.returncode == 0, done.stderr
    account = re.search(r"^anyclawd:.*", (tmp_path / "etc/passwd").read_text(), re.MULTILINE)
    assert account is not None
    _, _, uid, gid, _, home, shell = account[0].split(":")
    assert (home, shell) == ("/var/lib/anyclawd", "/usr/sbin/nologin")
    for path, mode in (("etc/anyclawd", 0o40750), ("etc/anyclawd/anyclaw.yaml", 0o100640)):
        found = (tmp_path / path).stat()
        assert (found.st_uid, found.st_gid, found.st_mode) == (0, int(gid), mode)
    assert uid != "0"
