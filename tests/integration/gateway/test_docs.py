"""The state table in the documentation is the one that the tests hold the code to."""

from pathlib import Path

from anyclawd.route.session import Phase
from tests.unit.route.test_session import TABLE

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "orchestrator.md"


def rendered() -> str:
    """A row for everything that can happen; a dash where it cannot in that phase."""
    lines = ["| | " + " | ".join(f"`{phase}`" for phase in Phase) + " |"]
    lines.append("| --- " * (len(Phase) + 1) + "|")
    for what in dict.fromkeys(what for _, what in TABLE):
        after = (TABLE.get((phase, what)) for phase in Phase)
        cells = (f"{found[0]}" if found else "-" for found in after)
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def test_the_table_of_phases_is_the_tested_one() -> None:
    assert rendered() in PAGE.read_text()
