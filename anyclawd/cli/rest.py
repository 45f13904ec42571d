"""How units came to rest, for `wait` and for `start --wait`: what is printed, and the status."""

import sys

from anyclawd.client.exchange import FAILED, NO_SUCH_UNIT
from anyclawd.model.value import Json


def status(row: Json) -> int:
    """The unit's own exit status; 1 where it has not ended yet, 4 where there is no such unit."""
    if not row["at_rest"]:
        return FAILED
    if row["active"] is None:
        return NO_SUCH_UNIT
    own: int = row["status"]
    return own


def report(row: Json) -> None:
    unit = row["unit"]
    if not row["at_rest"]:
        print(f"{unit}: it has not ended in time and goes on", file=sys.stderr)
    elif row["active"] is None:
        print(f"{unit}: a reload has removed it while it was waited for", file=sys.stderr)
    else:
        print(f"{unit} {row['active']} ({row['sub']}){_how(row)}")


def _how(row: Json) -> str:
    """How its last run ended, as far as there is something to tell."""
    end = row["exit"]
    if row["result"] in ("exit-code", "success") and end is not None and end["code"] is not None:
        return f", exit code {end['code']}"
    if end is not None and end["signal"] is not None:
        return f", {row['result']}, {end['signal']}"
    return f", {row['result']}" if row["result"] != "success" else ""
