"""What is made of an image: smaller where it is too large, upright, and without what cameras add.

Runs in a worker process, whose memory and time are bounded; the only module that knows Pillow.
An image that is decoded can harm nothing but that process.
"""

import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from outcome import Outcome
from PIL import Image, ImageOps, UnidentifiedImageError

#: What is decoded at all; each by its own reader and no other.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
#: What each is written as: agents take the first three, and these two lose nothing as PNG.
_WRITTEN = {"JPEG": "JPEG", "MPO": "JPEG", "PNG": "PNG", "WEBP": "WEBP", "GIF": "PNG"}
_WRITTEN |= {"BMP": "PNG", "TIFF": "PNG"}
#: A profile of colours says nothing of who took the picture, and larger ones are no profile.
_PROFILE_MAX_BYTES = 64 * 1024
_ORIENTATION = 0x0112
#: Modes that are resized and written as they are; all others become RGB or RGBA.
_MODES = ("L", "RGB", "RGBA", "LA")
#: Of what was not said by the image but by its maker, or his place.
_PRIVATE = ("exif", "xmp", "XML:com.adobe.xmp", "comment", "photoshop", "Raw profile type exif")

warnings.simplefilter("ignore")  # of what is odd about an image; its pixels are bounded below
Image.MAX_IMAGE_PIXELS = None  # bounded by the job, from the header


class Job(NamedTuple):
    source: str
    target: str
    edge_max: int
    quality: int
    pixels_max: int


def shrink(job: Job) -> Outcome:
    """Perform a job; whatever the image is, there is an outcome."""
    try:
        with Image.open(job.source, formats=FORMATS) as image:
            width, height = image.size
            if width * height > job.pixels_max:
                text = f"it has {width} x {height} pixels, over the limit of {job.pixels_max}"
                return Outcome("bad", text)
            if getattr(image, "is_animated", False) and image.format != "MPO":
                return Outcome("moving", "", width, height)
            return _make(image, job)
    except MemoryError:
        return Outcome("bad", "it takes more memory to decode than is allowed")
    except UnidentifiedImageError:  # its text has the path, which is nobody's business
        return Outcome("bad", "it cannot be decoded: no image looks like this")
    except Exception as error:  # noqa: BLE001 - decoders raise what they like about bad input
        return Outcome("bad", f"it cannot be decoded: {error!s:.200}")


def _make(image: Image.Image, job: Job) -> Outcome:
    written = _WRITTEN[image.format or ""]
    is_other = written != image.format and image.format not in ("MPO", "GIF")
    is_large = job.edge_max > 0 and max(image.size) > job.edge_max
    if is_large:
        image.draft("RGB", (job.edge_max, job.edge_max))  # JPEG alone: decodes it small
    image.load()  # all of it: what is cut short shows here
    is_private = len(image.getexif()) > 0 or any(image.info.get(key) for key in _PRIVATE)
    is_upright = image.getexif().get(_ORIENTATION, 1) in (0, 1)
    profile = image.info.get("icc_profile") or b""
    made = _plain(image if is_upright else ImageOps.exif_transpose(image) or image)
    if is_large:
        made.thumbnail((job.edge_max, job.edge_max), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if written == "JPEG" and made.mode not in ("L", "RGB"):
        made = made.convert("RGB")
    _write(made, job, written, profile)
    size = Path(job.target).stat().st_size
    is_smaller = size < Path(job.source).stat().st_size
    if is_smaller or is_large or is_private or is_other or not is_upright:
        return Outcome("made", "", *made.size, f"image/{written.lower()}", size)
    return Outcome("kept", "", *made.size)


def _plain(image: Image.Image) -> Image.Image:
    """Its pixels in a mode that is resized and written as it is."""
    if "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in _MODES:
        return image
    return image.convert("RGBA" if "A" in image.mode or "a" in image.mode else "RGB")


def _write(image: Image.Image, job: Job, written: str, profile: bytes) -> None:
    """Only pixels and colours go on: no EXIF, no place, no comment, no thumbnail."""
    image.info.clear()  # some writers look there for what they were not given
    more: dict[str, Any] = {}
    if 0 < len(profile) <= _PROFILE_MAX_BYTES:
        more["icc_profile"] = profile
    match written:
        case "JPEG":
            more |= {"quality": job.quality, "optimize": True, "progressive": True, "exif": b""}
        case "WEBP":
            more |= {"quality": job.quality, "method": 4, "exif": b"", "xmp": b""}
        case _:
            more |= {"compress_level": 6, "exif": b""}
    with Path(job.target).open("wb") as file:
        image.save(file, written, **more)
        file.flush()
        os.fsync(file.fileno())
