"""What the service needs of the world, looked at before it is started; changes nothing."""

import importlib.util
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from images import Images
from listener import listen
from options import Options, read_options

from anyclaw_sdk.check import CheckFinding, CheckRequest
from anyclaw_sdk.types import RpcError

_NO_PLACE = "no place for files"


def checked(request: CheckRequest, environ: Mapping[str, str]) -> Iterator[CheckFinding]:
    """Raises RpcError for an option that cannot be used."""
    options = read_options(request.options)
    if importlib.util.find_spec("aiohttp") is None:
        yield CheckFinding.error("the library aiohttp is missing", "install python3-aiohttp")
    yield _place(options.directory or environ.get("STATE_DIRECTORY", ""))
    if options.images.edge_max and not Images.is_possible():
        text = "images are kept as they are sent, since the library pillow is missing"
        yield CheckFinding.note(text, "install python3-pil, or set image_edge: 0")
    if not request.is_running:
        yield _door(options)


def _place(directory: str) -> CheckFinding:
    """Whether files can be kept there."""
    if not directory:
        remedy = "set state_directory: true on the unit, or option directory"
        return CheckFinding.error(_NO_PLACE, remedy)
    place = Path(directory)
    while not os.access(place, os.F_OK) and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        text = f"{place} cannot be written to, and files are to be kept in {directory}"
        return CheckFinding.error(text, "let the user of the unit write there")
    return CheckFinding.ok(f"files are kept in {directory}")


def _door(options: Options) -> CheckFinding:
    """Whether it could listen; what it would listen on is let go at once."""
    if options.socket:
        parent = Path(options.socket).parent
        if not os.access(parent, os.W_OK | os.X_OK):
            text = f"no socket can be made in {parent}"
            return CheckFinding.error(text, "set option socket to another path")
        return CheckFinding.ok(f"listens on {options.socket}")
    try:
        listener, _ = listen(options, 0)
    except RpcError as error:
        return CheckFinding.error(error.message)
    listener.close()
    return CheckFinding.ok(f"listens on {options.host}:{options.port or 'a free port'}")
