"""From the sections of `anyclaw.yaml` to declarations of units.

The only module that knows the original's keys and what each has become: an entry is translated
into the settings of a unit, in layers, and from there on nobody needs to know where a setting
came from. What this version cannot start is told as a problem of the unit, not as an error.
"""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from anyclawd.compile.diagnose import Report
from anyclawd.compile.read import Items
from anyclawd.compile.tree import Node
from anyclawd.model.conversation import Unroutable
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import LogFormat, SessionStore, Settings, StoreType
from anyclawd.model.policy import CgroupUse, Probe, ProbeType
from anyclawd.model.span import Span
from anyclawd.model.tool import ToolNames
from anyclawd.model.unit import Kind
from anyclawd.model.value import Json

DEFAULT_EXTENSIONS_DIR = "/usr/local/bin"


@dataclass(slots=True, kw_only=True)
class Declaration:
    """A unit while it is being put together: its layers of settings, lowest first."""

    name: UnitName
    kind: Kind
    span: Span
    key: str  #: dotted path of where it was declared
    layers: list[Node] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    container_dir: str = ""  #: where an agent's sessions work inside of its container
    #: settings that the entry has under another key
    spelled: dict[str, str] = field(default_factory=dict)
    template: "Declaration | None" = None  #: whose settings lie below its own
    own: frozenset[str] = frozenset()  #: of an instance: the settings its own layers make
    is_worker: bool = False  #: of a pool, whose settings are no template's

    def key_of(self, setting: str) -> str:
        """The dotted path by which a finding names a setting of this unit."""
        key = self.key
        if self.template is not None and setting.partition(".")[0] not in self.own:
            key = self.template.key
        return f"{key}.{self.spelled.get(setting, setting)}"


@dataclass(frozen=True, slots=True)
class _Section:
    """A manager's section: where its entries are and how one becomes settings."""

    name: str
    entries: str
    kind: Kind
    translate: "Callable[[Declaration, Mapping[str, Node], Report], dict[str, Node]]"
    #: keys of the manager that are defaults of its units: (original key, path of the setting)
    defaults: tuple[tuple[str, tuple[str, ...]], ...] = ()


def declarations(document: Node, report: Report) -> Iterator[Declaration]:
    """Every entry of the sections as a declaration. `document` has been read by the table."""
    supervisor = _child(document, "supervisor")
    limits = tuple(_defaults(supervisor, _LIMITS))
    for section in _SECTIONS:
        manager = _child(document, section.name)
        if manager is None:
            continue
        general = [*limits, *_defaults(manager, section.defaults)]
        entries = _child(manager, section.entries)
        for name, entry in (entries.value if entries else {}).items():
            declaration = Declaration(
                name=UnitName(f"{escape(name)}.{section.kind}"),
                kind=section.kind,
                span=entry.key_span,
                key=f"{section.name}.{section.entries}.{name}",
                layers=list(general),
            )
            keys: Mapping[str, Node] = entry.value
            translated = section.translate(declaration, keys, report)
            own = {key: node for key, node in keys.items() if key not in _ORIGINAL}
            declaration.layers.append(entry._replace(value=translated))
            declaration.layers.append(entry._replace(value=own))
            yield declaration


def daemon_settings(document: Node, working_directory: str) -> Settings:
    """What the file says about the daemon as a whole, but for `access:`, which names units."""
    default = Settings()
    value = _Values(document)
    return Settings(
        log_level=value("log_level", default=default.log_level),
        log_format=LogFormat(value("log_format", default=default.log_format)),
        admin_port=value("supervisor", "admin_port", default=default.admin_port),
        admin_socket_mode=value("admin", "socket_mode", default=default.admin_socket_mode),
        admin_socket_group=value("admin", "socket_group", default=default.admin_socket_group),
        shutdown_timeout_s=value(
            "supervisor", "shutdown_timeout_secs", default=default.shutdown_timeout_s
        ),
        start_concurrency=value(
            "supervisor", "start_concurrency", default=default.start_concurrency
        ),
        cgroup=CgroupUse(value("supervisor", "cgroup", default=default.cgroup)),
        permission_timeout_s=value(
            "supervisor", "permission_timeout_secs", default=default.permission_timeout_s
        ),
        tools_server_host=value(
            "tools_manager", "tools_server_host", default=default.tools_server_host
        ),
        tools_server_port=value(
            "tools_manager", "tools_server_port", default=default.tools_server_port
        ),
        tool_names=ToolNames(value("tools_manager", "tool_names", default=default.tool_names)),
        unroutable_permissions=Unroutable(
            value(
                "supervisor",
                "permissions",
                "unroutable",
                default=default.unroutable_permissions,
            )
        ),
        session_store=_session_store(value, working_directory),
    )


