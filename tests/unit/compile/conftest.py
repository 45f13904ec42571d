"""What the compiler's tests share: a configuration compiled on a machine that is on paper."""

from collections.abc import Callable, Mapping

import pytest

from anyclawd.compile.compiler import Outcome, compile_config
from tests.fakes.paper_world import PaperWorld

CONFIG = "/etc/claw/anyclaw.yaml"
CREDENTIALS = "/run/credentials/claw.service"
Compile = Callable[..., Outcome]


@pytest.fixture
def compile_text() -> Compile:
    """Compile a text as `/etc/claw/anyclaw.yaml`; other files by path, variables by name.

    With `credentials`, if only an empty map, the service manager has set their directory.
    """

    def compile_it(
        text: str | bytes,
        *,
        files: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        strict: bool = False,
        dropins: str = "",
        credentials: Mapping[str, bytes] | None = None,
        has_credentials: bool = True,
    ) -> Outcome:
        content = text if isinstance(text, bytes) else text.encode()
        more = {path: body.encode() for path, body in (files or {}).items()}
        variables = {"PATH": "/bin", **(environ or {})}
        if credentials is not None:
            variables["CREDENTIALS_DIRECTORY"] = CREDENTIALS
            more |= {f"{CREDENTIALS}/{name}": body for name, body in credentials.items()}
        world = PaperWorld(files={CONFIG: content, **more}, environ=variables)
        return compile_config(
            CONFIG,
            world.environ,
            world,
            strict=strict,
            dropins=dropins,
            has_credentials=has_credentials,
        )

    return compile_it


def lines(outcome: Outcome) -> list[str]:
    """Findings as people see them, without the directory of the file."""
    return [str(finding).replace("/etc/claw/", "") for finding in outcome.findings]
