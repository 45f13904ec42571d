"""The options of the handshake as rules and limits; what cannot be used is refused with its place.

No text of an error holds a value of a credential.
"""

from typing import NamedTuple

from address import address_of
from paths import PathPattern
from redaction import SECRET_MIN_CHARS, Redaction, basic_parts
from refusal import Refusal
from request import FORBIDDEN, is_header_name, is_header_value, same_header
from rules import ALL_PATHS, METHODS, Credential, Rule
from target import PORTS, host_of

from anyclaw_sdk.types import INVALID_PARAMS, Json, Message, RpcError, list_of, map_of

TIMEOUT_S = 30.0
RESPONSE_MAX_BYTES = 1024 * 1024
REQUEST_MAX_BYTES = 256 * 1024
REDIRECTS = 5

_RULE_KEYS = {"host", "scheme", "port", "methods", "paths", "credential", "private"}
_CREDENTIAL_KEYS = {"header", "query", "value", "prefix"}
_KEYS = {"allow", "credentials", "timeout", "max_response_bytes", "max_request_bytes", "redirects"}


class Settings(NamedTuple):
    rules: tuple[Rule, ...]
    credentials: tuple[Credential, ...]
    redaction: Redaction
    timeout_s: float = TIMEOUT_S  #: of a whole call, its redirects included
    response_max_bytes: int = RESPONSE_MAX_BYTES
    request_max_bytes: int = REQUEST_MAX_BYTES
    redirects_max: int = REDIRECTS  #: 0 means that none is followed


def settings_of(options: Message) -> Settings:
    """Raises RpcError for what cannot be used."""
    _refuse_unknown(options, _KEYS, "option")
    credentials = {
        name: _credential(name, value)
        for name, value in _map(options.get("credentials"), "credentials").items()
    }
    rules = [
        _rule(map_of(value), f"allow[{index}]", credentials)
        for index, value in enumerate(_list(options.get("allow"), "allow"))
    ]
    return Settings(
        rules=tuple(rules),
        credentials=tuple(credentials.values()),
        redaction=Redaction(secret for one in credentials.values() for secret in _secrets(one)),
        timeout_s=_number(options, "timeout", TIMEOUT_S, least=0.1),
        response_max_bytes=int(_number(options, "max_response_bytes", RESPONSE_MAX_BYTES)),
        request_max_bytes=int(_number(options, "max_request_bytes", REQUEST_MAX_BYTES)),
        redirects_max=int(_number(options, "redirects", REDIRECTS)),
    )


def _rule(value: Message, place: str, credentials: dict[str, Credential]) -> Rule:
    _refuse_unknown(value, _RULE_KEYS, place)
    host, is_suffix = _host(value.get("host"), place)
    scheme = value.get("scheme", "https")
    if scheme not in PORTS:
        raise _unusable(f"{place}: scheme {scheme!r}; expected https or http")
    credential, is_private = None, value.get("private", False) is True
    if (name := value.get("credential")) is not None:
        if name not in credentials:
            known = ", ".join(credentials) or "there is none"
            raise _unusable(f"{place}: no credential {name!r} in `credentials` ({known})")
        credential = credentials[name]
        _refuse_exposed(place, host, scheme, is_suffix=is_suffix, is_private=is_private)
    return Rule(
        host=host,
        is_suffix=is_suffix,
        scheme=scheme,
        port=_port(value.get("port", PORTS[scheme]), place),
        methods=_methods(value.get("methods", ["GET", "HEAD"]), place),
        paths=_paths(value.get("paths", [ALL_PATHS]), place),
        credential=credential,
        is_private=is_private,
    )


def _refuse_exposed(
    place: str, host: str, scheme: str, *, is_suffix: bool, is_private: bool
) -> None:
    """Raise where a credential would be readable on its way, or go to whoever wants it."""
    if scheme == "http" and not is_private:
        text = "a credential would cross the internet unencrypted; use scheme https"
        raise _unusable(f"{place}: {text}, or private: true within your own network")
    if is_suffix and "." not in host:
        raise _unusable(f"{place}: a credential goes to hosts of one owner, not to all of *.{host}")


