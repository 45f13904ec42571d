"""What a media service keeps beside its files: its keys, its port, and that it is the only one.

Keys outlive the process, so a restart changes no link and no client. They are made once, and are
readable by their owner alone.
"""

import fcntl
import json
import os
import secrets
from pathlib import Path
from typing import NamedTuple

from anyclaw_sdk.types import SERVER_ERROR, RpcError, map_of, text_of

_KEY_BYTES = 32


class Keys(NamedTuple):
    signing: bytes  #: of links
    upload: str  #: of those who may upload and delete


class State:
    """A directory that is ours for as long as the process lives. Raises RpcError."""

    def __init__(self, directory: str) -> None:
        if not directory:
            text = "no place for files: set state_directory: true on the unit, or option directory"
            raise RpcError(SERVER_ERROR, text)
        self.directory = Path(directory)
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = f"another media service uses {directory}; set option directory to another one"
            raise RpcError(SERVER_ERROR, text) from error
        except OSError as error:
            text = f"cannot use {directory}: {os.strerror(error.errno or 0).lower()}"
            raise RpcError(SERVER_ERROR, text) from error

    def keys(self) -> Keys:
        """Those of the first run; other ones where nobody can tell them any more."""
        path = self.directory / "keys.json"
        try:
            found = map_of(json.loads(path.read_bytes()))
            keys = Keys(bytes.fromhex(text_of(found.get("signing"))), text_of(found.get("upload")))
            if len(keys.signing) == _KEY_BYTES and len(keys.upload) >= _KEY_BYTES:
                return keys
        except (FileNotFoundError, ValueError):
            pass  # a first run, or a file that was damaged: links of before lead nowhere then
        keys = Keys(secrets.token_bytes(_KEY_BYTES), secrets.token_urlsafe(_KEY_BYTES))
        write(path, json.dumps({"signing": keys.signing.hex(), "upload": keys.upload}).encode())
        return keys

    def port(self) -> int:
        """The port of the last run; 0 where there is none."""
        try:
            port = int((self.directory / "port").read_text())
        except (FileNotFoundError, ValueError):
            return 0
        return port if 0 < port < 65536 else 0

    def keep_port(self, port: int) -> None:
        if port != self.port():
            write(self.directory / "port", str(port).encode())

    def close(self) -> None:
        os.close(self._lock)


def write(path: Path, content: bytes) -> None:
    """Replace a file whole, for its owner alone, so that it is there after a crash or as before."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Have it on disk which files there are."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
