"""The commands of README's install section and of the guides run as they are written."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.footprint import BUDGET_RSS_MIB
from tests.system.machine import Machine, booted
from tests.system.package import Built
from tests.system.tree import Release, Tree, ready

ROOT = Path(__file__).parents[2]
#: Sections whose commands take more than one machine: a checkout and an archive of packages.
ELSEWHERE = ("Build the package", "Without the package")
#: A minimal Debian has no sudo, and who is root needs none.
SUDO = '#!/bin/sh\nexec "$@"\n'
#: Longer than any command takes: some dozens of packages are unpacked and byte-compiled.
APT_S = 600.0
#: The package as a later version of it would be, to be found where it is expected.
LATER = """
mkdir old
dpkg-deb --raw-extract anyclawd_*.deb later
mv anyclawd_*.deb old
sed -i 's/^Version: .*/Version: 99-1/' later/DEBIAN/control
cd later/usr/lib/python3/dist-packages/anyclawd
sed -i 's/^__version__ = .*/__version__ = "99"/' __init__.py
cd -
echo '# of a later version' >>later/etc/anyclawd/anyclaw.yaml
echo '# of the administrator' >>/etc/anyclawd/anyclaw.yaml
dpkg-deb --build later anyclawd_99-1_all.deb
"""


def with_the_file(machine: Machine, package: Built) -> Machine:
    """Put the package's file where the administrator is; and sudo, which a minimal one lacks."""
    machine.write("/usr/local/bin/sudo", SUDO, mode="0755")
    machine.push(package.deb, f"/root/{package.deb.name}")
    return machine


@pytest.fixture
def fresh(tree: Tree, package: Built) -> Iterator[Machine]:
    """A machine with nothing but a minimal Debian."""
    with booted(tree) as machine:
        yield with_the_file(machine, package)


@pytest.fixture
def site(release: Release, package: Built) -> Iterator[Machine]:
    """One that has what the package needs, but not the package."""
    with booted(ready(release)) as machine:
        yield with_the_file(machine, package)


def sections(page: str) -> dict[str, list[str]]:
    """The blocks of commands of a page, by the heading that they stand under."""
    _, *parts = re.split(r"^##+ (.+)\n", (ROOT / page).read_text("utf-8"), flags=re.MULTILINE)
    found = {
        title: re.findall(r"^ *```sh\n(.*?)^ *```", body, re.DOTALL | re.MULTILINE)
        for title, body in zip(parts[::2], parts[1::2], strict=True)
    }
    return {title: blocks for title, blocks in found.items() if blocks}


def follow(machine: Machine, block: str) -> str:
    """Run commands as an administrator types them, who says yes when asked; what they print.

    They are a service of their own, with which all ends that they have left in the background.
    """
    return machine.run(
        *("systemd-run", "--quiet", "--pipe", "--wait", "--collect"),
        *("--working-directory=/root", "--setenv=USER=root", "--setenv=HOME=/root"),
        *("bash", "-euc", block),
        stdin="y\n" * 20_000,  # each that asks may read ahead
        timeout=APT_S,
    ).stdout


def test_readme_installs_a_daemon_that_answers(fresh: Machine) -> None:
    install, change = sections("README.md")["Install"]
    assert follow(fresh, install).endswith("Echo: hello\n")
    assert "✓ Configuration valid" in follow(fresh, change)
    assert fresh.run("systemctl", "is-enabled", "anyclawd").stdout == "enabled\n"
    status = fresh.read(f"/proc/{fresh.property('anyclawd', 'MainPID')}/status")
    [rss_kib] = re.findall(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert int(rss_kib) <= BUDGET_RSS_MIB * 1024


def test_the_guides_can_be_followed(site: Machine) -> None:
    told = {}
    for page in ("install", "operate"):
        for title, blocks in sections(f"docs/how-to/{page}.md").items():
            if title not in (*ELSEWHERE, "Remove it"):
                told[title] = [follow(site, block) for block in blocks]
    assert "Echo: hello" in told["The package, on Debian 13 and 12"][-1]
    assert "anyclawd@shop" in told["Several deployments"][0]
    assert not site.exists("/var/lib/anyclawd@shop")
    restored = follow(site, "anyclawctl sessions history @anyclawctl:local:root")
    assert "hello" in restored
    [remove] = sections("docs/how-to/install.md")["Remove it"]
    follow(site, remove)
    assert not site.exists("/var/lib/anyclawd")


def test_an_upgrade_and_the_way_back_can_be_followed(site: Machine) -> None:
    follow(site, "apt-get install --no-install-recommends ./anyclawd_*.deb")
    follow(site, LATER)
    steps = sections("docs/how-to/upgrade.md")
    for title in ("What happens", "Before"):
        for block in steps[title]:
            follow(site, block)
    _, unasked = steps["The upgrade"]
    follow(site, unasked)
    [after] = steps["After"]
    assert "anyclawd 99, running" in follow(site, after)
    assert site.exists("/etc/anyclawd/anyclaw.yaml.dpkg-dist")
    [back] = steps["Back again"]
    follow(site, back)
    assert "anyclawd 99" not in follow(site, "anyclawctl --version")
    assert site.read("/etc/anyclawd/anyclaw.yaml").endswith("# of the administrator\n")
