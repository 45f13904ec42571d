"""docs/explanation/engine.md says what the code does."""

from anyclawd.model.state import ACTIVE_OF, Sub
from tests.unit.engine.tables import PAGE, rendered


def test_the_tables_are_those_of_the_code() -> None:
    """Else run `python -m tests.unit.engine.tables`."""
    page = PAGE.read_text()
    assert rendered(page) == page


def test_every_sub_state_is_told_with_its_active_state() -> None:
    page = PAGE.read_text()
    for sub in Sub:
        assert f"| {ACTIVE_OF[sub]} | `{sub}` |" in page
