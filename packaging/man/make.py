"""The man pages, made out of the reference: `python3 packaging/man/make.py DIRECTORY`.

`docs/reference/` is written for people who read Markdown, and a man page has rules of its own: what
its sections are called and how they follow each other, 80 columns, other pages by name and number.
Pandoc reads the one and writes the other. What lies between is done here, on pandoc's syntax tree:

- what stands before the first section is DESCRIPTION, sections of other pages are taken in, and all
  are put in the order of man-pages(7);
- a table becomes a list of terms: its first column is the term, its last one what is said of it,
  and what stands between them is told in a line below;
- a link becomes its text, behind it the man page that is made of where it leads; what else there is
  to read is named in SEE ALSO;
- what is typed is bold, and what stands for something else is in italics.

Needs pandoc 2.17 or newer. The date is that of SOURCE_DATE_EPOCH where it is set, else today's.
Nothing of anyclawd is imported; its version is read off its source.
"""

import argparse
import json
import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

#: A node of pandoc's tree, or a part of one; those of a document have the keys `t` and `c`.
Node: TypeAlias = Any

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"

#: Where a distribution installs `docs/`.
DOCUMENTATION = "/usr/share/doc/anyclawd/docs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A man page, and what of the reference it is made of."""

    name: str
    section: int
    purpose: str  #: what whatis(1) tells
    source: str
    synopsis: tuple[str, ...] = ()  #: where the source has no such section: names of files
    #: Further sections: what they are called here, and whose section they are there.
    taken: tuple[tuple[str, str, str], ...] = ()
    others: tuple[str, ...] = ()  #: man pages of others, for SEE ALSO

    @property
    def file(self) -> str:
        return f"{self.name}.{self.section}"

    @property
    def reference(self) -> str:
        return f"{self.name}({self.section})"


PAGES = (
    Page(
        name="anyclawd",
        section=8,
        purpose="supervisor and gateway for AI agents",
        source="anyclawd.md",
        taken=(
            ("exit status", "exit-codes.md", "anyclawd"),
            ("environment", "environment.md", "Read by anyclawd"),
        ),
        others=("systemctl(1)", "journalctl(1)", "systemd.service(5)", "sd_notify(3)"),
    ),
    Page(
        name="anyclawctl",
        section=1,
        purpose="control the supervisor and gateway for AI agents",
        source="anyclawctl.md",
        taken=(
            ("exit status", "exit-codes.md", "anyclawctl"),
            ("environment", "environment.md", "Read by anyclawctl"),
        ),
        others=("systemctl(1)", "journalctl(1)", "dot(1)"),
    ),
    Page(
        name="anyclaw-mcp-stdio",
        section=1,
        purpose="carry MCP between pipes and the tools of anyclawd",
        source="anyclaw-mcp-stdio.md",
        taken=(("environment", "environment.md", "Read by anyclaw-mcp-stdio"),),
    ),
    Page(
        name="anyclaw.yaml",
        section=5,
        purpose="configuration of anyclawd",
        source="configuration.md",
        synopsis=(
            "/etc/anyclawd/anyclaw.yaml",
            "/etc/anyclawd/units.d/*.yaml",
            "/etc/anyclawd/<unit>.d/*.yaml",
        ),
        others=("systemd-escape(1)", "systemd.exec(5)"),
    ),
    Page(
        name="anyclawd.unit",
        section=5,
        purpose="settings of the units that anyclawd starts and stops",
        source="units.md",
        synopsis=("<name>.<kind>", "<name>@<argument>.<kind>"),
        taken=(("environment", "environment.md", "Given to every unit"),),
        others=("systemd.unit(5)", "systemd.service(5)", "systemd.exec(5)", "sd_notify(3)"),
    ),
)

#: Sections that stand first and last; the page's own ones are between them. Source: man-pages(7).
_FIRST = ("name", "synopsis", "description", "options", "commands")
_LAST = ("exit status", "environment", "files", "examples", "see also")

#: In how words are used: what stands for something else, and what is only punctuation.
_USAGE = re.compile(r"(\s+|[\[\]|,=]|\.\.\.|(?<![\w-])[A-Z]+(?![\w-]))")

#: A new line. Pandoc's own one leaves the indentation of a term.
_BREAK = {"t": "RawInline", "c": ["man", "\n.br\n"]}

_ESCAPES = str.maketrans(
    {"\\": "\\e", "-": "\\-", "'": "\\[aq]", "`": "\\[ga]", "^": "\\[ha]", "~": "\\[ti]"}
)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Make the man pages.")
    parser.add_argument("directory", type=Path, help="where they are written")
    options = parser.parse_args(arguments)
    options.directory.mkdir(parents=True, exist_ok=True)
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    day = datetime.now(UTC) if epoch is None else datetime.fromtimestamp(int(epoch), UTC)
    for page in PAGES:
        (options.directory / page.file).write_text(written(page, f"{day:%Y-%m-%d}"), "utf-8")


