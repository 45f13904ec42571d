"""The options of the handshake, read one by one; what cannot be used is refused with a reason."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from quota import Limits

from anyclaw_sdk.types import INVALID_PARAMS, Json, Message, RpcError

_UNITS: Mapping[str, int] = {
    "": 1,
    "B": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_SECONDS: Mapping[str, float] = {"": 1, "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]*)")

#: Longer than this nothing is kept; dates beyond it are no dates any more.
AGE_MAX_S = 10 * 366 * 86400


class ImageOptions(NamedTuple):
    edge_max: int = 2048  #: pixels; 0 leaves all images as they are
    quality: int = 85  #: of JPEG and WebP, 1 to 95
    pixels_max: int = 64_000_000  #: of an image that is decoded at all
    memory_bytes: int = 2**30  #: of a process that decodes
    timeout_s: float = 10.0  #: for one image, and for its turn
    workers: int = 1  #: images at once


class Options(NamedTuple):
    host: str = "127.0.0.1"
    port: int = 0
    socket: str = ""  #: a path; listens there instead of on a port
    public_url: str = ""  #: how others reach it, where that is not where it listens
    directory: str = ""  #: instead of the unit's state directory
    limits: Limits = Limits(total_bytes=2**30, item_bytes=100 * 2**20, items=10_000)
    ttl_s: float = 86400.0  #: how long a file is kept where its sender does not say
    ttl_max_s: float = 7 * 86400.0
    uploads: int = 16  #: at once
    upload_timeout_s: float = 600.0
    images: ImageOptions = ImageOptions()


def read_options(given: Message) -> Options:
    """Raises RpcError for the first that cannot be used; unknown ones are somebody else's."""
    plain = Options()
    limits, images = plain.limits, plain.images
    return Options(
        host=_text(given, "host", plain.host) or plain.host,
        port=_integer(given, "port", plain.port, 0, 65535),
        socket=_absolute(given, "socket"),
        public_url=_url(given, "public_url"),
        directory=_absolute(given, "directory"),
        limits=Limits(
            total_bytes=_size(given, "total_size", limits.total_bytes),
            item_bytes=_size(given, "item_size", limits.item_bytes),
            items=_integer(given, "items", limits.items, 1, 1_000_000),
        ),
        ttl_s=_seconds(given, "ttl", plain.ttl_s),
        ttl_max_s=_seconds(given, "ttl_max", plain.ttl_max_s),
        uploads=_integer(given, "uploads", plain.uploads, 1, 1000),
        upload_timeout_s=_seconds(given, "upload_timeout", plain.upload_timeout_s),
        images=ImageOptions(
            edge_max=_integer(given, "image_edge", images.edge_max, 0, 16384),
            quality=_integer(given, "image_quality", images.quality, 1, 95),
            pixels_max=_integer(given, "image_pixels", images.pixels_max, 1, 2**31),
            memory_bytes=_size(given, "image_memory", images.memory_bytes),
            timeout_s=_seconds(given, "image_timeout", images.timeout_s),
            workers=_integer(given, "image_workers", images.workers, 1, 2),
        ),
    )


def read_seconds(value: Json) -> float | None:
    """A duration as a number of seconds or as text such as `36h`; None for anything else."""
    found = _measured(value, _SECONDS)
    return found if found is not None and 1 <= found <= AGE_MAX_S else None


def _refuse(name: str, value: Json, expected: str) -> RpcError:
    return RpcError(INVALID_PARAMS, f"option {name}: {value!r:.80} is {expected}")


def _text(given: Message, name: str, default: str = "") -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise _refuse(name, value, "no text")
    return value


def _absolute(given: Message, name: str) -> str:
    path = _text(given, name)
    if path and not path.startswith("/"):
        raise _refuse(name, path, "no absolute path")
    return path


def _url(given: Message, name: str) -> str:
    url = _text(given, name).rstrip("/")
    if url and not url.startswith(("http://", "https://", "http+unix://")):
        raise _refuse(name, url, "no URL of scheme http, https or http+unix")
    return url


def _integer(given: Message, name: str, default: int, least: int, most: int) -> int:
    value = given.get(name, default)
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:20])
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _refuse(name, value, f"no whole number from {least} to {most}")
    return value


def _size(given: Message, name: str, default: int) -> int:
    value = given.get(name, default)
    found = _measured(value, _UNITS)
    if found is None or not 1 <= found <= 2**50:
        raise _refuse(name, value, "no size; expected a number of bytes, or text such as 512MiB")
    return int(found)


def _seconds(given: Message, name: str, default: float) -> float:
    value = given.get(name, default)
    if (found := read_seconds(value)) is None:
        raise _refuse(name, value, "no duration of 1 s to 10 years; expected seconds, or 36h")
    return found


def _measured(value: Json, units: Mapping[str, float]) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(found[1]) * units[found[2]] if found and found[2] in units else None
