"""The man pages, made out of the reference: `python3 packaging/man/make.py DIRECTORY`.

`docs/reference/` is written for people who read Markdown, and a man page has rules of its own: what
its sections are called and how they follow each other, 80 columns, other pages by name and number.
Pandoc reads the one and writes the other. What lies between them is here, on pandoc's syntax tree:

- the text before the first section is DESCRIPTION, sections of other pages are taken in, and all
  are put in the order of man-pages(7)
- a table becomes a list of terms: its first column is the term, its last one what is said of it,
  and what stands between them is told in a line below
- a heading of the fourth level is a term too, and what follows it is said of it
- a link becomes the man page that is made of where it leads, or stays as its text; where more is
  to be read is told in SEE ALSO
- what is typed is bold, and what stands for something else is in italics

Needs pandoc 2.17 or newer. The date is that of SOURCE_DATE_EPOCH where it is set, else today's. It
imports nothing of anyclawd, since a package is built without its dependencies.
"""

import json
import os
import posixpath
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

#: A node of pandoc's tree: `{"t": type, "c": content}`.
Node: TypeAlias = "dict[str, Json]"
Json: TypeAlias = "None | bool | int | float | str | list[Json] | Node"

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"

#: Where a distribution installs `docs/`.
DOCUMENTATION = "/usr/share/doc/anyclawd"
