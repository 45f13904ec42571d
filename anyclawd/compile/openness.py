"""Whether strangers can talk to an agent, or nobody can: warnings, since both may be meant.

Who may talk is said in `access:`, or by a channel's own options where there is no such key. What
options mean is the channel's business, so they are judged by their names: `allow...` lists whom it
lets in, and where the channel listens by itself a secret among them keeps strangers out. A channel
reaches the outside unless it is the debug channel on a loopback address.

The same is asked of the endpoint that agents reach their tools by, and of the media store.
"""

import ipaddress
from collections.abc import Iterable, Iterator

from anyclawd.compile.diagnose import Report
from anyclawd.compile.draft import Draft
from anyclawd.compile.read import show
from anyclawd.compile.secret import looks_secret
from anyclawd.compile.tree import Node
from anyclawd.model.conversation import ANY, Access, AccessDefault, AccessRule
from anyclawd.model.unit import ChannelRole, Kind

_DEBUG = "channels/debug-http"
_MEDIA = "services/media"
_OPEN_HOSTS = ("0.0.0.0", "::", "")
_LISTENING = ("host", "port")


def check_openness(draft: Draft, role: ChannelRole, access: Access | None, report: Report) -> None:
    """Report a channel that lets in everybody, or nobody. It has to be switched on."""
    if access is not None and access.default is AccessDefault.CLOSED:
        if not _can_enter(draft.declaration.name, role, access):
            text = (
                "nobody can talk here: access is closed, and no rule lets anybody in; add a rule"
                " for this channel, or access.pairing"
            )
            report.warning(draft.declaration.span, draft.declaration.key, text)
        return
    host = _option(draft, "host")
    if host is not None and host.value in _OPEN_HOSTS:
        if not _has_key(draft):
            text = (
                f"listens on {host.value} without a key, so whoever reaches this machine can"
                " talk to the agent; listen on 127.0.0.1 or set a key"
            )
            report.warning(host.span, draft.key("options.host"), text)
    elif access is None and _reaches_outside(draft) and not _names_somebody(draft):
        text = (
            "says nowhere whom it lets in, so whoever finds it may be able to talk to the agent;"
            " say it in access, or access: {default: closed}"
        )
        report.warning(draft.declaration.span, draft.declaration.key, text)


def check_endpoint(document: Node, report: Report) -> None:
    """Report that tools are served beyond this machine. There has to be one that is switched on."""
    manager = document.value.get("tools_manager")
    host: Node | None = None if manager is None else manager.value.get("tools_server_host")
    if host is not None and not _is_loopback(host.value):
        text = (
            f"tools are served to whoever reaches this machine, as {show(host)}, and has the token"
            " of a session; say 127.0.0.1 unless agents run elsewhere"
        )
        report.warning(host.span, "tools_manager.tools_server_host", text)


def check_media(draft: Draft, report: Report) -> None:
    """Report a media store that serves files beyond this machine. It has to be switched on."""
    is_media = draft.program is not None and draft.program.extension == _MEDIA
    host, socket = _option(draft, "host"), _option(draft, "socket")
    if is_media and host is not None and not _is_loopback(host.value) and socket is None:
        text = (
            f"files are served to whoever reaches this machine, as {show(host)}, and has a link;"
            " say 127.0.0.1 unless they are read elsewhere"
        )
        report.warning(host.span, draft.key("options.host"), text)


def _can_enter(name: str, role: ChannelRole, access: Access) -> bool:
    """Whether some peer could be let in, by a rule or by a code."""
    channel, agent = (_key(name, Kind.CHANNEL), _key(role.agent, Kind.AGENT))
    for rule in access.rules:
        if _is_about(rule, channel, agent):
            if rule.allow:
                return True
            if rule.peer == ANY and rule.kind == ANY:
                return False  # everybody is turned away here
    return access.pairing.enabled


def _is_about(rule: AccessRule, channel: str, agent: str) -> bool:
    return rule.channel in (ANY, channel) and rule.agent in (ANY, agent)


def _key(name: str, kind: Kind) -> str:
    return name.removesuffix(f".{kind}")


def _reaches_outside(draft: Draft) -> bool:
    is_debug = draft.program is not None and draft.program.extension == _DEBUG
    host = _option(draft, "host")
    return not is_debug or (host is not None and not _is_loopback(host.value))


def _is_loopback(host: object) -> bool:
    name = str(host).lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _names_somebody(draft: Draft) -> bool:
    options = draft.settings.get("options")
    if options is None:
        return False
    listens = any(name in options.value for name in _LISTENING)
    return any(map(_is_closed, _allowing(options))) or (listens and _has_key(draft))


def _has_key(draft: Draft) -> bool:
    options = draft.settings.get("options")
    items: Iterable[tuple[str, Node]] = options.value.items() if options is not None else ()
    return any(looks_secret(name) and (node.value or node.is_unknown) for name, node in items)


def _allowing(node: Node) -> Iterator[Node]:
    """The options, at any depth, that say whom the channel lets in."""
    for name, child in node.value.items():
        if name.lower().startswith("allow"):
            yield child
        elif isinstance(child.value, dict):
            yield from _allowing(child)


def _is_closed(node: Node) -> bool:
    """Whether a list of those who are let in leaves out somebody; one without an entry does."""
    held: Iterable[Node] = node.value if isinstance(node.value, list) else (node,)
    known = (one for one in held if not one.is_unknown)
    return not any(one.value == ANY or one.value is True or one.value is None for one in known)


def _option(draft: Draft, name: str) -> Node | None:
    options = draft.settings.get("options")
    found: Node | None = options.value.get(name) if options is not None else None
    return found
