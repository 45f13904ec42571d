"""What has come of an image; told by a worker process, so it imports nothing of Pillow."""

from typing import NamedTuple


class Outcome(NamedTuple):
    """A smaller file is there only if it is `made`."""

    state: str  #: made, kept (it is fine as it is), moving (so it is left alone) or bad
    reason: str = ""  #: why it is bad, for people
    width: int = 0
    height: int = 0
    mime_type: str = ""  #: of what was made
    size: int = 0  #: of that, in bytes
