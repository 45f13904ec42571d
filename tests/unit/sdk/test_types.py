import pytest

from anyclaw_sdk.types import (
    SERVER_ERROR,
    Accepted,
    Ack,
    AgentInitialize,
    Delivery,
    Elicitation,
    ElicitationAnswer,
    Json,
    MessageRefused,
    MessageState,
    PeerInfo,
    PermissionOption,
    PermissionRequest,
    ReplyMetadata,
    RpcError,
    SessionCreated,
    SessionRequest,
    SupervisorCapabilities,
)


def test_a_peer_round_trips() -> None:
    peer = PeerInfo("telegram", "telegram:7", "group")
    assert PeerInfo.from_wire(peer.to_wire()) == peer


def test_missing_and_misshapen_fields_get_their_defaults() -> None:
    assert PeerInfo.from_wire({"peerId": 7}) == PeerInfo("", "", "unknown")
    assert PeerInfo.from_wire("noise") == PeerInfo("", "", "unknown")
    assert Ack.from_wire({"reaction": "yes", "typing": True}) == Ack(typing=True)
    assert Ack.from_wire(None) == Ack(
        reaction=False, typing=False, reaction_emoji="👀", reaction_lifecycle="remove"
    )
    assert Delivery.from_wire({}) == Delivery("", None, {})
    assert SessionCreated.from_wire({}) == SessionCreated("", PeerInfo("", "", "unknown"))
    assert SessionRequest.from_wire({"mcpServers": 1}) == SessionRequest("", "", [], {})


def test_reply_metadata_sends_only_what_is_set() -> None:
    assert ReplyMetadata().to_wire() == {}
    assert ReplyMetadata(reply_to_text="a", thread_id="7").to_wire() == {
        "replyToText": "a",
        "threadId": "7",
    }


def test_a_permission_request_reads_the_aliases_of_its_fields() -> None:
    params = {"sessionId": "s", "options": [{"optionId": "a", "name": "Allow"}, "noise"]}
    assert PermissionRequest.from_wire(params, 9000) == PermissionRequest(
        "9000",
        "s",
        "Permission requested",
        (PermissionOption("a", "Allow"), PermissionOption("", "")),
    )


def test_a_permission_request_round_trips() -> None:
    request = PermissionRequest("r", "s", "why", (PermissionOption("a", "Allow"),))
    assert PermissionRequest.from_wire(request.to_wire()) == request


@pytest.mark.parametrize("value", [None, [], "noise", 7, {"messageId": 7, "state": []}])
def test_answers_that_say_nothing_are_read_as_such(value: Json) -> None:
    assert Accepted.from_wire(value) == Accepted("")
    assert MessageState.from_wire(value) == MessageState("", "")
    assert SupervisorCapabilities.from_wire(value) == SupervisorCapabilities()


def test_a_delivery_reads_its_meta() -> None:
    assert Delivery.from_wire({"_meta": {"anyclaw/messageIds": ["m", 7]}}).message_ids == ["m"]
    odd = Delivery.from_wire({"_meta": {"anyclaw/deliveryId": 7, "anyclaw/redelivered": 1}})
    assert (odd.delivery_id, odd.message_ids, odd.is_redelivered) == ("", [], False)


@pytest.mark.parametrize(
    "asked",
    [
        Elicitation("e", "s", "form", "Which?", {"type": "object"}, ""),
        Elicitation("e", "s", "url", "Log in", {}, "https://x.example/"),
    ],
)
def test_an_elicitation_round_trips(asked: Elicitation) -> None:
    assert Elicitation.from_wire(asked.to_wire()) == asked


def test_an_elicitation_without_a_mode_is_a_form() -> None:
    asked = Elicitation.from_wire({"message": 7, "requestedSchema": []}, 9)
    assert asked == Elicitation("9", "", "form", "", {}, "")


def test_an_answer_says_only_what_is_known() -> None:
    assert ElicitationAnswer("cancel").to_wire() == {"action": "cancel"}
    assert ElicitationAnswer("accept", {}).to_wire() == {"action": "accept", "content": {}}


@pytest.mark.parametrize("retry_after", [None, True, "soon"])
def test_a_refusal_without_a_time_is_one_all_the_same(retry_after: Json) -> None:
    error = RpcError(SERVER_ERROR, "no", {"reason": "queue", "retryAfter": retry_after})
    refused = MessageRefused.from_error(error)
    assert refused is not None
    assert (str(refused), refused.reason, refused.retry_after_s) == ("no", "queue", None)


def test_agent_options_are_read_from_both_places() -> None:
    request = AgentInitialize.from_wire(
        {
            "protocolVersion": 2,
            "options": {"a": "root", "b": "root"},
            "_meta": {"options": {"b": "meta"}},
            "capabilities": {"experimental": {}},
        },
        {"a": "default", "c": "default"},
    )
    assert request.options == {"a": "root", "b": "meta", "c": "default"}
    assert request.client_capabilities == {"experimental": {}}
    assert request.protocol_version == 2


def test_client_capabilities_of_acp_win_over_those_of_0_9() -> None:
    params = {"clientCapabilities": {"terminal": True}, "capabilities": {"experimental": {}}}
    assert AgentInitialize.from_wire(params, {}).client_capabilities == {"terminal": True}
