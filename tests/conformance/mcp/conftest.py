"""What conformance tests of MCP share: daemons, and the official client."""

from collections.abc import Iterator

import pytest

from tests.conformance.mcp.house import House, Playhouse, makers_house, playhouse
from tests.conformance.mcp.peers import Sdk


@pytest.fixture(scope="session")
def sdk() -> Iterator[Sdk]:
    found = Sdk()
    yield found
    found.close()


@pytest.fixture(scope="session")
def _playhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playhouse]:
    with playhouse(tmp_path_factory.mktemp("playhouse")) as found:
        yield found


@pytest.fixture
def mcp_stage(_playhouse: Playhouse) -> Playhouse:
    _playhouse.tidy()
    return _playhouse


@pytest.fixture(scope="module")
def mcp_house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """One with the tools that the module names in `TOOLS`."""
    with makers_house(tmp_path_factory.mktemp("house"), request.module.TOOLS) as found:
        yield found
