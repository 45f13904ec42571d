"""What is told of the machine, from what the kernel says."""

import pytest

from anyclaw_sdk.types import Message
from tests.fakes.extension import load_extension

modules = load_extension("tools/system-info")
host, report = modules.host, modules.report

MEMINFO = """MemTotal:       16000000 kB
MemFree:          100000 kB
MemAvailable:    8000000 kB
SwapTotal:       2000000 kB
SwapFree:        1000000 kB
HugePages_Total:       0
"""


def test_memory_is_read_in_bytes() -> None:
    assert host.memory_of(MEMINFO) == {
        "total": 16_384_000_000,
        "available": 8_192_000_000,
        "swap_total": 2_048_000_000,
        "swap_free": 1_024_000_000,
    }
    assert host.memory_of("") == {}


CPUINFO = {
    "x86": (
        "processor : 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Other",
        "Some CPU @ 2 GHz",
    ),
    "raspberry": ("processor : 0\nBogoMIPS : 1\n\nModel\t\t: Raspberry Pi 5\n", "Raspberry Pi 5"),
    "power": ("processor\t: 0\ncpu\t\t: POWER9\n", "POWER9"),
    "nameless": ("processor : 0\nBogoMIPS : 1\n", ""),
}


@pytest.mark.parametrize(("text", "model"), CPUINFO.values(), ids=CPUINFO)
def test_a_processor_has_a_name(text: str, model: str) -> None:
    assert host.cpu_model(text) == model


ZONES = {
    "link": ("", "/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
    "relative-link": ("", "../usr/share/zoneinfo/UTC", "UTC"),
    "variable": ("Asia/Tokyo", "/usr/share/zoneinfo/Europe/Berlin", "Asia/Tokyo"),
    "variable-with-a-colon": (":Asia/Tokyo", "", "Asia/Tokyo"),
    "variable-that-is-a-file": (":/usr/share/zoneinfo/Asia/Tokyo", "", "Asia/Tokyo"),
    "no-link": ("", "", ""),
    "link-elsewhere": ("", "/data/localtime", ""),
}


@pytest.mark.parametrize(("variable", "link", "zone"), ZONES.values(), ids=ZONES)
def test_a_time_zone_has_a_name(variable: str, link: str, zone: str) -> None:
    assert host.zone_of(variable, link) == zone


SIZES = {0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 1536: "1.5 KiB", 2**30: "1.0 GiB",
         2**60: "1024.0 PiB"}  # fmt: skip


@pytest.mark.parametrize(("size", "text"), SIZES.items())
def test_a_size_has_a_unit(size: int, text: str) -> None:
    assert report.size(size) == text


DURATIONS = {0: "0 min", 59: "0 min", 60: "1 min", 3600: "1 h 0 min", 90061: "1 d 1 h 1 min"}


@pytest.mark.parametrize(("seconds", "text"), DURATIONS.items())
def test_a_duration_begins_with_what_is_not_zero(seconds: int, text: str) -> None:
    assert report.duration(seconds) == text


REPORTS: dict[str, tuple[Message, str]] = {
    "system": (
        {"system": {"name": "Debian", "kernel": "Linux 6", "architecture": "x", "hostname": "h"}},
        "system: Debian, Linux 6 on x\nhostname: h",
    ),
    "cpu": (
        {"cpu": {"count": 4, "usable": 2, "model": "M", "load": [0.5, 1.0, 2.25]}},
        "cpu: 2 of 4 usable, M; load 0.50 1.00 2.25",
    ),
    "nameless-cpu": (
        {"cpu": {"count": 4, "usable": 4, "load": [0.0, 0.0, 0.0]}},
        "cpu: 4 of 4 usable; load 0.00 0.00 0.00",
    ),
    "memory": (
        {"memory": {"total": 2048, "available": 1024, "swap_total": 0, "swap_free": 0}},
        "memory: 1.0 KiB of 2.0 KiB available",
    ),
    "swap": (
        {"memory": {"total": 2048, "available": 1024, "swap_total": 4096, "swap_free": 1024}},
        "memory: 1.0 KiB of 2.0 KiB available\nswap: 1.0 KiB of 4.0 KiB free",
    ),
    "unknown-memory": ({"memory": {}}, "memory: not known"),
    "disk": (
        {"disk": [{"path": "/", "total": 4096, "free": 1024}, {"path": "/x", "error": "gone"}]},
        "disk /: 1.0 KiB of 4.0 KiB free\ndisk /x: gone",
    ),
    "uptime": ({"uptime": {"seconds": 60, "since": "then"}}, "uptime: 1 min, since then"),
    "time": ({"time": {"now": "now", "zone": "UTC"}}, "time: now, zone UTC"),
}


@pytest.mark.parametrize(("found", "text"), REPORTS.values(), ids=REPORTS)
def test_a_report_says_it_in_lines(found: Message, text: str) -> None:
    assert report.report_of(found) == text
