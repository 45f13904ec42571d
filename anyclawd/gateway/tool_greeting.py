"""The first words with a tool, until it is settled how it is spoken to; see `wire.mcp_era`."""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, assert_never

from anyclawd import __version__
from anyclawd.model.tool import Era, ToolRole
from anyclawd.model.value import Json
from anyclawd.runtime.connection import Connection
from anyclawd.wire import mcp_client, mcp_era
from anyclawd.wire.json_text import JsonText
from anyclawd.wire.jsonrpc import RpcError
from anyclawd.wire.mcp import Method, Notification
from anyclawd.wire.mcp_era import Stage

#: How long a server of unknown era may take to answer the question for it.
PROBE_WAIT_S = 5.0


class Manner(NamedTuple):
    """How a tool is spoken to."""

    era: Era
    revision: str
    server: mcp_client.Server  #: what it has said that it can do
    meta: dict[str, Json]  #: what each request has in its `_meta`


class Greeting:
    """Begins at once; calls `settled` once, or has the connection fail."""

    def __init__(
        self,
        connection: Connection,
        role: ToolRole,
        options: Mapping[str, Json],
        settled: Callable[[Manner], None],
    ) -> None:
        self._connection, self._options, self._settled = connection, options, settled
        self._is_trusted = role.is_trusted
        self._answer = JsonText({}, b"{}")  # the latest
        self._silence: asyncio.TimerHandle | None = None
        self._stage, action = mcp_era.begin(role.era)
        self._perform(action)

    def close(self) -> None:
        """The tool is gone."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _step(self, event: mcp_era.Event) -> None:
        self._stage, action = mcp_era.step(self._stage, event)
        if self._stage is not Stage.PROBING:
            self.close()
        self._perform(action)

    def _perform(self, action: mcp_era.Action | None) -> None:
        match action:
            case mcp_era.Discover(revision):
                meta = self._envelope(revision)
                is_trusted = self._is_trusted
                params = mcp_client.discover_params(meta, self._options, is_trusted=is_trusted)
                self._connection.call(Method.DISCOVER, params, self._discovered)
                if self._stage is Stage.PROBING:
                    loop = asyncio.get_running_loop()
                    self._silence = loop.call_later(PROBE_WAIT_S, self._step, mcp_era.Silent())
            case mcp_era.Initialize():
                is_trusted = self._is_trusted
                params = mcp_client.initialize_params(
                    __version__, self._options, is_trusted=is_trusted
                )
                self._connection.call(Method.INITIALIZE, params, self._initialized)
            case mcp_era.Settle(era, revision):
                self._settle(era, revision)
            case mcp_era.GiveUp(reason):
                self._connection.fail(reason)
            case None:
                pass
            case _:
                assert_never(action)

    def _envelope(self, revision: str) -> dict[str, Json]:
        return mcp_client.envelope(revision, __version__, is_trusted=self._is_trusted)

    def _discovered(self, result: Json, error: RpcError | None) -> None:
        if error is None:
            self._answer = result
            self._step(mcp_era.Discovered(mcp_client.read_supported(result.value)))
        else:
            supported = mcp_client.read_supported(error.data)
            self._step(mcp_era.DiscoverRefused(error.code, error.message, supported))

    def _initialized(self, result: Json, error: RpcError | None) -> None:
        if error is None:
            self._answer = result
            self._step(mcp_era.Initialized(mcp_client.read_revision(result)))
        else:
            supported = mcp_client.read_supported(error.data)
            self._step(mcp_era.InitializeRefused(error.code, error.message, supported))

    def _settle(self, era: Era, revision: str) -> None:
        server = mcp_client.read_server(self._answer)
        meta: dict[str, Json] = {}
        if era is Era.MODERN:
            meta = self._envelope(revision)
        else:
            self._connection.notify(Notification.INITIALIZED, {})
        self._settled(Manner(era, revision, server, meta))
