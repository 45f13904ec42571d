"""The media service: files are uploaded once and handed on by links that expire.

The handshake binds the port and is answered before aiohttp is imported (200 ms): whoever connects
meanwhile waits in the listen backlog, and nobody waits for the import.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence

from checkup import checked
from images import IDLE_S, Images
from intake import Intake
from listener import base_url_of, listen
from options import Options, read_options
from quota import Quota
from state import State
from vault import Vault

from anyclaw_sdk.check import CheckFinding, CheckRequest
from anyclaw_sdk.service import (
    Health,
    Installation,
    Service,
    ServiceInitialize,
    Started,
    run_service,
)
from anyclaw_sdk.types import SERVER_ERROR, RpcError

#: How often what has expired is removed, and workers without work are ended.
SWEEP_S = 30.0


def wall() -> float:
    return time.time_ns() / 1e9


class MediaService(Service):
    def __init__(self, now: Callable[[], float] = wall) -> None:
        self._now = now  #: the wall clock, in seconds

    async def check(self, request: CheckRequest) -> Sequence[CheckFinding]:
        return tuple(checked(request, os.environ))

    async def start(self, initialize: ServiceInitialize) -> Started:
        options = read_options(initialize.options)
        self._state = State(options.directory or os.environ.get("STATE_DIRECTORY", ""))
        try:
            return await self._open(options)
        except BaseException:
            self._state.close()
            raise

    async def _open(self, options: Options) -> Started:
        self._options, self._keys = options, self._state.keys()
        self.vault = Vault(self._state.directory, Quota(options.limits), self._now)
        try:
            await asyncio.to_thread(self.vault.open)
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            text = f"cannot use {error.filename or self._state.directory}: {reason}"
            raise RpcError(SERVER_ERROR, text) from error
        self._images = self._make_images(options)
        self._listener, port = listen(options, self._state.port())
        if port:
            self._state.keep_port(port)
        self._base_url = base_url_of(options, port)
        return Started(
            port=port,
            installation=Installation(
                environment={"ANYCLAW_MEDIA_KEY": self._keys.upload},
                urls={"media": self._base_url},
            ),
        )

    def _make_images(self, options: Options) -> Images | None:
        if options.images.edge_max == 0:
            return None
        if not Images.is_possible():
            sys.stderr.write(
                "images are kept as they are sent: install pillow to have them made smaller\n"
            )
            return None
        return Images(options.images, options.limits.item_bytes)

    async def serve(self) -> None:
        from server import Server  # aiohttp, see above

        options = self._options
        intake = Intake(
            self.vault, self._images, self._now, options.uploads, options.upload_timeout_s
        )
        server = Server(self.vault, intake, self._keys, options, self._base_url, self._now)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._sweep(), name="media:sweep")
                await server.serve(self._listener)
        finally:
            if self._images is not None:
                await self._images.close()

    async def _sweep(self) -> None:
        while True:
            await self.vault.sweep()
            if self._images is not None:
                await self._images.end_idle(IDLE_S)
            await asyncio.sleep(SWEEP_S)

    async def health(self) -> Health:
        quota, limits = self.vault.quota, self.vault.quota.limits
        if self.vault.failure:
            return Health.degraded(self.vault.failure)
        if quota.is_nearly_full:
            return Health.degraded(
                f"nearly full: {quota.used_bytes} of {limits.total_bytes} bytes, "
                f"{quota.used_items} of {limits.items} files; raise total_size or items"
            )
        if self._images is not None and self._images.failure:
            return Health.degraded(self._images.failure)
        return Health.healthy()

    async def stop(self) -> None:
        self.vault.close()
        self._state.close()


if __name__ == "__main__":
    run_service(MediaService())
