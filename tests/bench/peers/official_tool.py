"""The same tool with the official SDK, as its own HTTP server: `official_tool.py LOOP HTTP`.

Stateless, answers in JSON, no logging: the quickest that it offers. LOOP and HTTP are what uvicorn
is to use: asyncio and h11, which come with it, or uvloop and httptools. Says `port N` once it
listens.
"""

import socket
import sys

import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("bench")


@server.tool(description="Add two numbers")
async def add(a: int, b: int) -> str:
    return str(a + b)


def main() -> None:
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # without it nobody sets TCP_NODELAY
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    app = server.streamable_http_app(json_response=True, stateless_http=True)
    loop, http = sys.argv[1:]
    config = uvicorn.Config(
        app, loop=loop, http=http, log_config=None, log_level="critical", access_log=False
    )
    print("port", listener.getsockname()[1], flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
