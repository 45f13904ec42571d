"""What is said where there is nobody to ask."""

import pytest

from anyclawd.client.client import starters


@pytest.mark.parametrize(
    ("path", "commands"),
    [
        ("/run/anyclawd/admin.sock", "'systemctl start anyclawd' or 'anyclawd -c FILE'"),
        ("/run/anyclawd@shop/admin.sock", "'systemctl start anyclawd@shop' or 'anyclawd -c FILE'"),
        ("/run/user/1000/anyclawd/admin.sock", "'anyclawd -c FILE'"),
        ("/run/anyclawd.sock", "'anyclawd -c FILE'"),
    ],
)
def test_a_daemon_is_started_by_who_would_have_it(path: str, commands: str) -> None:
    assert starters(path) == commands
