"""`analyze verify`: the lints of a configuration, or of the plan that runs."""

import sys
from argparse import Namespace

from anyclawd.cli import output
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import clean
from anyclawd.model.value import Json


def run(options: Namespace) -> int:
    """Print what is found; the status is 1 where there is an error in it."""
    rows = _of_configuration(options) if options.config else _of_daemon(options)
    if options.json:
        import json

        output.write(options, json.dumps({"findings": rows}, indent=2) + "\n")
    else:
        output.write(options, clean("".join(f"{_line(row)}\n" for row in rows)))
        if not rows:
            print("nothing to say", file=sys.stderr)
    return int(any(row["severity"] == "error" for row in rows))


def _line(row: Json) -> str:
    return f"{row['span']}: {row['severity']}: {row['unit']}: {row['text']} [{row['lint']}]"


def _of_daemon(options: Namespace) -> list[Json]:
    found: list[Json] = connect(options).get("/v1/verify")["findings"]
    return found


def _of_configuration(options: Namespace) -> list[Json]:
    from anyclawd.cli.offline import compiled
    from anyclawd.engine import lint

    return lint.rows(compiled(options))
