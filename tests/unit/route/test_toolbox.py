"""Which tools an agent sees, what they are called, and whose a name is."""

import pytest

from anyclawd.model.deps import UnitName
from anyclawd.model.tool import ToolAccess, ToolNames
from anyclawd.route.table import AgentRoute
from anyclawd.route.toolbox import Found, Offered, Scope, Toolbox, may_use, prefixes_of

FILES, SHELL = UnitName("files.tool"), UnitName("shell.tool")
BOTH = Scope((FILES, SHELL))


def toolbox(**offered: str) -> Toolbox:
    made = Toolbox()
    for key, names in offered.items():
        made.listed(UnitName(f"{key}.tool"), [Offered(name) for name in names.split()])
    return made


def seen(made: Toolbox, scope: Scope) -> list[str]:
    return list(made.view(scope))


def test_names_stay_as_they_are_where_they_do_not_meet() -> None:
    assert seen(toolbox(files="read write", shell="run"), BOTH) == ["read", "write", "run"]


def test_names_that_meet_say_whose_they_are_and_no_others_do() -> None:
    made = toolbox(files="read list", shell="run list")
    assert seen(made, BOTH) == ["read", "files__list", "run", "shell__list"]
    assert made.find(BOTH, "shell__list") == Found(SHELL, "list")
    assert made.find(BOTH, "list") is None
    assert made.meanings(BOTH, "list") == ("files__list", "shell__list")
    assert made.meanings(BOTH, "nothing") == ()


def test_one_unit_alone_has_nobody_to_meet() -> None:
    made = toolbox(files="list", shell="list")
    assert seen(made, Scope((SHELL,))) == ["list"]


def test_all_names_say_whose_they_are_where_the_configuration_wants_it() -> None:
    made, scope = toolbox(files="read"), Scope((FILES,), names=ToolNames.PREFIXED)
    assert seen(made, scope) == ["files__read"]
    assert made.find(scope, "read") is None
    assert made.find(scope, "files__read") == Found(FILES, "read")


def test_the_whole_name_is_found_also_where_it_is_not_shown() -> None:
    assert toolbox(files="read").find(BOTH, "files__read") == Found(FILES, "read")


def test_nobody_takes_over_what_is_meant_for_another_by_its_name() -> None:
    """What is shown under a name is what is called by it, whatever others call theirs."""
    made = toolbox(files="list", shell="list run", evil="files__list shell__run")
    scope = Scope((FILES, SHELL, UnitName("evil.tool")))
    assert seen(made, scope) == [
        "files__list",
        "shell__list",
        "run",
        "evil__files__list",
        "evil__shell__run",
    ]
    assert all(made.find(scope, name) == found for name, found in made.view(scope).items())
    assert made.find(scope, "shell__run") == Found(SHELL, "run")


def test_a_unit_may_put_its_own_key_before_its_names() -> None:
    made = toolbox(files="files__list list")
    assert seen(made, BOTH) == ["files__list", "list"]
    assert made.find(BOTH, "files__list") == Found(FILES, "files__list")


def test_a_unit_that_has_gone_shows_nothing_and_renames_nothing() -> None:
    made = toolbox(files="list", shell="list run")
    made.gone(FILES)
    assert seen(made, BOTH) == ["shell__list", "run"]
    assert made.find(BOTH, "files__list") == Found(FILES, "list")
    assert not made.is_up(FILES)
    assert (made.offered(FILES), made.offered(SHELL)[1]) == ((), Offered("run"))
    made.listed(FILES, [Offered("list")])
    assert seen(made, BOTH) == ["files__list", "shell__list", "run"]


def test_a_unit_that_has_left_the_configuration_is_forgotten() -> None:
    made = toolbox(files="list", shell="list")
    assert seen(made, BOTH) == ["files__list", "shell__list"]
    made.forget(FILES)
    assert seen(made, BOTH) == ["list"]
    assert made.find(BOTH, "files__list") is None


def test_of_a_name_that_a_unit_uses_twice_the_first_counts() -> None:
    made = Toolbox()
    twice = made.listed(FILES, [Offered("read", "one"), Offered("read", "two"), Offered("list")])
    assert twice == ("read",)
    assert seen(made, BOTH) == ["read", "list"]
    route = AgentRoute(unit=UnitName("a.agent"), name="a", granted=(FILES,))
    assert made.described(route, ToolNames.PLAIN) == (("read", "one"), ("list", ""))


def test_what_an_agent_is_not_granted_is_not_there() -> None:
    made = toolbox(files="read", shell="run")
    assert seen(made, Scope((FILES,))) == ["read"]
    assert made.find(Scope((FILES,)), "run") is None
    assert made.find(Scope((FILES,)), "shell__run") is None


def test_what_is_denied_is_neither_seen_nor_found_and_meets_nobody() -> None:
    made = toolbox(files="list read", shell="list")
    scope = Scope((FILES, SHELL), ToolAccess(deny=("files/list",)))
    assert seen(made, scope) == ["read", "list"]
    assert made.find(scope, "list") == Found(SHELL, "list")
    assert made.find(scope, "files__list") is None


@pytest.mark.parametrize(
    ("allow", "deny", "may"),
    [
        (("*",), (), True),
        ((), (), False),
        (("read",), (), True),
        (("re*",), (), True),
        (("write",), (), False),
        (("files/*",), (), True),
        (("shell/*",), (), False),
        (("files/rea?",), (), True),
        (("*",), ("read",), False),
        (("*",), ("write",), True),
        (("*",), ("*",), False),
        (("[r]ead",), (), False),
        (("read",), ("files/*",), False),
        (("READ",), (), False),
        (("files",), (), False),
    ],
)
def test_patterns_decide(allow: tuple[str, ...], deny: tuple[str, ...], may: bool) -> None:
    assert may_use(ToolAccess(allow=allow, deny=deny), FILES, "read") is may


def test_a_key_that_is_no_name_of_a_tool_is_made_one() -> None:
    units = UnitName(r"my\x20files.tool"), UnitName("search@web.tool"), UnitName("search_web.tool")
    assert list(prefixes_of(units).values()) == ["my_x20files", "search_web", "search_web_2"]


def test_units_that_look_alike_keep_their_tools_apart() -> None:
    one, other = UnitName("a@b.tool"), UnitName("a_b.tool")
    made = Toolbox()
    made.listed(one, [Offered("x")])
    made.listed(other, [Offered("x")])
    scope = Scope((one, other))
    assert [made.find(scope, name) for name in seen(made, scope)] == [
        Found(one, "x"),
        Found(other, "x"),
    ]


def test_views_are_remembered_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anyclawd.route.toolbox.INDEXES_MAX", 2)
    made = toolbox(files="read")
    assert made.view(BOTH) is made.view(BOTH)
    for number in range(5):
        made.view(Scope((FILES,), ToolAccess(deny=(str(number),))))
    assert seen(made, BOTH) == ["read"]
