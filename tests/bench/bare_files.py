"""The bare baseline of the media service: `bare_files.py DIRECTORY`; aiohttp and nothing else.

Keeps what is posted in a file that is synced before the answer, and serves it. Says `port N`.
"""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from aiohttp import web


class Files:
    def __init__(self, directory: Path) -> None:
        self._directory, self._numbers = directory, itertools.count(1)

    async def post(self, request: web.Request) -> web.Response:
        path = self._directory / str(next(self._numbers))
        with path.open("wb") as file:
            async for chunk in request.content.iter_any():
                file.write(chunk)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        return web.json_response({"url": str(request.url / path.name)}, status=201)

    async def get(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self._directory / request.match_info["name"])


async def main() -> None:
    files = Files(Path(sys.argv[1]))
    app = web.Application(client_max_size=0)
    app.add_routes([web.post("/files", files.post), web.get("/files/{name}", files.get)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print("port", runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
