"""What every verb's parser has, and how a verb gets verbs of its own, such as `sessions show`."""

import os
from argparse import SUPPRESS, ArgumentParser, HelpFormatter, Namespace
from collections.abc import Callable, Mapping

#: A verb of a verb: what it does, what adds its arguments, what does the work.
SubVerb = tuple[str, Callable[[ArgumentParser], object], Callable[[Namespace], int]]


class Help(HelpFormatter):
    """Asks for the terminal's width by itself: argparse imports shutil for it, which costs 4 ms."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=terminal_width())


def terminal_width() -> int:
    """How much of a line is to be filled."""
    try:
        return os.get_terminal_size().columns - 2
    except OSError:
        return 78


def add_global_options(parser: ArgumentParser, *, is_nested: bool = False) -> None:
    """Those that may stand before or after the verb, and after the verb of a verb."""
    absent = SUPPRESS if is_nested else None
    parser.add_argument(
        "-s",
        "--socket",
        metavar="PATH",
        default=absent,
        help="the daemon's admin socket, or @NAME of a deployment",
    )
    parser.add_argument(
        "-c", "--config", metavar="FILE", default=absent, help="the configuration file"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        default=SUPPRESS if is_nested else False,
        help="print JSON for programs",
    )


def add_verbs(parser: ArgumentParser, verbs: Mapping[str, SubVerb], default: str) -> None:
    """Give a verb verbs of its own; `default` is done where none of them is named."""
    nested = parser.add_subparsers(metavar="VERB", title="verbs")
    for name, (text, configure, run) in verbs.items():
        own = nested.add_parser(name, help=text, description=f"{text}.", formatter_class=Help)
        add_global_options(own, is_nested=True)
        configure(own)
        own.set_defaults(run=run)
    defaults = ArgumentParser(add_help=False)
    verbs[default][1](defaults)
    parser.set_defaults(**{**vars(defaults.parse_args([])), "run": verbs[default][2]})