def health_interval_s(document: Node) -> float:
    """How often units are looked at that do not say it themselves."""
    node = _child(_child(document, "supervisor"), "health_check_interval_secs")
    return Probe(type=ProbeType.RPC).interval_s if node is None else float(node.value)


def extensions_dir(document: Node) -> tuple[str, bool]:
    """Where programs made for the original lie, and whether the file says so itself."""
    node = _child(document, "extensions_dir")
    return (DEFAULT_EXTENSIONS_DIR, False) if node is None else (node.value, True)


def escape(name: str) -> str:
    """The name of an entry as part of a unit name. Source: systemd-escape(1).

    A name that needs no escaping stays as it is, so two names may become one unit; the compiler
    reports that.
    """
    if name and all(char in _PLAIN for char in name) and not name.startswith("."):
        return name
    out = []
    for index, byte in enumerate(name.encode()):
        char = chr(byte)
        if char == "/":
            out.append("-")
        elif char in _PLAIN and char not in "-\\" and (char != "." or index):
            out.append(char)
        else:
            out.append(f"\\x{byte:02x}")
    return "".join(out)


_NO_DOCKER = (
    "docker workspaces are not supported by this version; say workspace: {type: local} with the"
    " agent's program, or with docker run as the program"
)
_NO_WASM = "wasm tools are not supported by this version; name an MCP server as binary"
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.-")


class _Values:
    """Looks values up by path in a document that has been read."""

    def __init__(self, document: Node) -> None:
        self._document = document

    def __call__(self, *path: str, default: Json) -> Json:
        node: Node | None = self._document
        for name in path:
            node = None if node is None else _child(node, name)
        return default if node is None else node.value


def _session_store(value: _Values, working_directory: str) -> SessionStore:
    default = SessionStore()
    path: str = value("session_store", "path", default=default.path)
    return SessionStore(
        type=StoreType(value("session_store", "type", default=default.type)),
        path=posixpath.normpath(posixpath.join(working_directory, path)) if path else "",
        ttl_days=value("session_store", "ttl_days", default=default.ttl_days),
        keep_messages_s=value("session_store", "keep_messages", default=default.keep_messages_s),
        keep_history_s=value("session_store", "keep_history", default=default.keep_history_s),
    )


def _child(node: Node | None, name: str) -> Node | None:
    return None if node is None else node.value.get(name)


def _defaults(
    manager: Node | None, keys: tuple[tuple[str, tuple[str, ...]], ...]
) -> Iterator[Node]:
    for original, path in keys:
        if (node := _child(manager, original)) is not None:
            yield _nested(node, path)


def _nested(node: Node, path: tuple[str, ...]) -> Node:
    """`node` below the maps that `path` names."""
    for name in reversed(path):
        node = node._replace(value={name: node}, origin=None)
    return node


def _put(settings: dict[str, Node], path: tuple[str, str], node: Node | None) -> None:
    """Put a translated value where it belongs, two levels deep."""
    if node is None:
        return
    table, name = path
    inner = settings[table].value if table in settings else {}
    settings[table] = node._replace(value={**inner, name: node}, origin=None)


def _common(entry: Mapping[str, Node]) -> dict[str, Node]:
    """The keys that the sections share, as settings."""
    settings: dict[str, Node] = {}
    backoff = _Entry(entry.get("backoff"))
    _put(settings, ("backoff", "initial"), backoff["base_delay_ms"])
    _put(settings, ("backoff", "max"), backoff["max_delay_secs"])
    for name in ("initial", "factor", "max", "jitter", "stable_after"):
        _put(settings, ("backoff", name), backoff[name])
    tracker = _Entry(entry.get("crash_tracker"))
    _put(settings, ("start_limit", "burst"), tracker["max_crashes"])
    _put(settings, ("start_limit", "interval"), tracker["window_secs"])
    _put(settings, ("timeouts", "start"), entry.get("acp_timeout_secs"))
    _put(settings, ("timeouts", "start"), entry.get("init_timeout_secs"))
    _put(settings, ("timeouts", "stop"), entry.get("exit_timeout_secs"))
    return settings


