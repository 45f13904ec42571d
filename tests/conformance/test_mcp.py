"""Every clause of MCP that is claimed has its tests, they exist, and no test lacks its clause."""

import re

import pytest

from tests.conformance.requirements_mcp import AS_CLIENT, AS_SERVER, MCP, OUR_SDK
from tests.conformance.test_units import TESTS, collected

#: A revision or more, then the page; or a document of ours.
SOURCE = re.compile(r"(20\d\d-\d\d-\d\d)(, 20\d\d-\d\d-\d\d)*: .+|docs/\S+\.md")


@pytest.mark.parametrize("clause", MCP)
def test_every_clause_is_proved_or_deferred(clause: str) -> None:
    assert bool(MCP[clause].deferral) is not bool(MCP[clause].proofs)


@pytest.mark.parametrize("clause", MCP)
def test_every_proof_exists(clause: str) -> None:
    for proof in MCP[clause].proofs:
        path, _, name = proof.partition("::")
        assert name in collected(path), proof


@pytest.mark.parametrize("clause", MCP)
def test_every_clause_cites_its_revision(clause: str) -> None:
    assert SOURCE.fullmatch(MCP[clause].source)


def test_no_clause_is_told_twice() -> None:
    assert len(MCP) == len(AS_SERVER) + len(AS_CLIENT) + len(OUR_SDK)


def test_every_test_of_mcp_has_its_clause() -> None:
    found = {
        f"conformance/mcp/{path.name}::{name}"
        for path in (TESTS / "conformance/mcp").glob("test_*.py")
        for name in collected(f"conformance/mcp/{path.name}")
    }
    assert found <= {proof for clause in MCP.values() for proof in clause.proofs}
