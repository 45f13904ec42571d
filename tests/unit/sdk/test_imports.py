import subprocess
import sys

import pytest

#: Each costs 8 to 60 ms, and every extension would pay it before its handshake.
HEAVY = ("asyncio", "dataclasses", "inspect", "logging", "socket", "ssl", "subprocess")


MODULES = [
    "agent",
    "blocks",
    "channel",
    "check",
    "content",
    "hook",
    "media",
    "service",
    "tool",
    "types",
]


@pytest.mark.parametrize("module", MODULES)
def test_importing_the_sdk_loads_nothing_heavy(module: str) -> None:
    script = f"import sys, anyclaw_sdk.{module}; print(*sorted(sys.modules))"
    output = subprocess.run(
        [sys.executable, "-P", "-c", script], check=True, capture_output=True, text=True
    ).stdout
    assert not set(HEAVY) & set(output.split())


def test_the_sdk_imports_the_standard_library_only() -> None:
    script = "import sys, anyclaw_sdk.testing; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-P", "-c", script], check=True, capture_output=True, text=True
    ).stdout
    roots = {name.partition(".")[0] for name in output.split()}
    before = {"__main__", "anyclaw_sdk", "_distutils_hack", "__mp_main__"}
    assert roots - before - set(sys.stdlib_module_names) <= {"sitecustomize", "usercustomize"}
