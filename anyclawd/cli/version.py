"""`--version`: of this command, and of the daemon when one answers."""

import sys
from argparse import Namespace

import anyclawd
from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.client.exchange import ClientError

#: How long a daemon may take to say which one it is.
_ANSWER_S = 2.0


def run(options: Namespace) -> int:
    """Status 0 with or without a daemon; where the versions differ, it says what to do."""
    own, daemons = anyclawd.__version__, _daemons_version(options)
    if options.json:
        render.print_json({"anyclawctl": own, "anyclawd": daemons})
    else:
        print(f"anyclawctl {own}")
        if daemons is not None:
            print(f"anyclawd {daemons}, running")
    if daemons not in (None, own):
        text = f"the daemon is {daemons}, this command {own}; restart the daemon"
        print(f"anyclawctl: warning: {text}", file=sys.stderr)
    return 0


def _daemons_version(options: Namespace) -> str | None:
    try:
        version: str = connect(options, timeout_s=_ANSWER_S).get("/v1/status")["version"]
    except ClientError:
        return None
    return version
