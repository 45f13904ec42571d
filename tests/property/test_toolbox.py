"""What an agent is shown under a name is what it reaches by it, whatever units call their tools."""

from hypothesis import given
from hypothesis import strategies as st

from anyclawd.model.deps import UnitName
from anyclawd.model.tool import ToolNames
from anyclawd.route.toolbox import Offered, Scope, Toolbox

#: Few and alike, so that they meet.
WORDS = st.lists(st.sampled_from(["a", "b", "_"]), min_size=1, max_size=2)
NAMES = WORDS.map("__".join)
OFFERS = st.dictionaries(NAMES, st.lists(NAMES, max_size=4, unique=True), max_size=4)


@given(OFFERS, st.sampled_from(ToolNames), st.data())
def test_a_view_shows_what_its_names_find(
    offers: dict[str, list[str]], names: ToolNames, data: st.DataObject
) -> None:
    units = {UnitName(f"{key}.tool"): offered for key, offered in offers.items()}
    toolbox, scope = Toolbox(), Scope(tuple(units), names=names)
    for unit, offered in units.items():
        toolbox.listed(unit, [Offered(name) for name in offered])
    whole = dict(toolbox.view(scope))
    assert {name: toolbox.find(scope, name) for name in whole} == whole
    assert len(set(whole.values())) == len(whole)

    gone = data.draw(st.sets(st.sampled_from(sorted(units)))) if units else set()
    for unit in gone:
        toolbox.gone(unit)
    left = {name: found for name, found in whole.items() if found.unit not in gone}
    assert dict(toolbox.view(scope)) == left
    assert all(toolbox.find(scope, name) == found for name, found in whole.items())
