"""Every route of the admin API over a real socket, with the client that people use."""

import pytest

from anyclawd.client.exchange import ClientError
from tests.fakes.control import SECRET
from tests.integration.admin.conftest import Served


def test_status_has_every_unit(served: Served) -> None:
    status = served.client.get("/v1/status")
    assert [unit["name"] for unit in status["units"]] == list(served.control.rows)
    assert status["state"] == "running"


def test_unknown_unit_is_refused_with_the_nearest_name(served: Served) -> None:
    with pytest.raises(ClientError, match=r"did you mean 'default.agent'") as caught:
        served.client.get("/v1/units/defualt.agent")
    assert (caught.value.exit_code, caught.value.code) == (4, "no-such-unit")


def test_plan_shows_settings_and_no_secret(served: Served) -> None:
    plan = served.client.get("/v1/plan")
    agent = plan["units"]["default.agent"]
    assert plan["order"][0] == "default.agent"
    assert agent["options"] == {"token": "<secret>", "depth": 3}
    assert agent["environment"] == {"API_KEY": "<secret>", "PLAIN": "seen"}
    assert SECRET not in str(plan)