def written(page: Page, date: str) -> str:
    """A page as man(7) wants it."""
    version = re.search(r'__version__ = "(.*)"', (ROOT / "anyclawd/__init__.py").read_text("utf-8"))
    assert version is not None
    body = pandoc("json", "man", json.dumps(document(page)))
    body = re.sub(r"^(\.S[HS] .*)\n\.PP$", r"\1", body, flags=re.MULTILINE)  # which is implied
    body = re.sub(r"(?<![\\[])-", r"\\-", body)  # what older pandocs leave to be cut behind it
    lines = [
        f'.\\" Made of docs/reference/{page.source} by packaging/man/make.py.',
        f'.TH {page.name.upper()} {page.section} {date} "anyclawd {version[1]}" anyclawd',
        ".nh",  # names are not to be cut,
        ".ad l",  # and justified lines with names in them have holes;
        ".ds AD l",  # this is how groff 1.23 is told
        body,
    ]
    return "\n".join(lines)


def pandoc(source: str, target: str, text: str) -> str:
    command = ["pandoc", "--fail-if-warnings", "-f", source, "-t", target]
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True).stdout


def document(page: Page) -> Node:
    """The tree of a page."""
    reader, sections = Reader(page), {}
    for heading, blocks in _sections(page.source).items():
        title = heading.lower() or "description"
        read = reader.synopsis if title == "synopsis" else reader.blocks
        if made := [*read(blocks)]:
            sections[title] = made
    if page.synopsis:
        sections["synopsis"] = [_lines([_strong(line)] for line in page.synopsis)]
    for title, source, heading in page.taken:
        sections[title] = [*reader.blocks(_sections(source)[heading])]
    sections["name"] = [_para(_text(f"{page.name} - {page.purpose}"))]
    sections["see also"] = [*reader.see_also()]
    own = [title for title in sections if title not in (*_FIRST, *_LAST)]
    order = [title for title in (*_FIRST, *own, *_LAST) if title in sections]
    blocks = [block for title in order for block in (_header(1, title.upper()), *sections[title])]
    return {**_tree(page.source), "meta": {}, "blocks": blocks}


@cache
def _tree(source: str) -> Node:
    return json.loads(pandoc("gfm", "json", (REFERENCE / source).read_text("utf-8")))


def _sections(source: str) -> dict[str, list[Node]]:
    """What stands below each heading of the second level; below "" what is before the first."""
    found: dict[str, list[Node]] = {"": []}
    heading = ""
    for block in _tree(source)["blocks"]:
        if _level(block) == 2:
            heading = _plain(block["c"][2])
            found[heading] = []
        else:
            found[heading].append(block)
    return found


