"""A user of a debug-http channel who never stops talking, and in the end accounts for each message.

Each message has a source id of its own and is sent again under it until the channel accepts it. A
line on stdout tells of each that was accepted. When stdin ends, no more are sent; the last line on
stdout is what has become of all: a JSON object of source ids, each with what the channel told and
the deliveries that showed its text. Standard library alone: it runs inside a machine.
"""

import http.client
import json
import select
import sys
import threading
from collections import defaultdict
from contextlib import closing, suppress

PORT = int(sys.argv[1])
#: Between two messages, and between two attempts at one, in seconds.
PAUSE = 0.05
FINAL = ("delivered", "refused", "interrupted")
GONE = (OSError, http.client.HTTPException)  # the channel is not there, or has just gone


class Listener(threading.Thread):
    """Reads the events of the channel, whichever process of it there is."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.shown: dict[str, list[str]] = defaultdict(list)  #: texts that were shown, by delivery

    def run(self) -> None:
        while True:
            with suppress(*GONE), closing(connect()) as connection:
                connection.request("GET", "/events")
                delivery, texts = "", []
                for line in connection.getresponse():
                    field, _, value = line.decode().rstrip("\r\n").partition(": ")
                    if field == "id":
                        delivery = value
                    elif field == "data":
                        texts.append(value)
                    elif not field:
                        if delivery:
                            self.shown[delivery].append("\n".join(texts))
                        delivery, texts = "", []
            select.select([], [], [], PAUSE)


def connect() -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)


def ask(method: str, path: str, body: str | None = None, key: str = "") -> tuple[int, dict]:
    """Status and answer; status 0 where nobody answers."""
    try:
        with closing(connect()) as connection:
            connection.request(method, path, body, {"Idempotency-Key": key} if key else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
    except GONE:
        return 0, {}


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def is_asked_to_end() -> bool:
    """Whether stdin has ended, after a pause."""
    return bool(select.select([sys.stdin], [], [], PAUSE)[0])


def send(key: str) -> str:
    """The id of a message that is accepted, however often it takes."""
    body = json.dumps({"message": f"<{key}>"})
    while True:
        status, answer = ask("POST", "/message", body, key)
        if status == 200:
            return answer["messageId"]
        select.select([], [], [], PAUSE)


def outcome(message_id: str) -> dict:
    """What the channel tells of a message once it is settled, or that it does not know it."""
    while True:
        status, answer = ask("GET", f"/messages/{message_id}")
        if status == 404 or answer.get("state") in FINAL:
            return answer
        select.select([], [], [], PAUSE)


def main() -> None:
    listener = Listener()
    listener.start()
    accepted: dict[str, str] = {}
    while not is_asked_to_end():
        key = f"m{len(accepted)}"
        accepted[key] = send(key)
        say(key)
    outcomes = {key: outcome(message_id) for key, message_id in accepted.items()}
    for key, told in outcomes.items():
        told["shown"] = [
            delivery
            for delivery, texts in [*listener.shown.items()]
            if f"<{key}>" in "".join(texts)
        ]
    say(json.dumps(outcomes))


main()
