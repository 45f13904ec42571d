from anyclaw_sdk.types import (
    Ack,
    AgentInitialize,
    Delivery,
    PeerInfo,
    PermissionOption,
    PermissionRequest,
    ReplyMetadata,
    SessionCreated,
    SessionRequest,
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
