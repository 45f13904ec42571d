"""The reference of `anyclawctl` against the verbs, options and exit codes there are."""

import itertools
import re
import shlex
from argparse import ArgumentParser, _SubParsersAction
from importlib import import_module
from pathlib import Path

import pytest

from anyclawd.cli import arguments, cmd_is_active, main
from anyclawd.client import exchange
from anyclawd.daemon import usage

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"
PAGE = (REFERENCE / "anyclawctl.md").read_text("utf-8")


def section_of(verb: str) -> str:
    """The part of the page whose heading has the verb."""
    sections = PAGE.split("\n### ")
    return next(part for part in sections if f"`{verb}" in part.partition("\n")[0])


@pytest.mark.parametrize("verb", main.VERBS)
def test_each_verb_and_each_of_its_options_is_described(verb: str) -> None:
    parser = ArgumentParser(add_help=False)
    import_module(f"anyclawd.cli.cmd_{verb.replace('-', '_')}").configure(parser)
    section = section_of(verb)
    assert [word for word in words_of(parser) if word not in section] == []


def words_of(parser: ArgumentParser) -> list[str]:
    """The options of a verb, the verbs it has of its own, and theirs; global ones left out."""
    words: list[str] = []
    for action in parser._actions:
        words += action.option_strings
        if isinstance(action, _SubParsersAction):
            words += [f"`{name}" for name in action.choices]
            words += [word for own in action.choices.values() for word in words_of(own)]
    return [word for word in words if word not in GLOBAL]


GLOBAL = ("-h", "--help", "-s", "--socket", "-c", "--config", "--json")


def test_the_list_of_verbs_is_that_of_the_help() -> None:
    rows = PAGE.partition("\n## Commands\n")[2].partition("\n\nWhere")[0].splitlines()[3:]
    listed = {row.split(" | ")[0].strip("| "): re.findall(r"`([\w-]+)`", row) for row in rows}
    assert listed == {end: list(verbs) for end, verbs in main.GROUPS.items()}


def test_each_option_of_the_daemon_is_described() -> None:
    page = (REFERENCE / "anyclawd.md").read_text("utf-8")
    synopsis = page.partition("\n## Synopsis\n")[2].partition("\n## ")[0]
    for action in usage.parser()._actions:
        assert [option for option in action.option_strings if f"`{option}" not in page] == []
        form = f"[{action.option_strings[0]} {action.metavar}]" if action.metavar else ""
        assert (form or action.option_strings[-1]) in synopsis


@pytest.mark.parametrize("verb", main.VERBS)
def test_each_verb_tells_its_json(verb: str) -> None:
    without = ("schema", "run")  # the one prints JSON anyway, the other becomes the daemon
    assert verb in without or "`--json`" in section_of(verb)


def commands_in(page: Path) -> list[str]:
    """The lines of a page's shell blocks that run anyclawctl, as they would be typed."""
    blocks = re.findall(
        r"^```(?:sh|console)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = [re.search(r"^(?:\$ )?(?:\S*/)?anyclawctl (.*)", line) for line in lines]
    return [match[1] for match in found if match is not None]


COMMANDS = [
    (page.relative_to(ROOT), command)
    for page in sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("ext/**/*.md")])
    for command in commands_in(page)
]


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda value: str(value))
def test_each_command_of_the_documentation_is_understood(page: Path, command: str) -> None:
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(
        itertools.takewhile(lambda word: word not in ("|", "&&", ";", ">", "&", "2"), lexer)
    )
    position = main.verb_position(words)
    if position is None:
        assert words == ["--version"]
        return
    module = import_module(f"anyclawd.cli.cmd_{words[position].replace('-', '_')}")
    parser = ArgumentParser(exit_on_error=False)
    arguments.add_global_options(parser)
    module.configure(parser)
    parser.parse_args(main.joined(words[:position] + words[position + 1 :]))


def test_global_options_are_described() -> None:
    parser = ArgumentParser()
    arguments.add_global_options(parser)
    options = [option for action in parser._actions for option in action.option_strings]
    assert [option for option in [*options, "--version"] if f"`{option}" not in PAGE] == []


def test_each_exit_code_is_described() -> None:
    page = (REFERENCE / "exit-codes.md").read_text("utf-8")
    codes = {
        0,
        exchange.USAGE_ERROR,
        main.INTERRUPTED,
        cmd_is_active.NOT_ACTIVE,
        exchange.FAILED,
        exchange.NO_SUCH_UNIT,
        exchange.NO_DAEMON,
        exchange.NOT_PERMITTED,
    }
    assert [code for code in codes if f"| `{code}` |" not in page] == []
