"""Whether an agent would be served every file there is: a warning, since it may be meant."""

from anyclawd.compile.diagnose import Report
from anyclawd.compile.draft import Draft
from anyclawd.model.unit import AgentRole


def check_workspace(draft: Draft, role: AgentRole, report: Report) -> None:
    """Report an agent with `fs` whose workspace is `/`. It has to be switched on."""
    if not (role.fs.read or role.fs.write) or role.cwd.strip("/"):
        return
    setting = "working_dir" if "working_dir" in draft.settings else "fs"
    text = (
        "fs serves all of its workspace, which is the whole file system; set working_dir to the"
        " directory that it works in"
    )
    report.warning(draft.span(setting), draft.key(setting), text)
