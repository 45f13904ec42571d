"""`sessions VERB SESSION...`: look into conversations, control, export and erase them."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator

from anyclawd.cli import render, sessions
from anyclawd.cli.arguments import add_verbs
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import Paint, clean
from anyclawd.cli.sessions import add_session, add_sessions, key_of, keys_of, target_of
from anyclawd.client.client import quote
from anyclawd.client.exchange import FAILED, NO_DAEMON, USAGE_ERROR, ClientError

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from anyclawd.model.value import Json

#: Turns of a history that are shown where it is not said how many.
_TURNS = 20

#: What is said of a session to which it was done.
_DONE = {
    "new": "a new conversation begins in {}",
    "cancel": "cancelled the turn in {}",
    "close": "closed {}",
}

#: States in which a turn runs, or is about to.
_BUSY = ("waiting", "opening", "prompting", "cancelling")


def configure(parser: ArgumentParser) -> None:
    verbs = {
        "list": ("list the chats that are known", _configure_list, _list),
        "show": ("show chats in detail", add_sessions, _show),
        "history": ("print what was said in a chat", _configure_history, _history),
        "agent": ("list the sessions that an agent keeps", _configure_agent, _agent),
        "new": ("begin new conversations in chats", add_sessions, _new),
        "cancel": ("end the turns that run in chats", add_sessions, _cancel),
        "close": ("let agents put away the sessions of chats", add_sessions, _close),
        "fork": ("copy the conversation of a chat", add_session, _fork),
        "export": ("write down all that is kept of a chat", _configure_export, _export),
        "delete": ("erase all that is kept of chats", _configure_delete, _delete),
    }
    add_verbs(parser, verbs, "list")


def run(options: Namespace) -> int:
    status: int = options.run(options)
    return status


# -- looking -----------------------------------------------------------------------------------


def _configure_list(parser: ArgumentParser) -> None:
    add_sessions(parser, nargs="*")


def _list(options: Namespace) -> int:
    rows = sessions.rows_of(connect(options), options.sessions)
    if options.json:
        render.print_json({"sessions": rows})
    elif not rows:
        print("no sessions")
    else:
        print(render.headed(sessions.table(rows), Paint(sys.stdout)))
        print(f"\n{len(rows)} session{'' if len(rows) == 1 else 's'}")
    return 0


def _show(options: Namespace) -> int:
    client = connect(options)
    details = [client.get(target_of(key)) for key in keys_of(client, options.sessions)]
    if options.json:
        render.print_json({"sessions": details})
    else:
        paint = Paint(sys.stdout)
        print("\n\n".join("\n".join(_detail(session, paint)) for session in details))
    return 0


def _detail(session: Json, paint: Paint) -> Iterator[str]:
    facts = {
        "state": session["state"] + _idle(session["idle_s"]),
        "agent": session["worker"],
        "its id": clean(session["agent_session"] or ""),
        "title": clean(session["title"]),
        "waiting": _count_of(session["queued"], "messages") if session["queued"] else "",
    }
    yield paint(clean(session["session"]), "bold")
    yield from (f"  {label:>8}: {text}" for label, text in facts.items() if text)
    for choice in session["choices"]:
        yield f"  {clean(choice['name']):>8}: {_chosen(choice)}"
    if session["conversations"]:
        yield ""
        yield from render.table(map(_conversation, session["conversations"]), _CONVERSATIONS)
    if session["messages"]:
        yield ""
        yield from render.table(map(_message, session["messages"]), _MESSAGES)


def _idle(seconds: float | None) -> str:
    return "" if seconds is None else f", idle for {render.duration(seconds)}"


_CONVERSATIONS = ("CONVERSATION", "AGENT", "IDLE", "TITLE")
_MESSAGES = ("MESSAGE", "STATE", "RECEIVED")


def _conversation(row: Json) -> tuple[str, ...]:
    number = f"{row['number']}{' (current)' if row['current'] else ''}"
    return (number, row["agent"], render.duration(row["idle_s"]), clean(row["title"]))


def _message(row: Json) -> tuple[str, ...]:
    return (clean(row["messageId"]), row["state"], render.local(row["receivedAt"]))


def _chosen(choice: Json) -> str:
    """What is chosen, and what else there is."""
    names = {value["id"]: value["name"] for value in choice["values"]}
    current = choice["current"]
    if not names:
        return "on" if current else "off"
    others = [clean(name) for id_, name in names.items() if id_ != current]
    said = clean(str(names.get(current, current)))
    return f"{said} (or {', '.join(others)})" if others else said


def _configure_history(parser: ArgumentParser) -> None:
    add_session(parser)
    parser.add_argument(
        "-n",
        "--turns",
        type=_count,
        default=_TURNS,
        metavar="TURNS",
        help=f"the last so many; default {_TURNS}",
    )
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="go on with what the chat is shown, until Ctrl-C",
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"found {text!r}, expected a number")
    return int(text)


def _history(options: Namespace) -> int:
    from anyclawd.cli import transcript, turn  # most looks are at the list, which shall be quick

    client = connect(options)
    key = key_of(client, options.session)
    shown: Iterator[Json] = iter(())
    if options.follow:
        shown = client.events(target_of(key, "/events"))
    next(shown, None)  # it is followed from before the history is read: nothing is left out
    said = client.get(target_of(key, f"/history?turns={options.turns}"))
    if options.json:
        (render.print_json_line if options.follow else render.print_json)(said)
    else:
        for line in transcript.text(said["turns"], Paint(sys.stdout)):
            print(line, flush=options.follow)
    printer = turn.Printer(is_over=True)
    for event in shown:
        if options.json:
            render.print_json_line(event)
        else:
            printer.show(event)
    return 0


def _configure_agent(parser: ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="such as default, or default.agent")


def _agent(options: Namespace) -> int:
    kept = connect(options).get(f"/v1/agents/{quote(options.agent)}/sessions", waits=True)
    rows = kept["sessions"]
    if options.json:
        render.print_json(kept)
        return 0
    if rows:
        print(render.headed(render.table(map(_kept, rows), _KEPT), Paint(sys.stdout)), end="\n\n")
    more = "" if kept["complete"] else "; the agent says that there are more"
    print((_count_of(len(rows), "sessions") if rows else "no sessions") + more)
    return 0


_KEPT = ("ID", "AGENT", "SESSION", "UPDATED", "TITLE")


def _kept(row: Json) -> tuple[str, ...]:
    return (
        clean(row["agent_session"]),
        row["agent"].removesuffix(".agent"),
        clean(row["session"] or "-"),
        _updated(row["updated_at"] or "-"),
        clean(row["title"]),
    )


def _updated(at: str) -> str:
    """When, or what an agent writes that should have written an instant."""
    try:
        return render.local(at)
    except (ValueError, OverflowError):
        return clean(at)


# -- controlling -------------------------------------------------------------------------------


def _new(options: Namespace) -> int:
    return _command(options, "new")


def _cancel(options: Namespace) -> int:
    return _command(options, "cancel")


def _close(options: Namespace) -> int:
    return _command(options, "close")


def _command(options: Namespace, verb: str) -> int:
    """The status says why one of them could not be done; the others are done all the same."""
    client = connect(options)
    done, status = [], 0
    for key in keys_of(client, options.sessions):
        try:
            done.append(client.post(target_of(key, f"/{verb}"), None))
        except ClientError as error:
            status = _told_refusal(error)
    if options.json:
        render.print_json({"sessions": done})
    else:
        for row in done:
            key = clean(row["session"])
            print(_told(verb, row["was"]).format(key))
    return status


def _told(verb: str, was: str) -> str:
    """What has come of it, in a session that was in this state."""
    match verb:
        case "cancel" if was not in _BUSY:
            return "no turn runs in {}"
        case "close" if was == "resting":
            return "{} rests already"
        case _:
            return _DONE[verb]


def _told_refusal(error: ClientError) -> int:
    """Tell why one of several was refused; its status. Raises it where nobody is there to ask."""
    if error.exit_code == NO_DAEMON:
        raise error
    print(f"anyclawctl: {error}", file=sys.stderr)
    return error.exit_code


def _fork(options: Namespace) -> int:
    client = connect(options)
    key = key_of(client, options.session)
    copy = client.post(target_of(key, "/fork"), None, waits=True)
    if options.json:
        render.print_json(copy)
    else:
        print(f"{clean(copy['session'])} is the copy of {clean(copy['from'])}")
    return 0


# -- keeping and erasing -----------------------------------------------------------------------


def _configure_export(parser: ArgumentParser) -> None:
    add_session(parser)
    parser.add_argument("--format", choices=("json", "md"), default="json", help="default json")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE, not to stdout")
    parser.add_argument("--force", action="store_true", help="replace FILE where it exists")


def _export(options: Namespace) -> int:
    import json

    from anyclawd.cli import output, transcript

    client = connect(options)
    export = client.get(target_of(key_of(client, options.session), "/export"))
    if options.format == "md":
        text = "\n".join(transcript.markdown(export)) + "\n"
        text = render.clean(text) if not options.output and sys.stdout.isatty() else text
    else:
        text = json.dumps(export, indent=2, ensure_ascii=False) + "\n"
    output.write_private(options, text, replaces=options.force)
    return 0


def _configure_delete(parser: ArgumentParser) -> None:
    add_sessions(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask first")


def _delete(options: Namespace) -> int:
    client = connect(options)
    keys = keys_of(client, options.sessions)
    if not options.yes and not _is_confirmed(keys, options.sessions):
        print("anyclawctl: nothing was erased", file=sys.stderr)
        return FAILED
    erased, status = [], 0
    for key in keys:
        try:
            erased.append(client.delete(target_of(key), waits=True))
        except ClientError as error:
            status = _told_refusal(error)
    if any(row["refusals"] for row in erased):
        status = FAILED
    if options.json:
        render.print_json({"sessions": erased})
    else:
        for row in erased:
            print(f"erased {clean(row['session'])}: {_counted(row['erased'])}")
        for refusal in (text for row in erased for text in row["refusals"]):
            print(f"anyclawctl: not erased by its agent: {clean(refusal)}", file=sys.stderr)
    return status


def _is_confirmed(keys: list[str], named: list[str]) -> bool:
    """Ask on a terminal. Elsewhere what was named by its key is wanted; a pattern may mean more."""
    if sys.stdin.isatty():
        print(f"All that is kept of {', '.join(map(clean, keys))} will be erased.", file=sys.stderr)
        print("Erase it? [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    if set(keys) <= set(named):
        return True
    text = f"no terminal to ask on; --yes erases what is meant: {_count_of(len(keys), 'sessions')}"
    raise ClientError(text, USAGE_ERROR)


def _counted(erased: Json) -> str:
    """For instance `2 conversations, 1 message`."""
    return ", ".join(_count_of(number, name) for name, number in erased.items())


def _count_of(number: int, things: str) -> str:
    return f"{number} {things.removesuffix('s') if number == 1 else things}"
