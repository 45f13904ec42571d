"""What the compiler, a child process, has answered; see `anyclawd.compile.__main__`."""

import marshal
from typing import TYPE_CHECKING, TypeAlias

from anyclawd.model.errors import AnyclawError, Finding
from anyclawd.model.plan import from_plain

if TYPE_CHECKING:
    from anyclawd.daemon.cache import Input

    #: A plan in its plain form, marshalled, and all that its compilation depends on.
    Fresh: TypeAlias = tuple[bytes, tuple[Input, ...]]


class NotCompiled(AnyclawError):
    """There is no plan: for the `findings`, or, where there are none, for a fault of ours."""

    def __init__(self, text: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(text)
        self.findings = findings


def read(content: bytes, exit_code: int) -> "Fresh":
    """The plan that a compiler has written before it ended. Raises NotCompiled."""
    if exit_code not in (0, 1) or not content:  # it was killed, maybe amid its answer
        text = f"anyclawd: the compiler has failed with exit code {exit_code}"
        raise NotCompiled(text)
    answer = marshal.loads(content)
    if answer["plan"] is None:
        findings: tuple[Finding, ...] = from_plain(answer["findings"])
        raise NotCompiled("\n".join(map(str, findings)), findings)
    return marshal.dumps(answer["plan"]), answer["inputs"]
