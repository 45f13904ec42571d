"""What anyclawd sends to agents, judged by the official models of ACP.

Every member has to be one that the schema knows, in every object. The only exception is `options`
in the root of `initialize`, which 0.9 agents read (docs/adr).
"""

from collections.abc import Iterable, Mapping

from acp import schema
from pydantic import BaseModel, TypeAdapter

from anyclawd.model.value import Json

Frame = Mapping[str, Json]

REQUESTS: Mapping[str, type[BaseModel]] = {
    "initialize": schema.InitializeRequest,
    "authenticate": schema.AuthenticateRequest,
    "logout": schema.LogoutRequest,
    "session/new": schema.NewSessionRequest,
    "session/load": schema.LoadSessionRequest,
    "session/resume": schema.ResumeSessionRequest,
    "session/list": schema.ListSessionsRequest,
    "session/close": schema.CloseSessionRequest,
    "session/delete": schema.DeleteSessionRequest,
    "session/fork": schema.ForkSessionRequest,
    "session/set_mode": schema.SetSessionModeRequest,
    "session/set_config_option": schema.SetSessionConfigOptionSelectRequest,
    "session/prompt": schema.PromptRequest,
}
NOTIFICATIONS: Mapping[str, type[BaseModel]] = {
    "session/cancel": schema.CancelNotification,
    "$/cancel_request": schema.CancelRequestNotification,
}
#: By the method of the agent's request; elicitations are a union of three.
ANSWERS: Mapping[str, TypeAdapter[Json]] = {
    method: TypeAdapter(model)
    for method, model in {
        "session/request_permission": schema.RequestPermissionResponse,
        "fs/read_text_file": schema.ReadTextFileResponse,
        "fs/write_text_file": schema.WriteTextFileResponse,
        "terminal/create": schema.CreateTerminalResponse,
        "terminal/output": schema.TerminalOutputResponse,
        "terminal/wait_for_exit": schema.WaitForTerminalExitResponse,
        "terminal/kill": schema.KillTerminalResponse,
        "terminal/release": schema.ReleaseTerminalResponse,
        "elicitation/create": schema.CreateElicitationResponse,
    }.items()
}
#: What the daemon may answer a request with that is not served.
ERRORS = (-32700, -32600, -32601, -32602, -32603, -32800, -32000, -32002)


def judge_call(frame: Frame) -> None:
    """Raises AssertionError or pydantic's ValidationError for what the schema does not allow."""
    assert frame["jsonrpc"] == "2.0"
    method, params = frame["method"], dict(frame["params"])
    assert ("id" in frame) is (method in REQUESTS), method
    if method == "initialize" and "options" in params:
        assert params.pop("options") == params["_meta"]["options"]
    model = {**REQUESTS, **NOTIFICATIONS}[method]
    if method == "session/set_config_option" and params.get("type") == "boolean":
        model = schema.SetSessionConfigOptionBooleanRequest
    known = model.model_validate(params)
    told = known.model_dump(by_alias=True, exclude_unset=True, mode="json")
    assert told == params, f"{method} has a member that the schema does not know"


def judge_answer(method: str, frame: Frame) -> None:
    """An answer to a request of the agent's."""
    assert ("result" in frame) is not ("error" in frame), frame
    if "error" in frame:
        assert frame["error"]["code"] in ERRORS, frame
        assert isinstance(frame["error"]["message"], str), frame
        return
    adapter = ANSWERS.get(method)
    if adapter is not None:
        known = adapter.validate_python(frame["result"])
        told = adapter.dump_python(known, by_alias=True, exclude_unset=True, mode="json")
        assert told == (frame["result"] or {}), f"an answer to {method} has a strange member"


def judge(transcript: Iterable[tuple[str, Frame]]) -> None:
    """All that the client has said in a transcript, answers by the requests they belong to."""
    asked: dict[Json, str] = {}
    for side, frame in transcript:
        if side == "agent":
            if "method" in frame and "id" in frame:
                asked[frame["id"]] = frame["method"]
        elif "method" in frame:
            judge_call(frame)
        else:
            judge_answer(asked[frame["id"]], frame)
