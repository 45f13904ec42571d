"""What the reference page says of the endpoint is what the code does."""

import re
from pathlib import Path

from anyclawd.mcp import checks, endpoint, eras, feed, listening, modern, posted, session
from anyclawd.wire import mcp

PAGE = (Path(__file__).parents[3] / "docs/reference/mcp-endpoint.md").read_text()
SERVER = (Path(endpoint.__file__).with_name("server.py")).read_text()


def test_every_method_is_on_the_page() -> None:
    answered = eras.ASKED | eras.HANDSHAKE_METHODS | eras.MODERN_METHODS
    assert [method for method in answered if f"`{method}`" not in PAGE] == []


def test_every_revision_is_on_the_page() -> None:
    assert [one for one in eras.REVISIONS if f"`{one}`" not in PAGE] == []


def test_every_status_is_on_the_page() -> None:
    used = set(modern.STATUS.values())
    for source in Path(endpoint.__file__).parent.glob("*.py"):
        found = re.findall(r"(?:Refusal\(|status=)\s*(\d{3})|, (4\d\d)\)", source.read_text())
        used |= {int(one or other) for one, other in found}
    assert {401, 403, 404, 405, 406, 408, 413, 415, 429} <= used
    assert [status for status in sorted(used) if not re.search(rf"\b{status}\b", PAGE)] == []


def test_every_limit_is_on_the_page() -> None:
    limits = PAGE.partition("## Limits")[2].partition("\n## ")[0]
    numbers = [
        endpoint.REQUESTS_PER_TOKEN,
        listening.STREAMS_PER_TOKEN,
        session.SESSIONS_PER_TOKEN,
        session.SESSIONS_MAX,
        posted.BATCH_MAX,
        listening.URIS_MAX,
        feed.WAITING_MAX,
        int(re.findall(r"CONNECTIONS_MAX = (\d+)", SERVER)[0]),
        *(int(seconds) for seconds in re.findall(r"(?:WRITE|FIRST|IDLE)_S = (\d+)", SERVER)),
    ]
    shown = limits.replace(",", "")
    assert [number for number in numbers if not re.search(rf"\b{number}\b", shown)] == []
    assert f"{checks.BODY_BYTES_MAX >> 20} MiB" in limits
    assert f"{feed.WAITING_BYTES_MAX >> 20} MiB" in limits


def test_every_error_of_the_modern_era_is_on_the_page() -> None:
    codes = {*modern.STATUS, mcp.RESOURCE_NOT_FOUND} - {mcp.MISSING_CAPABILITY}
    assert [code for code in codes if f"`{code}`" not in PAGE] == []