class Reader:
    """Turns what is written for Markdown into what a man page has, and notes what is linked."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._linked: set[str] = set()  #: below docs/

    def see_also(self) -> Iterator[Node]:
        """Other man pages, and the documents that are linked."""
        pages = [page.reference for page in PAGES if page is not self._page]
        references = [_reference(name) for name in (*pages, *self._page.others)]
        yield _para(_joined(references, _text(", ")))
        if self._linked:
            names = _joined(([_emph(name)] for name in sorted(self._linked)), _text(", "))
            place = [*_text("Below "), _emph(DOCUMENTATION)]
            yield _para([*place, *_text(", where the documentation is installed: "), *names])

    def blocks(self, blocks: list[Node]) -> Iterator[Node]:
        for block in blocks:
            yield from self._block(block)

    def _block(self, block: Node) -> Iterator[Node]:
        match block["t"]:
            case "Header":
                if (level := _level(block)) > 1:  # the first is the name of the page
                    yield _header(level - 1, _plain(block["c"][2]))
            case "Para" | "Plain":
                yield {**block, "c": self._inlines(block["c"])}
            case "BulletList":
                yield {**block, "c": [[*self.blocks(item)] for item in block["c"]]}
            case "OrderedList":
                numbering, items = block["c"]
                yield {**block, "c": [numbering, [[*self.blocks(item)] for item in items]]}
            case "CodeBlock":
                yield _example(block["c"][1])
            case "Table":
                yield _terms(self._rows(block))
            case "RawBlock":  # a comment
                pass
            case other:
                raise ValueError(f"docs/reference/{self._page.source}: no rule for a {other}")

    def _rows(self, table: Node) -> Iterator[tuple[list[Node], list[Node]]]:
        """A term and what is said of it, for each row of a table."""
        _, _, _, (_, head), bodies, _ = table["c"]
        names = [_plain(_cell(cell)) for cell in head[0][1]]
        for _, cells in (row for body in bodies for row in body[3]):
            term, *rest = [self._inlines(_cell(cell)) for cell in cells]
            said = [rest[-1]] if rest[-1] else []
            facts = [
                fact if fact == _text("required") else [_emph(name), *_text(": "), *fact]
                for name, fact in zip(names[1:-1], rest[:-1], strict=True)
                if fact
            ]
            if facts:
                said.append(_joined(facts, _text("; ")))
            yield term, [_para(_joined(said, [_BREAK]))]

    def synopsis(self, blocks: list[Node]) -> Iterator[Node]:
        """Each line of a code block, as what is typed and what stands for something else."""
        for block in blocks:
            yield _lines(_used(line) for line in block["c"][1].splitlines())

    def _inlines(self, inlines: list[Node]) -> list[Node]:
        return [made for inline in inlines for made in self._inline(inline)]

    def _inline(self, inline: Node) -> Iterator[Node]:
        match inline["t"]:
            case "Str" | "Space" | "SoftBreak":
                yield inline
            case "Code":
                text = inline["c"][1]
                yield from _used(text) if text.startswith("-") else [_strong(text)]
            case "Emph" | "Strong":
                yield {**inline, "c": self._inlines(inline["c"])}
            case "Link":
                _, text, (target, _) = inline["c"]
                yield from self._link(self._inlines(text), target)
            case other:
                raise ValueError(f"docs/reference/{self._page.source}: no rule for a {other}")

    def _link(self, text: list[Node], target: str) -> Iterator[Node]:
        path, _, _ = target.partition("#")
        here = next((title for title, source, _ in self._page.taken if source == path), "")
        page = next((page for page in PAGES if page.source == path), None)
        if "://" in target:
            yield from [*text, *_text(f" <{target}>")]
        elif path in ("", self._page.source):
            yield from text
        elif here:
            is_name = _plain(text) in (path, path.removesuffix(".md"))
            yield from _text(here.upper()) if is_name else text
        elif page is None:
            self._linked.add(posixpath.normpath(f"reference/{path}"))
            yield _emph(_plain(text))
        elif _plain(text) in (path, page.name):
            yield from _reference(page.reference)
        else:
            yield from [*text, *_text(" ("), *_reference(page.reference), *_text(")")]


# -- what is read of pandoc's tree --------------------------------------------------------------


def _level(block: Node) -> int:
    """Of which level a heading is; 0 for anything else."""
    return int(block["c"][0]) if block["t"] == "Header" else 0


def _cell(cell: Node) -> list[Node]:
    return list(cell[4][0]["c"]) if cell[4] else []


def _plain(inlines: Iterable[Node]) -> str:
    """The text of inlines, as it is read."""
    parts = []
    for inline in inlines:
        match inline["t"]:
            case "Str":
                parts.append(inline["c"])
            case "Code":
                parts.append(inline["c"][1])
            case "Space" | "SoftBreak":
                parts.append(" ")
            case kind:
                parts.append(_plain(inline["c"][1] if kind == "Link" else inline["c"]))
    return "".join(parts)


# -- what is made for it ------------------------------------------------------------------------


def _text(text: str) -> list[Node]:
    """Words, between which pandoc may begin a new line."""
    pieces = (piece for piece in re.split(r"( )", text) if piece)
    return [{"t": "Space"} if piece == " " else {"t": "Str", "c": piece} for piece in pieces]


def _strong(text: str) -> Node:
    return {"t": "Strong", "c": _text(text)}


def _emph(text: str) -> Node:
    return {"t": "Emph", "c": _text(text)}


def _para(inlines: list[Node]) -> Node:
    return {"t": "Para", "c": inlines}


def _header(level: int, text: str) -> Node:
    return {"t": "Header", "c": [level, ["", [], []], _text(text)]}


def _terms(terms: Iterable[tuple[list[Node], list[Node]]]) -> Node:
    return {"t": "DefinitionList", "c": [[term, [blocks]] for term, blocks in terms]}


def _lines(lines: Iterable[list[Node]]) -> Node:
    return _para(_joined(lines, [_BREAK]))


def _joined(parts: Iterable[list[Node]], between: list[Node]) -> list[Node]:
    found: list[Node] = []
    for part in parts:
        found += [*between, *part] if found else part
    return found


def _reference(name: str) -> list[Node]:
    """`name(1)`, as other man pages are named."""
    bare, _, section = name.partition("(")
    return [_strong(bare), *_text(f"({section}")]


def _used(text: str) -> list[Node]:
    found: list[Node] = []
    for piece in filter(None, _USAGE.split(text)):
        if not _USAGE.fullmatch(piece):
            found.append(_strong(piece))
        elif piece.isupper():
            found.append(_emph(piece))
        else:
            found += _text(piece)
    return found


def _example(text: str) -> Node:
    """Lines as they are. Pandoc's own way asks for a font that terminals do not have."""
    lines = [re.sub(r"^(?=[.'])", r"\\&", line.translate(_ESCAPES)) for line in text.splitlines()]
    return {"t": "RawBlock", "c": ["man", "\n".join([".sp", ".RS 4", ".nf", *lines, ".fi", ".RE"])]}


if __name__ == "__main__":
    main(sys.argv[1:])