class _Entry:
    """A map that may be missing; so may each of its keys."""

    def __init__(self, node: Node | None) -> None:
        self._items: Mapping[str, Node] = node.value if node is not None else {}

    def __getitem__(self, name: str) -> Node | None:
        return self._items.get(name)


def _program(entry: Mapping[str, Node], key: str) -> dict[str, Node]:
    """`binary` and `args` as `exec`."""
    binary, args = entry.get("binary"), entry.get("args")
    if binary is None:
        return {}
    more: tuple[Node, ...] = args.value.nodes if args is not None else ()
    return {"exec": binary._replace(value=Items((binary, *more), f"{key}.binary"))}


def _agent(declaration: Declaration, entry: Mapping[str, Node], _report: Report) -> dict[str, Node]:
    settings = _common(entry)
    workspace = _Entry(entry.get("workspace"))
    environment = workspace["env"]
    if environment is not None:
        settings["environment"] = environment
    kind, directory = workspace["type"], workspace["working_dir"]
    if kind is not None and kind.value == "docker":
        declaration.problems.append(_NO_DOCKER)
        if directory is not None:
            declaration.container_dir = directory.value
        return settings
    if (binary := workspace["binary"]) is not None:
        settings["exec"] = binary
    if directory is not None:
        settings["working_dir"] = directory
        declaration.spelled["working_dir"] = "workspace.working_dir"
    return settings


def _channel(
    declaration: Declaration, entry: Mapping[str, Node], _report: Report
) -> dict[str, Node]:
    return {**_common(entry), **_program(entry, declaration.key)}


def _tool(declaration: Declaration, entry: Mapping[str, Node], report: Report) -> dict[str, Node]:
    kind = entry.get("tool_type")
    if kind is not None and kind.value == "wasm":
        declaration.problems.append(_NO_WASM)
        needed = ["module"]
    else:
        needed = ["binary", "exec"]
    if not any(name in entry for name in needed):
        names = " or ".join(map(repr, needed))
        report.error(declaration.span, declaration.key, f"needs the key {names}")
    return {**_common(entry), **_program(entry, declaration.key)}


def _service(
    declaration: Declaration, entry: Mapping[str, Node], _report: Report
) -> dict[str, Node]:
    return {**_common(entry), **_program(entry, declaration.key)}


_SECTIONS = (
    _Section("services_manager", "services", Kind.SERVICE, _service),
    _Section("tools_manager", "tools", Kind.TOOL, _tool),
    _Section(
        "channels_manager",
        "channels",
        Kind.CHANNEL,
        _channel,
        (
            ("init_timeout_secs", ("timeouts", "start")),
            ("exit_timeout_secs", ("timeouts", "stop")),
        ),
    ),
    _Section(
        "agents_manager",
        "agents",
        Kind.AGENT,
        _agent,
        (
            ("acp_timeout_secs", ("timeouts", "start")),
            ("shutdown_grace_ms", ("timeouts", "stop")),
            ("prompt_idle_timeout_secs", ("prompt_idle_timeout",)),
        ),
    ),
)

#: Keys of the supervisor that are defaults of all units from entries.
_LIMITS = (
    ("max_restarts", ("start_limit", "burst")),
    ("restart_window_secs", ("start_limit", "interval")),
)

#: Keys of entries that `translate` has turned into settings, and that are none themselves.
_ORIGINAL = frozenset(
    {
        "workspace",
        "acp_timeout_secs",
        "backoff",
        "crash_tracker",
        "binary",
        "args",
        "init_timeout_secs",
        "exit_timeout_secs",
        "tool_type",
        "module",
        "input_schema",
        "sandbox",
    }
)

#: The section an entry of each kind stands in, for texts that send people there.
SECTION_OF: Mapping[Kind, str] = MappingProxyType(
    {section.kind: f"{section.name}.{section.entries}" for section in _SECTIONS}
)
