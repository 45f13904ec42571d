"""What real processes say by sd_notify(3), and what the engine makes of it; on both loops."""

from pathlib import Path

import pytest

from anyclawd.model.state import Sub
from tests.integration.runtime.supervisor import (
    after,
    notifying,
    shell,
    supervised,
)

pytestmark = pytest.mark.usefixtures("subreaper", "loop")

STAY = "signal.pause()\n"


async def test_ready_lets_dependents_start(tmp_path: Path) -> None:
    first = notifying("first", f"print('first', flush=True); say('READY=1')\n{STAY}")
    then = shell("then", "echo then; exec sleep 1000", deps=after("first"))
    async with supervised(tmp_path, first, then) as house:
        assert house.state("first").sub is house.state("then").sub is Sub.RUNNING
        assert house.subs["then"] == [Sub.START, Sub.RUNNING]
        began = house.state("first").ready_at
        assert began is not None
        assert began <= house.state("then").since


async def test_what_it_says_of_its_state_is_kept(tmp_path: Path) -> None:
    code = "say('STATUS=warming \\x1b[1mup', 'ERRNO=5'); say('READY=1')\n" + STAY
    async with supervised(tmp_path, notifying("one", code)) as house:
        name = house.driver.plan.order[0]
        assert house.driver.status_text(name) == "warming up"
        assert house.driver.errno(name) == 5
        assert house.driver.status_text(house.driver.plan.order[1]) == ""
