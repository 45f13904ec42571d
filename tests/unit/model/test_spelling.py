from anyclawd.model.spelling import nearest


def test_the_nearest_name_is_suggested() -> None:
    assert nearest("orchestrater", ["orchestrator", "admin"]) == "orchestrator"
    assert nearest("agent", ["default.target", "x"]) == ""
    assert nearest("", ["a"]) == ""


def test_a_suggestion_among_many_alike_names_is_the_most_alike() -> None:
    names = [f"unit{number}.service" for number in range(5000)]
    assert nearest("unit4321.servic", names) == "unit4321.service"
