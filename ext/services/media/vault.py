"""The files that are kept, each with a sidecar that says what it is; never half of one.

Theory
------
    incoming/<id>         what is being uploaded, or made smaller; emptied at the start
    items/<id>            the content
    items/<id>.json       the sidecar: an item is there if and only if both are

An item is added by fsync of both, a rename of the content, a rename of the sidecar, and an fsync of
the directory; it is removed sidecar first. A crash between two of these leaves a content without a
sidecar, or a sidecar without a content, which the next start removes. There is no index that could
be damaged, and nothing is lost but the one file whose sidecar is.

All sidecars are in memory: what is asked for by an id is answered without the disk. Files are
touched in threads only. Sidecars are written anew and removed one after another, each as it is in
memory at that moment, so that threads may come in any order. An item that has expired is gone at
that instant; its files go with the next sweep.
"""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from quota import Full, Quota, Reservation
from sniff import HEAD_BYTES
from state import sync_directory

from anyclaw_sdk.types import Message, map_of, text_of

#: 144 bits that nobody guesses.
_ID_BYTES = 18
#: Chunks are put together to so much before a thread writes them.
_BLOCK_BYTES = 2**20
_SIDECAR = ".json"
#: Blocks that are written at once; a disk is not faster with more.
_THREADS = 4


class Item(NamedTuple):
    """A file that is kept. Instants are seconds since 1970."""

    id: str
    size: int
    mime_type: str
    filename: str
    created_at: int
    expires_at: int
    width: int = 0  #: of an image; 0 where it is not known
    height: int = 0
    original: str = ""  #: the id of what it was made of, where that is kept

    @classmethod
    def from_json(cls, content: bytes) -> "Item":
        """Raises ValueError where it says too little."""
        raw = map_of(json.loads(content))

        def number(key: str) -> int:
            if not isinstance(found := raw.get(key), int) or found < 0:
                raise ValueError(f"its sidecar has no number {key}")
            return found

        return cls(
            text_of(raw.get("id")),
            number("size"),
            text_of(raw.get("mimeType")),
            text_of(raw.get("filename")),
            number("createdAt"),
            number("expiresAt"),
            number("width"),
            number("height"),
            text_of(raw.get("original")),
        )

    def to_json(self) -> bytes:
        sidecar: Message = {
            "id": self.id,
            "size": self.size,
            "mimeType": self.mime_type,
            "filename": self.filename,
            "createdAt": self.created_at,
            "expiresAt": self.expires_at,
            "width": self.width,
            "height": self.height,
            "original": self.original,
        }
        return json.dumps(sidecar).encode()


