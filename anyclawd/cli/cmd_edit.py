"""`edit [--runtime] UNIT`: a drop-in of a unit in an editor, taken up when it is left."""

from argparse import Namespace

from anyclawd.cli import dropin

configure = dropin.configure


def run(options: Namespace) -> int:
    from anyclawd.cli import editing  # which takes longer to import than completions may take

    return editing.run(options)
