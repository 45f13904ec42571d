"""Drive an extension inside a test: the whole harness, without a process or a pipe.

    async with ChannelTester(Board()) as tester:
        await tester.initialize(options={"url": "..."})
        await tester.deliver("session-1", {"update": {...}})
        assert tester.channel.shown == ["hello"]

What the extension's own code raises is raised in the test, at the latest on leaving the context;
where it answers a request, the answer is an error too.
"""

from anyclaw_sdk.testing.agent import AgentTester, AnyAgent, TurnRecord, blocks_of, select_first
from anyclaw_sdk.testing.channel import AnyChannel, ChannelTester, accept_all
from anyclaw_sdk.testing.hook import AnyHook, HookTester
from anyclaw_sdk.testing.service import AnyService, ServiceTester
from anyclaw_sdk.testing.tester import Tester, connection_pair
from anyclaw_sdk.testing.tool import Delivered, Injected, Progress, ToolTester

__all__ = [
    "AgentTester",
    "AnyAgent",
    "AnyChannel",
    "AnyHook",
    "AnyService",
    "ChannelTester",
    "Delivered",
    "HookTester",
    "Injected",
    "Progress",
    "ServiceTester",
    "Tester",
    "ToolTester",
    "TurnRecord",
    "accept_all",
    "blocks_of",
    "connection_pair",
    "select_first",
]
