"""An agent that misbehaves to order: ACP on stdio, with every oddity that agents have shown.

    misbehaving.py [TRAITS]

TRAITS is a JSON object that says how it is at all times; a prompt says what it does in one turn.
Without either it is a plain, good agent. Nothing here waits for a time: what comes late comes after
something that the client has done.

    version           what it answers `protocolVersion` with; 1
    capabilities      its `agentCapabilities`; none
    auth_methods      ids of methods; with some of them `session/new` is refused until one was used
    session           members of its answers to session/new, load and resume: modes, configOptions
    directory         where its sessions outlive it, a file for each; without it they die with it
    new               `early`: updates precede the answer. `refuse`, `mute`. `same`: always id `s1`
    load, resume      `refuse`: although advertised. `mute`: never answered. `late`: answered once
                      the client goes on without it. `replay`: all that was said comes before the
                      answer, as is right for load and wrong for resume. `rename`: the session has
                      another id from then on. `die`. Anything else is the good way
    unknown_code      with which it answers for a session that it does not know; -32002
    id_as_text        ids of requests come back as strings
    stderr_flood      so many bytes on stderr at its start
    is_deaf           ignores SIGTERM and the end of its stdin
    transcript        file that gets every frame, `{"from": "client" or "agent", "frame": ...}`

A block of a prompt that begins with `do ` is a list of steps, parted by `; ` (see `STEPS`); other
blocks are answered by `heard: ...`. A turn ends with `end_turn` unless a step says otherwise.
"""

import json
import os
import select
import signal
import sys
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

Json = Any
Frame = dict[str, Json]
#: A turn under way: it yields the id of the request whose answer it waits for; ROOM to go on as
#: soon as nothing is to be read; NEVER to wait for a cancel.
Turn = Generator["str | object", Frame, None]
ROOM, NEVER = object(), object()

