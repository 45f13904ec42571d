"""Every behaviour of units that is claimed has its tests, and they exist."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.conformance.requirements_systemd import DOCUMENTED
from tests.conformance.requirements_units import NUMBERED, Requirement

TESTS = Path(__file__).parents[1]
REQUIREMENTS: dict[str, Requirement] = {**NUMBERED, **DOCUMENTED}


@cache
def collected(path: str) -> frozenset[str]:
    """The tests of one file that a default run collects."""
    assert Path(path).name.startswith("test_"), f"{path} is no file that pytest collects"
    module = ast.parse((TESTS / path).read_text())
    return frozenset(
        item.name
        for item in module.body
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
        and item.name.startswith("test_")
        and not any("bench" in ast.unparse(decorator) for decorator in item.decorator_list)
    )


@pytest.mark.parametrize("clause", REQUIREMENTS)
def test_every_clause_is_proved_or_deferred(clause: str) -> None:
    requirement = REQUIREMENTS[clause]
    assert bool(requirement.deferral) is not bool(requirement.proofs)


@pytest.mark.parametrize("clause", REQUIREMENTS)
def test_every_proof_exists(clause: str) -> None:
    for proof in REQUIREMENTS[clause].proofs:
        path, _, name = proof.partition("::")
        assert name in collected(path), proof


def test_every_test_of_a_unit_has_its_clause() -> None:
    found = {
        f"conformance/units/{path.name}::{name}"
        for path in (TESTS / "conformance/units").glob("test_*.py")
        for name in collected(f"conformance/units/{path.name}")
    }
    assert found <= {proof for clause in REQUIREMENTS.values() for proof in clause.proofs}


def test_the_numbered_behaviours_are_complete() -> None:
    assert [int(clause.partition("-")[0]) for clause in NUMBERED] == list(range(1, 81))


def test_every_documented_behaviour_cites_a_manual_and_so_does_its_test() -> None:
    """A reader of a test knows whose words it holds us to."""
    for clause, requirement in DOCUMENTED.items():
        manual = requirement.source.partition(",")[0]
        assert manual in ("systemd.unit(5)", "systemd.service(5)", "sd_notify(3)", "systemctl(1)")
        for proof in requirement.proofs:
            path, _, name = proof.partition("::")
            assert manual in (docstring(path, name) or ""), f"{clause}: {proof}"


def docstring(path: str, name: str) -> str | None:
    module = ast.parse((TESTS / path).read_text())
    [found] = (
        item for item in module.body if isinstance(item, ast.FunctionDef) and item.name == name
    )
    return ast.get_docstring(found)