class Incoming:
    """A file on its way in: `write` all of it, `finish`, then `Vault.add`; or `drop` it.

    While a thread writes one block, the next one comes in.
    """

    def __init__(self, path: Path, reservation: Reservation, threads: Executor) -> None:
        self.path, self.reservation, self._threads = path, reservation, threads
        self.size = 0
        self.head = b""  #: its first bytes
        self._file = _create(path)
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._writing: Future[None] | None = None  #: the last block; it is written to its end
        self.is_kept = False

    @property
    def id(self) -> str:
        return self.path.name

    async def write(self, chunk: bytes) -> None:
        """Raises TooLarge or Full, or OSError where the disk does not take it."""
        self.size += len(chunk)
        self.reservation.hold(self.size)
        if len(self.head) < HEAD_BYTES:
            self.head += chunk[: HEAD_BYTES - len(self.head)]
        self._waiting.append(chunk)
        self._waiting_bytes += len(chunk)
        if self._waiting_bytes >= _BLOCK_BYTES:
            await self._begin_writing(is_last=False)

    async def finish(self) -> None:
        """All of it is here: on disk, for good."""
        await self._begin_writing(is_last=True)
        await self._written()

    def adopt(self, made: Path, size: int) -> None:
        """Another file is what is to be kept; it is on disk for good."""
        self.close()
        made.replace(self.path)
        self.size = size

    def drop(self) -> None:
        """Nothing comes of it, unless it is kept already."""
        if self.is_kept:
            return
        if self._writing is None:
            self.close()
        else:
            self._writing.add_done_callback(lambda _: self.close())  # not under its hands
        self.path.unlink(missing_ok=True)
        self.reservation.release()

    async def _begin_writing(self, *, is_last: bool) -> None:
        await self._written()
        blocks, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._writing = self._threads.submit(self._write_out, blocks, is_last=is_last)

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.wrap_future(self._writing)

    def _write_out(self, blocks: list[bytes], *, is_last: bool) -> None:
        rest = memoryview(b"".join(blocks))
        while rest:
            rest = rest[os.write(self._file, rest) :]
        if is_last:
            os.fsync(self._file)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class Vault:
    """All items of a directory. `now` is the wall clock in seconds."""

    def __init__(self, directory: Path, quota: Quota, now: Callable[[], float]) -> None:
        self._incoming, self._items_directory = directory / "incoming", directory / "items"
        self.quota, self._now = quota, now
        self._items: dict[str, Item] = {}
        self.failure = ""  #: why something could not be written lately
        self._threads = ThreadPoolExecutor(_THREADS, "media")
        self._changing = Lock()  # held by the thread that changes what is kept already

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    def __len__(self) -> int:
        return len(self._items)

    def open(self) -> None:
        """Remove what a crash has left half done, and learn what there is."""
        for directory in (self._incoming, self._items_directory):
            directory.mkdir(mode=0o700, exist_ok=True)
        for path in self._incoming.iterdir():
            path.unlink()
        names = {path.name for path in self._items_directory.iterdir()}
        for name in names:
            if name.endswith(_SIDECAR):
                self._learn(name.removesuffix(_SIDECAR), names)
            elif name + _SIDECAR not in names:
                (self._items_directory / name).unlink()

    def _learn(self, id_: str, names: set[str]) -> None:
        path, sidecar = self._items_directory / id_, self._sidecar(id_)
        try:
            item = Item.from_json(sidecar.read_bytes())
            if id_ in names and item.id == id_ and path.stat().st_size == item.size:
                self._items[id_] = item
                self.quota.count(item.size)
                return
            reason = "its content is not there or not whole"
        except ValueError as error:
            reason = str(error)
        sys.stderr.write(f"{id_} is left out and removed: {reason}\n")
        sidecar.unlink()
        path.unlink(missing_ok=True)

    def path(self, item: Item) -> Path:
        return self._items_directory / item.id

    def find(self, id_: str) -> Item | None:
        item = self._items.get(id_)
        return item if item is not None and self._now() < item.expires_at else None

    async def begin(self, size: int = 0) -> Incoming:
        """Room for a file of at least so many bytes. Raises TooLarge, Full or OSError."""
        try:
            reservation = self.quota.reserve(size)
        except Full:
            if not await self.sweep():
                raise
            reservation = self.quota.reserve(size)
        try:
            path = self._incoming / secrets.token_urlsafe(_ID_BYTES)
            return Incoming(path, reservation, self._threads)
        except OSError as error:
            reservation.release()
            self._failed(error)
            raise

    async def add(self, incoming: Incoming, item: Item) -> None:
        """Keep what has come in, as this. Raises OSError, and it is still to be dropped then."""
        try:
            await asyncio.to_thread(self._put, incoming.path, item)
        except OSError as error:
            self._failed(error)
            raise
        self.failure = ""
        incoming.close()
        incoming.is_kept = True
        incoming.reservation.settle(item.size)
        self._items[item.id] = item

    def _failed(self, error: OSError) -> None:
        self.failure = f"cannot write: {os.strerror(error.errno or 0).lower()}"

    def _put(self, content: Path, item: Item) -> None:
        with self._new_sidecar(item) as sidecar:
            content.rename(self.path(item))
            try:
                sidecar.rename(self._sidecar(item.id))
            except OSError:
                self.path(item).unlink()
                raise
        sync_directory(self._items_directory)

    @contextmanager
    def _new_sidecar(self, item: Item) -> Iterator[Path]:
        """A sidecar that is to be put into its place; it is not left where that fails."""
        path = self._incoming / f"{item.id}.{secrets.token_hex(8)}"
        try:
            with os.fdopen(_create(path), "wb") as file:
                file.write(item.to_json())
                file.flush()
                os.fsync(file.fileno())
            yield path
        except OSError:
            path.unlink(missing_ok=True)
            raise

    async def keep_until(self, item: Item, expires_at: int) -> Item:
        """Let it live at least so long, and what it was made of as well. Raises OSError."""
        for id_ in (item.id, item.original):
            one = self.find(id_)
            if one is not None and one.expires_at < expires_at:
                self._items[id_] = one._replace(expires_at=expires_at)
                await asyncio.to_thread(self._rewrite, id_)
        return self._items.get(item.id, item)

    def _rewrite(self, id_: str) -> None:
        with self._changing:
            if (item := self._items.get(id_)) is None:
                return  # it was removed meanwhile
            with self._new_sidecar(item) as sidecar:
                sidecar.rename(self._sidecar(id_))
            sync_directory(self._items_directory)

    async def remove(self, item: Item) -> None:
        """It is gone, and so is what it was made of."""
        gone = [one for id_ in (item.id, item.original) if (one := self._items.pop(id_, None))]
        for one in gone:
            self.quota.release(one.size)
        await asyncio.to_thread(self._unlink, gone)

    async def sweep(self) -> int:
        """Remove what has expired; how many items that were."""
        now = self._now()
        expired = [item for item in self._items.values() if item.expires_at <= now]
        for item in expired:
            del self._items[item.id]
            self.quota.release(item.size)
        if expired:
            await asyncio.to_thread(self._unlink, expired)
        return len(expired)

    def _unlink(self, items: list[Item]) -> None:
        with self._changing:
            try:
                for item in items:
                    self._sidecar(item.id).unlink(missing_ok=True)
                    self.path(item).unlink(missing_ok=True)
            except OSError as error:  # nobody is given them any more; the next start removes them
                self._failed(error)

    def _sidecar(self, id_: str) -> Path:
        return self._items_directory / (id_ + _SIDECAR)


def _create(path: Path) -> int:
    """A new file for its owner alone, however the process was started."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
