"""Where things are: the configuration to use, and the daemon's program."""

import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from anyclawd.client.exchange import ClientError

#: Where a configuration is looked for when none is named; the first that exists is used.
DEFAULT_CONFIGS = ("anyclaw.yaml", "/etc/anyclawd/anyclaw.yaml")

#: What the script `anyclawd` does, for where scripts are not beside the interpreter.
_ENTRY_POINT = "import sys; from anyclawd.daemon.stage0 import main; sys.exit(main())"


def find_config(options: Namespace, environ: Mapping[str, str]) -> Path:
    """The configuration that was named, or the first default one that exists.

    A deployment that is named as `@NAME` instead of its socket has but one. Raises ClientError
    where there is none at all.
    """
    named = options.config or environ.get("ANYCLAW_CONFIG")
    if named:
        return Path(named)
    deployment = options.socket or environ.get("ANYCLAWD_SOCKET", "")
    if deployment.startswith("@"):
        return Path(f"/etc/anyclawd{deployment}/anyclaw.yaml")
    for candidate in map(Path, DEFAULT_CONFIGS):
        if candidate.exists():
            return candidate
    searched = " or ".join(DEFAULT_CONFIGS)
    raise ClientError(f"no configuration: found no {searched}; name one with -c, or run init")


def daemon_argv() -> list[str]:
    """How to start the daemon that was installed together with this command.

    It imports nothing from where it happens to run.
    """
    program = Path(sys.executable).with_name("anyclawd")
    return [str(program)] if program.exists() else [sys.executable, "-P", "-c", _ENTRY_POINT]