TRAITS: Frame = {
    "version": 1,
    "capabilities": {},
    "auth_methods": [],
    "session": {},
    "directory": "",
    "new": "",
    "load": "",
    "resume": "",
    "unknown_code": -32002,
    "id_as_text": False,
    "stderr_flood": 0,
    "is_deaf": False,
    "transcript": "",
}
OPTIONS = [
    {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
    {"optionId": "always", "name": "Always", "kind": "allow_always"},
    {"optionId": "no", "name": "No", "kind": "reject_once"},
    {"optionId": "never", "name": "Never", "kind": "reject_always"},
]


class Refused(Exception):
    """A request is answered with an error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Cancelled(Exception):
    """The client has sent `session/cancel` for this turn."""


class Wire:
    """Frames on stdin and stdout, and the transcript of both."""

    def __init__(self, transcript: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._transcript = os.open(transcript, flags, 0o600) if transcript else -1
        self._buffer = b""
        self.has_ended = False

    def send(self, frame: Frame) -> None:
        frame = {"jsonrpc": "2.0", **frame}
        self.note("agent", frame)
        self.write(json.dumps(frame).encode() + b"\n")

    def write(self, data: bytes, descriptor: int = 1) -> None:
        while data:
            data = data[os.write(descriptor, data) :]

    def read(self, *, waits: bool) -> list[Frame]:
        """What the client has sent; nothing where there is nothing to be waited for."""
        if not waits and not select.select([0], [], [], 0)[0]:
            return []
        data = os.read(0, 1 << 16)
        self.has_ended = not data
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def note(self, side: str, frame: Frame) -> None:
        if self._transcript >= 0:
            line = json.dumps({"from": side, "frame": frame})
            os.write(self._transcript, line.encode() + b"\n")


class Session:
    """What was said in it, kept in a file where it is to outlive the process."""

    def __init__(self, session_id: str, directory: str) -> None:
        self.id = session_id
        self._file = Path(directory, session_id) if directory else None
        self.said: list[tuple[str, str]] = []
        if self._file is not None and self._file.exists():
            self.said = [(who, text) for who, text in map(json.loads, self._file.open())]
        self.keep()

    def keep(self, *said: tuple[str, str]) -> None:
        self.said += said
        if self._file is not None:
            with self._file.open("a") as file:
                file.writelines(json.dumps(one) + "\n" for one in said)

    def rename(self, session_id: str) -> None:
        self.id = session_id
        if self._file is not None:
            self._file = self._file.rename(self._file.with_name(session_id))

    def forget(self) -> None:
        if self._file is not None:
            self._file.unlink(missing_ok=True)


class Agent:
    def __init__(self, traits: Frame) -> None:
        self.traits = traits
        self.wire = Wire(traits["transcript"])
        self.sessions: dict[str, Session] = {}
        self.turns: dict[str, Turn] = {}  #: by session
        self._waiting: dict[str, str] = {}  #: session by the id of the request of ours
        self._impatient: list[str] = []  #: sessions whose turns want room
        self._owed: list[Callable[[], None]] = []  #: answers that come late
        self._is_logged_in = not traits["auth_methods"]
        self._asked = 0
        self._made = 0

    # -- the wire ------------------------------------------------------------------------------

    def run(self) -> None:
        self.wire.write(b"x" * self.traits["stderr_flood"], 2)
        while not self.wire.has_ended:
            for frame in self.wire.read(waits=not self._impatient):
                self.wire.note("client", frame)
                self.take(frame)
            for session_id in self._impatient:
                self.resume(session_id, {})

    def take(self, frame: Frame) -> None:
        method, rpc_id = frame.get("method"), frame.get("id")
        if method is None:
            session_id = self._waiting.pop(str(rpc_id), "")
            self.resume(session_id, frame)
        elif method == "session/cancel":
            self.cancel(frame["params"]["sessionId"])
        elif method == "session/prompt":
            self.begin(frame)
        elif rpc_id is not None:
            self.serve(frame)
        while self._owed and method in ("session/new", "$/cancel_request"):
            self._owed.pop()()

    def serve(self, frame: Frame) -> None:
        served = SERVED.get(frame["method"], Agent.refuse_unknown)
        try:
            result = served(self, frame, frame.get("params") or {})
        except Refused as refused:
            self.refuse(frame, refused)
        else:
            if result is not NEVER:
                self.answer(frame, result)

    def answer(self, request: Frame, result: Json) -> None:
        self.wire.send({"id": self._id_of(request), "result": result})

    def refuse(self, request: Frame, refused: Refused) -> None:
        error = {"code": refused.code, "message": str(refused)}
        self.wire.send({"id": self._id_of(request), "error": error})

    def _id_of(self, request: Frame) -> Json:
        return str(request["id"]) if self.traits["id_as_text"] else request["id"]

    def ask(self, session_id: str, method: str, params: Frame) -> str:
        """Send a request for a turn; its id, for the turn to yield."""
        self._asked += 1
        rpc_id = f"ask-{self._asked}"
        self._waiting[rpc_id] = session_id
        self.wire.send({"id": rpc_id, "method": method, "params": params})
        return rpc_id

    def update(self, session_id: str, kind: str, /, **members: Json) -> None:
        params = {"sessionId": session_id, "update": {"sessionUpdate": kind, **members}}
        self.wire.send({"method": "session/update", "params": params})

    def say(self, session_id: str, text: str, kind: str = "agent_message_chunk") -> None:
        self.update(session_id, kind, content={"type": "text", "text": text})

    # -- sessions ------------------------------------------------------------------------------

    def refuse_unknown(self, frame: Frame, params: Frame) -> Json:
        raise Refused(-32601, f"no method {frame['method']}")

    def initialize(self, frame: Frame, params: Frame) -> Json:
        return {
            "protocolVersion": self.traits["version"],
            "agentCapabilities": self.traits["capabilities"],
            "authMethods": [{"id": name, "name": name} for name in self.traits["auth_methods"]],
            "agentInfo": {"name": "misbehaving", "version": "1"},
        }

    def authenticate(self, frame: Frame, params: Frame) -> Json:
        if params["methodId"] not in self.traits["auth_methods"]:
            raise Refused(-32602, f"no method {params['methodId']}")
        self._is_logged_in = True
        return {}

    def log_out(self, frame: Frame, params: Frame) -> Json:
        self._is_logged_in = False
        return {}

    def new(self, frame: Frame, params: Frame) -> Json:
        if not self._is_logged_in:
            raise Refused(-32000, "Authentication required")
        if self.traits["new"] == "refuse":
            raise Refused(-32603, "no session today")
        if self.traits["new"] == "mute":
            return NEVER
        session_id = "s1" if self.traits["new"] == "same" else self._free_id()
        self.sessions[session_id] = Session(session_id, self.traits["directory"])
        if self.traits["new"] == "early":
            commands = [{"name": "early", "description": "known before the session is"}]
            self.update(session_id, "available_commands_update", availableCommands=commands)
            self.say(session_id, "too early")
        return {"sessionId": session_id, **self.traits["session"]}

    def _free_id(self) -> str:
        """One that no earlier process of the same directory has used either."""
        kept = self.traits["directory"]
        while True:
            self._made += 1
            session_id = f"s{self._made}"
            if not kept or not Path(kept, session_id).exists():
                if kept:
                    Path(kept, session_id).touch()
                return session_id

    def known(self, session_id: str) -> Session:
        """Raises Refused for one that it does not know, live or kept."""
        found = self.sessions.get(session_id)
        kept = self.traits["directory"]
        if found is None and kept and Path(kept, session_id).exists():
            found = self.sessions[session_id] = Session(session_id, kept)
        if found is None:
            raise Refused(self.traits["unknown_code"], f"what is {session_id}?")
        return found

    def load(self, frame: Frame, params: Frame) -> Json:
        return self.take_up(frame, params["sessionId"], "load", is_replayed=True)

    def resume_session(self, frame: Frame, params: Frame) -> Json:
        return self.take_up(frame, params["sessionId"], "resume", is_replayed=False)

    def take_up(self, frame: Frame, session_id: str, verb: str, *, is_replayed: bool) -> Json:
        manner = self.traits[verb]
        if manner == "refuse":
            raise Refused(-32603, f"cannot {verb} although it is advertised")
        if manner == "die":
            os._exit(1)
        if manner == "mute":
            return NEVER
        session = self.known(session_id)
        if is_replayed or manner == "replay":
            self.replay(session)
        result = dict(self.traits["session"])
        if manner == "rename":
            del self.sessions[session_id]
            session.rename(f"{session_id}-again")
            self.sessions[session.id] = session
            result["sessionId"] = session.id
        if manner == "late":
            self._owed.append(lambda: self.answer(frame, result))
            return NEVER
        return result or None

    def replay(self, session: Session) -> None:
        for who, text in session.said:
            kind = "user_message_chunk" if who == "user" else "agent_message_chunk"
            self.say(session.id, text, kind)

    def fork(self, frame: Frame, params: Frame) -> Json:
        said = self.known(params["sessionId"]).said
        session = Session(self._free_id(), self.traits["directory"])
        session.keep(*said)
        self.sessions[session.id] = session
        return {"sessionId": session.id}

    def close(self, frame: Frame, params: Frame) -> Json:
        self.cancel(params["sessionId"])
        self.sessions.pop(params["sessionId"], None)
        return {}

    def delete(self, frame: Frame, params: Frame) -> Json:
        self.known(params["sessionId"]).forget()
        self.sessions.pop(params["sessionId"], None)
        return {}

    def list(self, frame: Frame, params: Frame) -> Json:
        """One session a page, so that cursors are needed."""
        found = sorted(self.sessions)
        at = int(params.get("cursor") or 0)
        rows = [{"sessionId": one, "cwd": "/"} for one in found[at : at + 1]]
        more = {"nextCursor": str(at + 1)} if at + 1 < len(found) else {}
        return {"sessions": rows, **more}

    def set_mode(self, frame: Frame, params: Frame) -> Json:
        self.known(params["sessionId"])
        self.traits["session"]["modes"]["currentModeId"] = params["modeId"]
        return {}

    def set_option(self, frame: Frame, params: Frame) -> Json:
        self.known(params["sessionId"])
        self.choose(params["configId"], params["value"])
        return {"configOptions": self.traits["session"]["configOptions"]}

    def choose(self, option: str, value: Json) -> None:
        for one in self.traits["session"]["configOptions"]:
            if one["id"] == option:
                one["currentValue"] = value

    # -- turns ---------------------------------------------------------------------------------

    def begin(self, request: Frame) -> None:
        session_id = request["params"]["sessionId"]
        try:
            session = self.known(session_id)
        except Refused as refused:
            self.refuse(request, refused)
            return
        self.turns[session_id] = self.play(session, request)
        self.resume(session_id, None)

    def resume(self, session_id: str, frame: Frame | None) -> None:
        """Let a turn go on with what it has waited for, up to what it waits for next."""
        turn = self.turns.get(session_id)
        if turn is not None:
            self._go_on(session_id, lambda: turn.send(frame))  # type: ignore[arg-type] # None first

    def cancel(self, session_id: str) -> None:
        turn = self.turns.get(session_id)
        if turn is not None:
            self._go_on(session_id, lambda: turn.throw(Cancelled()))

    def _go_on(self, session_id: str, step: Callable[[], object]) -> None:
        if session_id in self._impatient:
            self._impatient.remove(session_id)
        try:
            if step() is ROOM:
                self._impatient.append(session_id)
        except StopIteration:
            del self.turns[session_id]

    def play(self, session: Session, request: Frame) -> Turn:
        stage = Stage(self, session, request)
        texts = [block.get("text", "") for block in request["params"]["prompt"]]
        session.keep(*(("user", text) for text in texts))
        try:
            for text in texts:
                if text.startswith("do "):
                    for step in text[3:].split("; "):
                        word, _, rest = step.partition(" ")
                        yield from STEPS[word](stage, rest) or ()
                else:
                    stage.say(f"heard: {text}")
        except Cancelled:
            stage.end("cancelled")
        if not stage.has_ended:
            stage.end("end_turn")
        for text in stage.late:
            self.say(session.id, text)


class Stage:
    """One turn, for its steps."""

    def __init__(self, agent: Agent, session: Session, request: Frame) -> None:
        self.agent, self.session, self.request = agent, session, request
        self.late: list[str] = []
        self.has_ended = False

    def say(self, text: str) -> None:
        self.session.keep(("agent", text))
        self.agent.say(self.session.id, text)

    def update(self, kind: str, /, **members: Json) -> None:
        self.agent.update(self.session.id, kind, **members)

    def end(self, stop_reason: str) -> None:
        self.has_ended = True
        self.agent.answer(self.request, {"stopReason": stop_reason})

    def ask(self, method: str, /, **params: Json) -> str:
        return self.agent.ask(self.session.id, method, {"sessionId": self.session.id, **params})

    def told(self, answer: Frame) -> str:
        """An answer in one line, for the chat."""
        if "error" in answer:
            return f"error {answer['error']['code']}"
        result = answer["result"]
        if "outcome" in (result or {}):
            outcome = result["outcome"]
            return f"{outcome['outcome']} {outcome.get('optionId', '')}".strip()
        return json.dumps(result, sort_keys=True)


Step = Callable[[Stage, str], "Iterable[str | object] | None"]


def say(stage: Stage, text: str) -> None:
    """Say TEXT in one chunk."""
    stage.say(text)


def think(stage: Stage, text: str) -> None:
    """Think TEXT."""
    stage.agent.say(stage.session.id, text, "agent_thought_chunk")


def late(stage: Stage, text: str) -> None:
    """Say TEXT after the prompt was answered."""
    stage.late.append(text)


def tool(stage: Stage, text: str) -> None:
    """Begin the tool call ID, of KIND."""
    tool_id, kind = text.split()
    stage.update("tool_call", toolCallId=tool_id, title=tool_id, kind=kind, status="pending")


def tool_update(stage: Stage, text: str) -> None:
    """Update the tool call ID to STATUS; nobody needs to have begun it."""
    tool_id, status = text.split()
    stage.update("tool_call_update", toolCallId=tool_id, status=status)


def strange(stage: Stage, _: str) -> None:
    """Send an update of a kind that nobody knows, with content that nobody knows."""
    stage.update("unheard_of", content={"type": "smell", "data": 7}, _meta={"own": True})


def wrong(stage: Stage, _: str) -> None:
    """Send updates whose members have wrong types, and some that are none."""
    wire, session_id = stage.agent.wire, stage.session.id
    stage.update("tool_call", toolCallId=7, title=None, content="x", locations={}, rawInput=[])
    stage.update("plan", entries="all of it")
    for update in ({"sessionUpdate": 7}, {}, [], None):
        wire.send(
            {"method": "session/update", "params": {"sessionId": session_id, "update": update}}
        )
    wire.send({"method": "session/update", "params": []})
    wire.send({"method": "session/update"})


def array(stage: Stage, _: str) -> None:
    """Send a JSON array, which ACP does not have."""
    stage.agent.wire.write(b'[{"jsonrpc":"2.0","method":"session/update","params":{}}]\n')


def noise(stage: Stage, _: str) -> None:
    """Print lines that are no frames."""
    stage.agent.wire.write(b"Loading...\n\n\x1b[31mred\x1b[0m\n{not json}\n\xff\xfe\n")


def foreign(stage: Stage, _: str) -> None:
    """Send a chunk for a session that nobody has, and an answer that nobody has asked for."""
    stage.agent.say("nobody's", "is anybody there?")
    stage.agent.wire.send({"id": 987654, "result": {"stopReason": "end_turn"}})


def ask(stage: Stage, text: str) -> Iterable[str]:
    """Ask for permission for a tool of KIND; say what came back."""
    call = {"toolCallId": "t1", "title": f"Run {text or 'it'}", "rawInput": {"what": text}}
    if text:
        call["kind"] = text
    answer = yield stage.ask("session/request_permission", toolCall=call, options=OPTIONS)
    stage.say(stage.told(answer))


def ask_without(stage: Stage, _: str) -> Iterable[str]:
    """Ask for permission with nothing to choose from."""
    call = {"toolCallId": "t1", "title": "Run it"}
    answer = yield stage.ask("session/request_permission", toolCall=call, options=[])
    stage.say(stage.told(answer))


def ask_and_leave(stage: Stage, _: str) -> Iterable[str]:
    """Ask for permission, and take it back."""
    call = {"toolCallId": "t1", "title": "Run it"}
    rpc_id = stage.ask("session/request_permission", toolCall=call, options=OPTIONS)
    stage.agent.wire.send({"method": "$/cancel_request", "params": {"requestId": rpc_id}})
    answer = yield rpc_id
    stage.say(stage.told(answer))


def elicit(stage: Stage, text: str) -> Iterable[str]:
    """Ask the user for something: by a `form`, or by a `url`."""
    if text == "url":
        members: Frame = {"mode": "url", "url": "https://example.org/login", "elicitationId": "e1"}
    else:
        properties = {"name": {"type": "string"}, "really": {"type": "boolean"}}
        schema = {"type": "object", "properties": properties, "required": ["name"]}
        members = {"mode": "form", "requestedSchema": schema}
    answer = yield stage.ask("elicitation/create", message="Who are you?", **members)
    stage.say(stage.told(answer))


def request(stage: Stage, text: str) -> Iterable[str]:
    """Send a request METHOD with parameters JSON; say what came back."""
    method, _, params = text.partition(" ")
    answer = yield stage.ask(method, **json.loads(params or "{}"))
    stage.say(stage.told(answer))


def notify(stage: Stage, text: str) -> None:
    """Send a notification METHOD."""
    stage.agent.wire.send({"method": text, "params": {"sessionId": stage.session.id}})


def terminal(stage: Stage, text: str) -> Iterable[str]:
    """Run a shell COMMAND in a terminal to its end; say its output, and what `release` leaves."""
    made = yield stage.ask("terminal/create", command="/bin/sh", args=["-c", text])
    if "error" in made:
        stage.say(stage.told(made))
        return
    which = made["result"]
    ended = yield stage.ask("terminal/wait_for_exit", **which)
    shown = yield stage.ask("terminal/output", **which)
    released = yield stage.ask("terminal/release", **which)
    after = yield stage.ask("terminal/output", **which)
    for answer in (ended, shown, released, after):
        stage.say(stage.told(answer))


def stream(stage: Stage, text: str) -> Iterable[object]:
    """Say TEXT for ever, until it is cancelled."""
    while True:
        stage.agent.say(stage.session.id, text or "and ")
        yield ROOM


def hang(stage: Stage, _: str) -> Iterable[object]:
    """Do nothing until it is cancelled."""
    yield NEVER


def forget(stage: Stage, _: str) -> Iterable[object]:
    """Never answer, cancelled or not."""
    stage.has_ended = True
    try:
        yield NEVER
    except Cancelled:
        stage.say("I have forgotten what this was about")


def linger(stage: Stage, text: str) -> Iterable[object]:
    """Do nothing until it is cancelled; then say TEXT before the answer."""
    try:
        yield NEVER
    except Cancelled:
        stage.say(text)
        raise


def stop(stage: Stage, text: str) -> None:
    """End the turn with REASON."""
    stage.end(text)


def fail(stage: Stage, text: str) -> None:
    """Answer the prompt with the error CODE."""
    stage.has_ended = True
    stage.agent.refuse(stage.request, Refused(int(text), "it went wrong"))


def again(stage: Stage, _: str) -> None:
    """Answer the prompt twice."""
    stage.end("end_turn")
    stage.end("refusal")


def switch(stage: Stage, text: str) -> None:
    """Go to MODE by itself."""
    stage.agent.traits["session"]["modes"]["currentModeId"] = text
    stage.update("current_mode_update", currentModeId=text)


def choose(stage: Stage, text: str) -> None:
    """Set OPTION to VALUE by itself."""
    option, value = text.split()
    stage.agent.choose(option, value)
    options = stage.agent.traits["session"]["configOptions"]
    stage.update("config_option_update", configOptions=options)


def title(stage: Stage, text: str) -> None:
    """Name the session."""
    stage.update("session_info_update", title=text)


def flood(stage: Stage, text: str) -> None:
    """Write so many BYTES to stderr."""
    stage.agent.wire.write(b"x" * int(text) + b"\n", 2)


def lose(stage: Stage, _: str) -> None:
    """Forget the session that this turn is of, without a word."""
    del stage.agent.sessions[stage.session.id]
    stage.session.forget()


def crash(stage: Stage, _: str) -> None:
    """End at once."""
    os._exit(1)


STEPS: dict[str, Step] = {
    "say": say,
    "think": think,
    "late": late,
    "tool": tool,
    "tool-update": tool_update,
    "strange": strange,
    "wrong": wrong,
    "array": array,
    "noise": noise,
    "foreign": foreign,
    "ask": ask,
    "ask-without": ask_without,
    "ask-and-leave": ask_and_leave,
    "elicit": elicit,
    "request": request,
    "notify": notify,
    "terminal": terminal,
    "stream": stream,
    "hang": hang,
    "forget": forget,
    "linger": linger,
    "stop": stop,
    "fail": fail,
    "again": again,
    "switch": switch,
    "choose": choose,
    "title": title,
    "flood": flood,
    "lose": lose,
    "crash": crash,
}
SERVED: dict[str, Callable[[Agent, Frame, Frame], Json]] = {
    "initialize": Agent.initialize,
    "authenticate": Agent.authenticate,
    "logout": Agent.log_out,
    "session/new": Agent.new,
    "session/load": Agent.load,
    "session/resume": Agent.resume_session,
    "session/fork": Agent.fork,
    "session/close": Agent.close,
    "session/delete": Agent.delete,
    "session/list": Agent.list,
    "session/set_mode": Agent.set_mode,
    "session/set_config_option": Agent.set_option,
}


def main() -> None:
    given = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    if unknown := given.keys() - TRAITS.keys():
        raise SystemExit(f"no such traits: {', '.join(sorted(unknown))}")
    agent = Agent({**TRAITS, **given})
    if agent.traits["is_deaf"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    agent.run()
    while agent.traits["is_deaf"]:
        signal.pause()


if __name__ == "__main__":
    main()
