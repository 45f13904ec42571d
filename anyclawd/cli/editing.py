"""A drop-in of a unit in an editor, taken up when it is left: what `edit` does.

The unit's current settings stand below as comments, for reference. A text with which the
configuration could not be used is not lost: it can be edited again, and is else kept beside.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

from anyclawd.cli import dropin
from anyclawd.cli.render import clean
from anyclawd.client.client import quote
from anyclawd.client.exchange import ClientError
from anyclawd.compile.dropin import as_text, has_settings
from anyclawd.compile.settings import UNIT_TABLES
from anyclawd.model.deps import Relation
from anyclawd.model.unit import kind_of
from anyclawd.model.value import Json

_FILE = "override.yaml"
#: What is added to the name of a drop-in that was refused; the compiler does not read it.
_REFUSED = ".refused"

_MARK = "### What stands below this line is left out: the settings of the unit as they are."

#: What is tried where neither VISUAL nor EDITOR names an editor.
_EDITORS = ("editor", "nano", "vi")


def run(options: Namespace) -> int:
    """Status 1 if the configuration could not be used with the text; it is then kept beside."""
    place = dropin.place_of(options)
    path = place.file(options.unit, _FILE)
    kept = path.with_name(path.name + _REFUSED)
    with dropin.as_owner_of(place.directory):
        old = _read(path)
        text = _read(kept) or old
    reference = _reference(place, options.unit)
    if not (reference or text):
        dropin.refuse_unknown(place, options.unit)  # before anybody has written anything
    while True:
        text = _edited(text, reference, options.unit)
        if text == old:
            print("nothing was changed", file=sys.stderr)
            return 0
        try:
            answer = dropin.put(place, path, _always(text))
        except ClientError as error:
            if not _wants_to_go_on(error):
                with dropin.as_owner_of(place.directory):
                    _keep(kept, text, options.unit)
                raise
        else:
            with dropin.as_owner_of(place.directory):
                kept.unlink(missing_ok=True)
            return dropin.report(path, answer, options)


def _always(text: str) -> Callable[[bytes], str]:
    return lambda _: text


def _edited(text: str, reference: str, unit: str) -> str:
    """The text as it is when the editor is left; empty where it holds no setting."""
    with tempfile.TemporaryDirectory(prefix="anyclawctl-") as directory:
        path = Path(directory) / f"{unit}.yaml"
        path.write_text(f"{text}\n{_MARK}\n{reference}", "utf-8")
        editor = _editor(os.environ)
        try:
            done = subprocess.run([*editor, str(path)], check=False)
        except OSError as error:
            text = f"cannot run the editor {editor[0]!r}: {error.strerror}"
            raise ClientError(f"{text}; correct VISUAL or EDITOR") from error
        if done.returncode != 0:
            raise ClientError(f"the editor has failed with status {done.returncode}; see above")
        found = _read(path).partition(_MARK)[0].rstrip()
    return f"{found}\n" if has_settings(found.encode()) else ""


def _editor(environ: Mapping[str, str]) -> list[str]:
    """The command that edits a file. Raises ClientError where there is none."""
    named = environ.get("VISUAL") or environ.get("EDITOR")
    if named:
        try:
            return shlex.split(named)
        except ValueError as error:
            text = f"no editor can be run by {named!r}: {error}; correct VISUAL or EDITOR"
            raise ClientError(text) from error
    for name in _EDITORS:
        if shutil.which(name):
            return [name]
    raise ClientError("no editor; name one with the variable VISUAL or EDITOR")


def _wants_to_go_on(error: ClientError) -> bool:
    """Whether to edit the text again; nobody is asked where nobody sits."""
    if not (error.findings and sys.stdin.isatty()):
        return False
    for finding in error.findings:
        print(clean(finding), file=sys.stderr)
    print("edit it again? [Y/n] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("", "y", "yes")


def _keep(path: Path, text: str, unit: str) -> None:
    """Nobody loses a text, also where nothing can be written beside the drop-in."""
    try:
        path.parent.mkdir(exist_ok=True)
        path.touch(0o600)
        path.write_text(text, "utf-8")
    except OSError:
        descriptor, name = tempfile.mkstemp(prefix="anyclawctl-", suffix=".yaml")
        os.close(descriptor)
        Path(name).write_text(text, "utf-8")
        print(f"kept the text in {name}", file=sys.stderr)
        return
    print(f"kept the text in {path}; 'anyclawctl edit {unit}' goes on with it", file=sys.stderr)


def _read(path: Path) -> str:
    """The text of a file, empty where there is none. Raises ClientError where it holds no text."""
    try:
        return path.read_text("utf-8") if path.exists() else ""
    except UnicodeDecodeError as error:
        reason = f"{path} is not UTF-8 text; convert it, for instance with iconv"
        raise ClientError(reason) from error


def _reference(place: dropin.Place, unit: str) -> str:
    """The unit's settings as comments; none where nothing is known of it."""
    lines = as_text(_settings(place, unit)).splitlines()
    return "".join(f"# {line}\n" for line in lines)


def _settings(place: dropin.Place, unit: str) -> dict[str, Json]:
    """What can be set, as it is set; a template, and a unit that is not enabled, show none."""
    try:
        shown = _shown(place, unit)
    except ClientError:
        return {}
    kind = kind_of(unit)
    own = UNIT_TABLES[kind].settings if kind is not None else {}
    return {name: _plain(name, value) for name, value in shown.items() if name in own and value}


def _shown(place: dropin.Place, unit: str) -> dict[str, Json]:
    if place.client is not None:
        target = f"/v1/units/{quote(unit)}/settings"
        found: dict[str, Json] = place.client.get(target)["units"][unit]
        return found
    from anyclawd.admin.views import unit_view
    from anyclawd.cli.offline import compiled

    plan = compiled(Namespace(config=str(place.config)))
    units = {str(name): one for name, one in plan.units.items()}
    return unit_view(units[unit]) if unit in units else {}


def _plain(name: str, value: Json) -> Json:
    """Relations as they are written; the rest as it is."""
    if name in {relation.value for relation in Relation}:
        return [ref["unit"] for ref in value]
    return value
