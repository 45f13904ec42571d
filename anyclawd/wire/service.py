"""The service protocol: what a service is told and what it answers. Source: the original's SDK.

Its request `shutdown` has neither parameters nor a result; `health` has no parameters.
"""

from typing import NamedTuple

from anyclawd.model.value import Json
from anyclawd.wire import jsonrpc
from anyclawd.wire.jsonrpc import RpcError
from anyclawd.wire.lenient import as_map, as_text

#: The longest text of a service about its health that is passed on.
_TEXT_MAX = 500


class Health(NamedTuple):
    """What a service has answered to `health`."""

    failure: str = ""  #: why it has to be restarted; empty where it has not
    is_degraded: bool = False  #: it lives, and cannot do all that it should
    text: str = ""  #: its own words about that


def initialize_params(namespace: str, options: dict[str, Json]) -> dict[str, Json]:
    """Spelled in snake_case, other than everything else on the wire."""
    params: dict[str, Json] = {"namespace": namespace, "options": options}
    port = options.get("port")
    if isinstance(port, int) and not isinstance(port, bool) and 0 <= port < 65536:
        params["port"] = port
    return params


def read_health(result: Json, error: RpcError | None) -> Health:
    """A service without the request lives, since it has answered; so does one that says nothing."""
    if error is not None:
        if error.code == jsonrpc.METHOD_NOT_FOUND:
            return Health()
        return Health(failure=f"answered health with an error: {error!s:.{_TEXT_MAX}}")
    members = as_map(result)
    text = as_text(members.get("message"))[:_TEXT_MAX]
    match as_text(members.get("status")).lower():
        case "unhealthy":
            return Health(failure=f"says it is unhealthy{text and f': {text}'}")
        case "degraded":
            return Health(is_degraded=True, text=f"says it is degraded{text and f': {text}'}")
        case _:
            return Health()
