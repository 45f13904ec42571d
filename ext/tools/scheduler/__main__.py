"""The scheduler: tools by which an agent has itself told something later."""

import logging
import sys

from program import Scheduler

from anyclaw_sdk.check import is_check_asked
from anyclaw_sdk.tool import run_server

if __name__ == "__main__":
    if sys.argv[1:] and not is_check_asked(sys.argv[1:]):
        sys.stderr.write("arguments are ignored; set options instead\n")
    logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stderr)
    run_server(Scheduler())
