"""Every clause of ACP that is claimed has its tests, they exist, and no test lacks its clause."""

import pytest

from tests.conformance.requirements_acp import ACP
from tests.conformance.test_units import TESTS, collected


@pytest.mark.parametrize("clause", ACP)
def test_every_clause_is_proved_or_deferred(clause: str) -> None:
    assert bool(ACP[clause].deferral) is not bool(ACP[clause].proofs)


@pytest.mark.parametrize("clause", ACP)
def test_every_proof_exists(clause: str) -> None:
    for proof in ACP[clause].proofs:
        path, _, name = proof.partition("::")
        assert name in collected(path), proof


def test_every_test_of_acp_has_its_clause() -> None:
    found = {
        f"conformance/acp/{path.name}::{name}"
        for path in (TESTS / "conformance/acp").glob("test_*.py")
        for name in collected(f"conformance/acp/{path.name}")
    }
    assert found <= {proof for clause in ACP.values() for proof in clause.proofs}
