"""Whether what anyclawd runs on is recent enough."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from anyclawd.cli.doctor.finding import Finding, error, note, ok


class Library(NamedTuple):
    """A distribution, by its name in the package index."""

    floor: str
    debian: str  #: the package of Debian that has it
    module: str  #: what is imported of it


#: What anyclawd depends on, and the oldest versions it works with; as pyproject.toml says.
LIBRARIES: Mapping[str, Library] = MappingProxyType(
    {
        "aiohttp": Library("3.8.4", "python3-aiohttp", "aiohttp"),
        "aiosqlite": Library("0.17", "python3-aiosqlite", "aiosqlite"),
        "jsonschema": Library("4.10.3", "python3-jsonschema", "jsonschema"),
        "networkx": Library("2.8.8", "python3-networkx", "networkx"),
        "prometheus-client": Library("0.16", "python3-prometheus-client", "prometheus_client"),
        "pyyaml": Library("6.0", "python3-yaml", "yaml"),
        "sdnotify": Library("0.3.1", "python3-sdnotify", "sdnotify"),
        "tomli-w": Library("1.0", "python3-tomli-w", "tomli_w"),
        "uvloop": Library("0.17", "python3-uvloop", "uvloop"),
    }
)
#: What bundled extensions do more with, and what that is.
EXTRAS: Mapping[str, tuple[Library, str]] = MappingProxyType(
    {
        "pillow": (
            Library("9.4", "python3-pil", "PIL"),
            "the media service leaves images as they are",
        )
    }
)
PYTHON = "3.11"
SQLITE = "3.37"
#: pidfds with waitid(2), and `cgroup.kill`.
LINUX = "5.15"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFacts:
    python: str
    sqlite: str
    system: str  #: `Linux` and its kin
    kernel: str
    has_pidfds: bool
    libraries: Mapping[str, str | None]  #: by name; None where it is not installed
    uvloop_failure: str = ""  #: why it cannot be imported, although it is installed


def findings(facts: VersionFacts) -> Iterator[Finding]:
    found = [*_platform(facts), *_libraries(facts), *_extras(facts)]
    yield from found
    if not any(one.fix or one.remedy for one in found):
        yield ok("", f"Python {facts.python}, Linux {facts.kernel}, {len(LIBRARIES)} libraries")


def is_older(found: str, floor: str) -> bool:
    """Whether a version is before another one; what follows its numbers does not count."""
    return _numbers(found) < _numbers(floor)


def _numbers(version: str) -> tuple[int, ...]:
    numbers = re.match(r"\d+(?:\.\d+)*", version.removeprefix("v"))
    found = [int(number) for number in numbers[0].split(".")] if numbers else []
    while found and found[-1] == 0:  # 1.0 is 1
        found.pop()
    return tuple(found)


def _platform(facts: VersionFacts) -> Iterator[Finding]:
    if facts.system != "Linux":
        yield error("kernel", f"anyclawd runs on Linux, and this is {facts.system}", "use Linux")
    elif is_older(facts.kernel, LINUX):
        yield error("kernel", f"Linux {facts.kernel} is older than {LINUX}", "run a newer kernel")
    elif not facts.has_pidfds:
        text = "the kernel, or a filter of system calls, does not let pidfds be opened"
        yield error("kernel", text, "allow pidfd_open(2); older container engines forbid it")
    for name, found, floor in (
        ("Python", facts.python, PYTHON),
        ("SQLite", facts.sqlite, SQLITE),
    ):
        if is_older(found, floor):
            yield error(name, f"{found} is older than {floor}", f"install {name} {floor} or newer")


def _libraries(facts: VersionFacts) -> Iterator[Finding]:
    for name, library in LIBRARIES.items():
        found = facts.libraries.get(name)
        remedy = f"apt install {library.debian}, or pip install '{name}>={library.floor}'"
        if found is None:
            yield error(name, f"is not installed; {library.floor} or newer is needed", remedy)
        elif is_older(found, library.floor):
            yield error(name, f"{found} is older than {library.floor}", remedy)
        elif name == "uvloop" and facts.uvloop_failure:
            text = f"{found} is installed and cannot be imported: {facts.uvloop_failure}"
            yield error(name, text, remedy)


def _extras(facts: VersionFacts) -> Iterator[Finding]:
    for name, (library, without) in EXTRAS.items():
        found = facts.libraries.get(name)
        if found is None or is_older(found, library.floor):
            state = "is not installed" if found is None else f"{found} is too old"
            remedy = f"apt install {library.debian}, or pip install '{name}>={library.floor}'"
            yield note(name, f"{state}; without it {without}", remedy)
