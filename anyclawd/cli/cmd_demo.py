"""`demo [--stay]`: boot a small system, talk to it, show what happened, stop it.

Everything is real: the daemon is a child process, the message goes in and the answer comes out
over the HTTP of the debug-http channel. Whatever happens, the daemon is stopped and its directory
removed before this ends.
"""

import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from anyclawd.cli import render
from anyclawd.cli.demo_channel import DebugHttp
from anyclawd.cli.demo_daemon import DemoDaemon, booted
from anyclawd.client.client import Client, quote
from anyclawd.client.exchange import ClientError
from anyclawd.draw import timeline

CONFIG = Path(__file__).with_name("demo.yaml")
CHANNEL = "debug-http.channel"
MESSAGE = "hello"

#: How long the boot, and the answer, may take.
_BOOT_S, _ANSWER_S = 60.0, 30.0


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("--stay", action="store_true", help="keep it up until Ctrl-C")


def run(options: Namespace) -> int:
    """Status 1, with the end of the daemon's log, where anything goes wrong."""
    with _terminable(), booted(CONFIG) as daemon:
        try:
            return _tell(daemon, options)
        except BrokenPipeError:
            raise  # whoever read has seen enough
        except (ClientError, OSError) as error:
            print(f"anyclawctl demo: {error}", file=sys.stderr)
            print(f"the end of the daemon's log:\n{daemon.log_tail()}", file=sys.stderr)
            return 1


def _tell(daemon: DemoDaemon, options: Namespace) -> int:
    said = _silent if options.json else _printed
    said("booting a mock agent and the debug-http channel ...")
    daemon.wait_ready(_BOOT_S)
    _check_units(daemon.client)
    channel = DebugHttp(_port_of(daemon.client), _ANSWER_S)
    said(f"ready; sending {MESSAGE!r} to {channel.url}/message")
    thoughts, answer = channel.ask(
        MESSAGE, lambda thought: said(f"  thought: {render.clean(thought)}")
    )
    said(render.clean(answer))
    boot = timeline.boot_of(daemon.client.get("/v1/boot"))
    if options.json:
        times = {
            "time": timeline.time_values(boot),
            "blame": timeline.blame_values(boot),
            "critical-chain": timeline.critical_chain_values(boot),
        }
        render.print_json({"thoughts": thoughts, "answer": answer, "boot": times})
    said(f"\n{timeline.time_text(boot)}")
    said(f"\nslowest units:\n{timeline.blame_text(boot)}")
    said(f"\nwhat the boot waited for:\n{timeline.critical_chain_text(boot)}")
    return _stay(daemon, channel) if options.stay else 0


def _printed(text: str) -> None:
    print(text, flush=True)


def _silent(_text: str) -> None:
    """The output is for a program."""


def _stay(daemon: DemoDaemon, channel: DebugHttp) -> int:
    """Wait for Ctrl-C, which is how this ends well, or for the daemon, which is not."""
    admin = f"http://127.0.0.1:{daemon.client.get('/v1/status')['admin_port']}"
    try:
        _printed(
            "\nit stays up until Ctrl-C:\n"
            f"  curl -N {channel.url}/events\n"
            f'  curl {channel.url}/message -d \'{{"message": "hello"}}\'\n'
            f"  curl {admin}/health\n"
            f"  curl {admin}/metrics\n"
            f"  anyclawctl -s {daemon.client.path} status"
        )
        status = daemon.wait()
    except KeyboardInterrupt:
        _printed("stopping")
        return 0
    raise ClientError(f"the daemon ended with status {status}")


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end this as Ctrl-C does, so that both clean up."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_units(client: Client) -> None:
    for unit in client.get("/v1/status")["units"]:
        if unit["active"] != "active":
            reason = client.get(f"/v1/units/{quote(unit['name'])}")["reason"]
            raise ClientError(f"{unit['name']} is {unit['active']} ({unit['sub']}): {reason}")


def _port_of(client: Client) -> int:
    """The port that debug-http took; it says `PORT:<n>` on its stderr."""
    target = f"/v1/logs?unit={CHANNEL}&n=1000&follow=1"
    for line in client.stream("GET", target, timeout_s=_ANSWER_S):
        word, _, number = line["text"].partition(":")
        if word == "PORT" and number.isdecimal():
            return int(number)
    raise ClientError(f"{CHANNEL} has not said which port it took")
