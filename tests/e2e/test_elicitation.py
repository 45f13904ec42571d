"""What an agent asks for reaches its user: as a form where a channel draws it, else in words."""

from pathlib import Path

from anyclawd.model.value import Json
from tests.fakes.daemon import Chat, Deadline, debug_http, running, system
from tests.fakes.puppet import AgentPuppet, ChannelPuppet, Frame, Stage

SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "enum": ["eu", "us"]},
        "nodes": {"type": "integer", "minimum": 1},
    },
    "required": ["region", "nodes"],
}
LINK = "https://login.example/?state=1"
CAN = {"protocolVersion": 1, "agentCapabilities": {}}


def elicit(agent: AgentPuppet, **params: Json) -> None:
    asked = {"sessionId": "s1", "mode": "form", "message": "Where to?", **params}
    agent.say({"id": 901, "method": "elicitation/create", "params": asked})


def begin(agent: AgentPuppet) -> Frame:
    """The agent has been asked something, and has said nothing yet."""
    agent.open()
    request, _ = agent.prompted()
    return request


def pending(chat: Chat) -> Json:
    """debug-http pushes no question, so its list is asked for until there is one."""
    deadline = Deadline()
    while not (found := chat.ask("GET", "/elicitations/pending")[1]):
        deadline.left("an elicitation")
    return found[0]


def test_a_channel_that_draws_forms_is_given_the_form(tmp_path: Path, theatre: Stage) -> None:
    config = system({"default": theatre.agent("a", CAN)}, {"debug-http": debug_http()})
    with running(tmp_path, config) as daemon:
        agent, chat = theatre.accept_agent("a"), daemon.chat()
        chat.say("deploy")
        request = begin(agent)
        elicit(agent, requestedSchema=SCHEMA)
        form = pending(chat)
        assert (form["message"], form["requestedSchema"]) == ("Where to?", SCHEMA)
        entered = {"action": "accept", "content": {"region": "eu", "nodes": 3}}
        path = f"/elicitations/{form['requestId']}/respond"
        assert chat.ask("POST", path, entered) == (200, {"status": "responded"})
        assert agent.expect_answer(901)["result"] == entered
        elicit(agent, mode="url", url=LINK, elicitationId="l1")
        link = pending(chat)
        assert link["url"] == LINK
        path = f"/elicitations/{link['requestId']}/respond"
        chat.ask("POST", path, {"action": "decline"})
        assert agent.expect_answer(901)["result"] == {"action": "decline"}
        agent.done(request)


def test_a_form_that_its_agent_takes_back_is_listed_no_more(tmp_path: Path, theatre: Stage) -> None:
    config = system({"default": theatre.agent("a", CAN)}, {"debug-http": debug_http()})
    with running(tmp_path, config) as daemon:
        agent, chat = theatre.accept_agent("a"), daemon.chat()
        chat.say("deploy")
        request = begin(agent)
        elicit(agent, requestedSchema=SCHEMA)
        form = pending(chat)
        agent.say({"method": "$/cancel_request", "params": {"requestId": 901}})
        agent.done(request)
        with chat.listening() as events:
            chat.say("and now?")
            agent.reply("Nothing.")
            next(events)
        path = f"/elicitations/{form['requestId']}/respond"
        assert chat.ask("POST", path, {"action": "cancel"})[0] == 404


def asked(channel: ChannelPuppet) -> Frame:
    frame: Frame = channel.expect("channel/requestPermission")
    return frame


def test_any_other_chat_is_asked_in_words(tmp_path: Path, theatre: Stage) -> None:
    config = system({"default": theatre.agent("a", CAN)}, {"web": theatre.channel("w")})
    with running(tmp_path, config):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        channel.message("deploy")
        request = begin(agent)
        elicit(agent, requestedSchema=SCHEMA)
        choice = asked(channel)
        assert choice["params"]["description"] == "Where to?\n\n1 of 2: region"
        labels = [option["label"] for option in choice["params"]["options"]]
        assert labels == ["eu", "us", "Decline"]
        option = choice["params"]["options"][1]["optionId"]
        channel.answer(choice, {"optionId": option})
        assert channel.shown()[1].startswith("2 of 2: nodes\n\nReply with a whole number")
        channel.message("none")
        assert channel.shown()[1].startswith("That is not a whole number.")
        channel.message("3")
        answer = {"action": "accept", "content": {"region": "us", "nodes": 3}}
        assert agent.expect_answer(901)["result"] == answer
        elicit(agent, mode="url", url=LINK, elicitationId="l1")
        link = asked(channel)
        assert link["params"]["description"].endswith(f"{LINK}\n\nThis leads to login.example.")
        channel.answer(link, {"optionId": "done"})
        assert agent.expect_answer(901)["result"] == {"action": "accept"}
        agent.chunk("Deployed.")
        agent.done(request)
        assert channel.turn() == [("agent_message_chunk", "Deployed."), ("result", "end_turn")]
