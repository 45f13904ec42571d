"""What the compiler's tests share: a configuration compiled on a machine that is on paper."""

from collections.abc import Callable, Mapping

import pytest

from anyclawd.compile.compiler import Outcome, compile_config
from tests.fakes.paper_world import PaperWorld

CONFIG = "/etc/claw/anyclaw.yaml"
Compile = Callable[..., Outcome]


@pytest.fixture
def compile_text() -> Compile:
    """Compile a text as `/etc/claw/anyclaw.yaml`; other files by path, variables by name."""

    def compile_it(
        text: str | bytes,
        *,
        files: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        strict: bool = False,
        dropins: str = "",
    ) -> Outcome:
        content = text if isinstance(text, bytes) else text.encode()
        more = {path: body.encode() for path, body in (files or {}).items()}
        world = PaperWorld(
            files={CONFIG: content, **more}, environ={"PATH": "/bin", **(environ or {})}
        )
        return compile_config(CONFIG, world.environ, world, strict=strict, dropins=dropins)

    return compile_it


def lines(outcome: Outcome) -> list[str]:
    """Findings as people see them, without the directory of the file."""
    return [str(finding).replace("/etc/claw/", "") for finding in outcome.findings]
