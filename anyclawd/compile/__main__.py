"""The compiler as a child process: `python -m anyclawd.compile --config FILE`.

Writes one marshal value to stdout: `{"plan": plain plan or None, "findings": (plain finding, ...),
"inputs": (...)}`. Exit status 0 with a plan, 1 without, 2 where it was called wrongly.
"""

import gc
import marshal
import os
import sys
from argparse import ArgumentParser


def main(arguments: list[str] | None = None) -> int:
    """Compile as the command line says."""
    from anyclawd.compile.compiler import compile_config
    from anyclawd.compile.tree import Machine
    from anyclawd.model.plan import to_plain

    parser = ArgumentParser(prog="python -m anyclawd.compile", description=__doc__)
    parser.add_argument("--config", required=True, help="the configuration, an anyclaw.yaml")
    parser.add_argument("--dropins", default="", help="a further directory of drop-ins")
    parser.add_argument("--strict", action="store_true", help="unknown keys are errors everywhere")
    options = parser.parse_args(arguments)
    environ = dict(os.environ)
    outcome = compile_config(
        options.config,
        environ,
        Machine(environ),
        strict=options.strict,
        dropins=options.dropins,
    )
    result = {
        "plan": None if outcome.plan is None else to_plain(outcome.plan),
        "findings": tuple(to_plain(finding) for finding in outcome.findings),
        "inputs": outcome.inputs,
    }
    sys.stdout.buffer.write(marshal.dumps(result))
    sys.stdout.buffer.flush()
    return 0 if outcome.plan is not None else 1


if __name__ == "__main__":
    gc.disable()  # one short run that keeps nearly all it makes, imports above all
    os._exit(main())  # all is written, and freeing what was made takes 30 ms and more
