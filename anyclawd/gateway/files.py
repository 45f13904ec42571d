"""Serves `fs/*` to one agent, out of its workspace and off the loop."""

from collections.abc import Callable
from typing import TypeAlias

from anyclawd.gateway.errands import Errands
from anyclawd.gateway.requests import Pending
from anyclawd.gateway.workspace import NotServed, NotThere, Workspace
from anyclawd.model.conversation import FileAccess
from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire import acp, acp_files, jsonrpc
from anyclawd.wire.jsonrpc import RpcError

#: So many bytes of requests may wait for the disk.
WAITING_MAX_BYTES = 64 * 2**20

READ, WRITE = "fs/read_text_file", "fs/write_text_file"

#: What a request has come to.
Outcome: TypeAlias = Json | RpcError
CANCELLED = RpcError(jsonrpc.REQUEST_CANCELLED, "the request was cancelled")
FAULT = RpcError(jsonrpc.INTERNAL_ERROR, "a fault in anyclawd; its log has it")


class Files:
    """Requests are served in their order, so a write is seen by the read after it."""

    def __init__(self, access: FileAccess, workspace: Workspace, errands: Errands[Outcome]) -> None:
        self._workspace, self._errands = workspace, errands
        self._methods: dict[str, Callable[[Json], Json]] = {}
        if access.read:
            self._methods[READ] = self._read
        if access.write:
            self._methods[WRITE] = self._write
        self._waiting_bytes = 0

    def serves(self, method: str) -> bool:
        return method in self._methods

    def request(self, method: str, params: Json, pending: Pending, size_bytes: int) -> None:
        if self._waiting_bytes + size_bytes > WAITING_MAX_BYTES:
            text = f"requests of more than {WAITING_MAX_BYTES} bytes wait for the disk already"
            pending.error(jsonrpc.SERVER_ERROR, text)
            return
        self._waiting_bytes += size_bytes

        def done(outcome: Outcome) -> None:
            self._waiting_bytes -= size_bytes
            pending.settle(outcome)

        def work() -> Outcome:
            if not pending.is_open:
                return CANCELLED
            return attempt(self._methods[method], params)

        self._errands.run(work, done)

    def _read(self, params: Json) -> Json:
        path, line, limit = acp_files.read_file_request(params)
        return {"content": self._workspace.read(path, line, limit)}

    def _write(self, params: Json) -> Json:
        path, content = acp_files.write_file_request(params)
        self._workspace.write(path, content)
        return {}


def attempt(perform: Callable[[Json], Json], params: Json) -> Outcome:
    """What a request comes to, where the agent itself may be why it comes to nothing."""
    try:
        return perform(params)
    except RemoteProtocolError as error:
        return RpcError(jsonrpc.INVALID_PARAMS, str(error))
    except NotThere as error:
        return RpcError(acp.RESOURCE_NOT_FOUND, str(error))
    except NotServed as error:
        return RpcError(jsonrpc.SERVER_ERROR, str(error))