def _host(value: Json, place: str) -> tuple[str, bool]:
    if not isinstance(value, str) or not value:
        raise _unusable(f"{place}: host is missing; expected a name, an address or *.suffix")
    is_suffix = value.startswith("*.")
    bare = value.removeprefix("*.")
    text = f"[{bare}]" if ":" in bare and not bare.startswith("[") else bare
    try:
        host = host_of(text)
    except Refusal as refusal:
        raise _unusable(f"{place}: {refusal}; expected a name, an address or *.suffix") from refusal
    if is_suffix and address_of(host) is not None:
        raise _unusable(f"{place}: host {value!r} is a suffix of an address")
    return host, is_suffix


def _port(value: Json, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise _unusable(f"{place}: port {value!r}; expected 1 to 65535")
    return value


def _methods(value: Json, place: str) -> tuple[str, ...]:
    methods = tuple(str(one).upper() for one in _some(value, f"{place}: methods"))
    for method in methods:
        if method not in METHODS:
            expected = ", ".join(METHODS)
            raise _unusable(f"{place}: method {method!r}; expected some of {expected}")
    return methods


def _paths(value: Json, place: str) -> tuple[PathPattern, ...]:
    return tuple(PathPattern(_path(one, place)) for one in _some(value, f"{place}: paths"))


def _path(value: Json, place: str) -> str:
    if not isinstance(value, str) or not value.startswith(("/", "**")):
        raise _unusable(f"{place}: path {value!r}; expected one that begins with /")
    return value


def _credential(name: str, value: Json) -> Credential:
    place = f"credentials.{name}"
    raw = map_of(value)
    _refuse_unknown(raw, _CREDENTIAL_KEYS, place)
    header, query = raw.get("header"), raw.get("query")
    if (header is None) == (query is None):
        raise _unusable(f"{place}: expected either header or query, to say where the value goes")
    secret, prefix = raw.get("value"), raw.get("prefix", "")
    if isinstance(secret, int) and not isinstance(secret, bool):
        secret = str(secret)
    if not isinstance(secret, str) or len(secret) < SECRET_MIN_CHARS:
        text = f"value is missing or shorter than {SECRET_MIN_CHARS} characters"
        raise _unusable(f"{place}: {text}, which could not be kept out of answers")
    if not is_header_value(secret) or not isinstance(prefix, str) or not is_header_value(prefix):
        raise _unusable(f"{place}: value and prefix may hold printable ASCII characters only")
    if header is not None:
        forbidden = isinstance(header, str) and any(same_header(header, one) for one in FORBIDDEN)
        if not isinstance(header, str) or not is_header_name(header) or forbidden:
            raise _unusable(f"{place}: header {header!r} is none that can be set")
        return Credential(name=name, value=secret, header=header, prefix=prefix)
    if not isinstance(query, str) or not query or prefix:
        raise _unusable(f"{place}: query {query!r}: expected the name of a parameter, no prefix")
    return Credential(name=name, value=secret, query=query)


def _secrets(credential: Credential) -> tuple[str, ...]:
    """The texts that must not be told of a credential."""
    is_basic = credential.prefix.strip().lower() == "basic"
    return (credential.value, *(basic_parts(credential.value) if is_basic else ()))


def _refuse_unknown(value: Message, known: set[str], place: str) -> None:
    for key in value:
        if key not in known:
            raise _unusable(f"{place}: no {key!r}; expected some of {', '.join(sorted(known))}")


def _list(value: Json, place: str) -> list[Json]:
    if value is not None and not isinstance(value, list):
        raise _unusable(f"{place}: expected a list")
    return list_of(value)


def _some(value: Json, place: str) -> list[Json]:
    """A list that is there to narrow a rule, and so holds something."""
    if not (found := _list(value, place)):
        raise _unusable(f"{place}: expected one at least; without the key the default holds")
    return found


def _map(value: Json, place: str) -> Message:
    if value is not None and not isinstance(value, dict):
        raise _unusable(f"{place}: expected a map")
    return map_of(value)


def _number(options: Message, key: str, default: float, least: float = 0) -> float:
    value = options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
        raise _unusable(f"{key}: {value!r}; expected a number from {least:g} up")
    return value


def _unusable(text: str) -> RpcError:
    return RpcError(INVALID_PARAMS, f"options: {text}")
