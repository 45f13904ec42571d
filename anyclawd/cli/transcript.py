"""What was said in a chat, as text for people and as Markdown; knows the shapes of turns only."""

from __future__ import annotations

from collections.abc import Iterator

from anyclawd.cli.render import Paint, clean, local

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from anyclawd.model.value import Json

#: How a turn ends that is nothing to speak of.
_USUAL_END = "end_turn"


def text(turns: list[Json], paint: Paint) -> Iterator[str]:
    """Lines; what was asked is marked with `>`, each conversation has a heading."""
    conversation = 0
    for turn in turns:
        if turn["conversation"] != conversation:
            if conversation:
                yield ""
            conversation = turn["conversation"]
            yield paint(f"conversation {conversation}", "bold")
        yield ""
        yield paint(local(turn["endedAt"]), "dim")
        yield from (paint(f"> {line}", "cyan") for line in _lines(clean(turn["prompt"])))
        yield from _lines(clean(turn["answer"]))
        if turn["stopReason"] != _USUAL_END:
            yield paint(f"the turn ended: {clean(turn['stopReason'])}", "yellow")


def markdown(export: Json) -> Iterator[str]:
    """Lines of a document: a heading a conversation, what was asked as quotes, answers as they are.

    An answer is Markdown already, as agents write it.
    """
    titles = {row["number"]: row["title"] for row in export["conversations"]}
    yield f"# {export['session']}"
    conversation = 0
    for turn in export["turns"]:
        if turn["conversation"] != conversation:
            conversation = turn["conversation"]
            title = " ".join(titles.get(conversation, "").split())
            yield ""
            yield f"## Conversation {conversation}" + (f": {title}" if title else "")
        yield ""
        yield f"*{turn['endedAt']}*"
        yield ""
        yield from (f"> {line}".rstrip() for line in _lines(turn["prompt"]))
        yield ""
        yield from _lines(turn["answer"])
        if turn["stopReason"] != _USUAL_END:
            yield ""
            yield f"*The turn ended: {turn['stopReason']}*"


def _lines(said: str) -> list[str]:
    return said.rstrip("\n").split("\n")
