"""From the messages of a chat to the content blocks of one prompt."""

from collections.abc import Sequence

from anyclawd.model.value import Json
from anyclawd.route.field import cut
from anyclawd.wire import acp_content
from anyclawd.wire.acp import PromptContent

#: How much is told of one tool, and of all together. A prompt that is too long for a model is
#: refused by it, so a tool that describes itself at length would end every chat of its agents.
TOOL_NAME_MAX_CHARS, TOOL_TEXT_MAX_CHARS, TOOLS_MAX_CHARS = 128, 1000, 32_000


def build(
    content: Sequence[Json],
    metadata: dict[str, Json] | None,
    *,
    tools: Sequence[tuple[str, str]],
    takes: PromptContent,
    past: str = "",
) -> list[Json]:
    """Tools, what was said before, what is replied to, what the user sent; each a block."""
    blocks: list[Json] = []
    if tools:
        blocks.append({"type": "text", "text": tools_context(tools)})
    if past:
        blocks.append({"type": "text", "text": past})
    if context := reply_context(metadata or {}):
        blocks.append({"type": "text", "text": context})
    return blocks + [acp_content.block(part, takes) for part in content]


def tools_context(tools: Sequence[tuple[str, str]]) -> str:
    """Ends with a newline: agents that join text blocks keep it apart from the user's words.

    What is said of tools is theirs; however much it is, it leaves room for the user's words.
    """
    lines: list[str] = []
    room = TOOLS_MAX_CHARS
    for name, description in tools:
        line = f"- {cut(name, TOOL_NAME_MAX_CHARS)}: {cut(description, TOOL_TEXT_MAX_CHARS)}\n"
        if (room := room - len(line)) < 0:
            lines.append(f"- and {len(tools) - len(lines)} more, which the servers list\n")
            break
        lines.append(line)
    return f"[Platform context: these MCP tools are available:\n{''.join(lines)}]\n"


def history_context(turns: Sequence[tuple[str, str]]) -> str:
    """What was said before, for an agent that has lost it; empty where nothing was."""
    if not turns:
        return ""
    told = "".join(f"User: {prompt}\nAgent: {answer}\n" for prompt, answer in turns)
    return f"[Platform context: this conversation goes on. What was said so far:\n{told}]\n"


def reply_context(metadata: dict[str, Json]) -> str:
    """Where a message stands in its chat; empty where it stands alone."""
    told = [part for part in (_thread(metadata), _reply(metadata)) if part]
    return f"[Context: {', '.join(told)}]" if told else ""


def _thread(metadata: dict[str, Json]) -> str:
    thread = metadata.get("threadId")
    return f"thread {thread}" if thread not in (None, "") else ""


def _reply(metadata: dict[str, Json]) -> str:
    sender, text = metadata.get("replyToSender"), metadata.get("replyToText")
    verb = "quoting" if metadata.get("replyToIsQuote") is True else "replying to"
    whom = f"{verb} {sender}: " if sender else f"{verb}: "
    if text:
        return f'{whom}"{text}"'
    if media := metadata.get("replyToMediaType"):
        return f"{whom}<{media}>"
    if message := metadata.get("replyToMessageId"):
        return f"reply to message {message}" + (f" of {sender}" if sender else "")
    return ""
