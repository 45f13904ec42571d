"""A real browser to look at pictures with: Chromium without a screen, once for many documents."""

import html
import json
import shutil
import subprocess
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

import pytest

from anyclawd.model.value import Json

PROGRAM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="needs chromium")

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--dump-dom",
)


def look(directory: Path, documents: Mapping[str, str], script: str) -> Json:
    """What `script` says of documents, by name.

    Each document is a frame of its own; `script` defines `look(name, document)`, which is called
    for one after the other once all are there, and whose value is handed back as JSON. It returns
    at once: what the browser prints is what is there when all has been loaded.
    """
    frames = "".join(
        f'<iframe name="{html.escape(name)}" width="1400" height="900" '
        f'srcdoc="{html.escape(text)}"></iframe>'
        for name, text in documents.items()
    )
    page = directory / "looking.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><body>{frames}'
        f"<script>{script}\n{_CALL}</script></body>",
        "utf-8",
    )
    assert PROGRAM is not None
    done = subprocess.run(
        [PROGRAM, *_FLAGS, f"--user-data-dir={directory / 'profile'}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    _, found, rest = done.stdout.partition('data-found="')
    assert found, f"the browser has not come to its end: {done.stderr[-4000:]}"
    answer = json.loads(urllib.parse.unquote(rest.partition('"')[0]))
    assert "error" not in answer, answer
    return answer


_CALL = """
addEventListener("load", () => {
  const found = {};
  try {
    for (const frame of document.querySelectorAll("iframe")) {
      found[frame.name] = look(frame.name, frame.contentDocument);
    }
  } catch (error) {
    found.error = String(error.stack);
  }
  document.body.dataset.found = encodeURIComponent(JSON.stringify(found));
});
"""
