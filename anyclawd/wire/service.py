"""The service protocol: three requests that a service answers. Source: the original's SDK."""

from anyclawd.model.value import Json


def initialize_params(namespace: str, options: dict[str, Json]) -> dict[str, Json]:
    """Spelled in snake_case, other than everything else on the wire."""
    params: dict[str, Json] = {"namespace": namespace, "options": options}
    port = options.get("port")
    if isinstance(port, int) and not isinstance(port, bool) and 0 <= port < 65536:
        params["port"] = port
    return params


def read_port(result: Json) -> int | None:
    """The port a service says it listens on, or None."""
    port = result.get("port") if isinstance(result, dict) else None
    return port if isinstance(port, int) and not isinstance(port, bool) else None


def read_installation(result: Json) -> dict[str, Json]:
    found = result.get("installation") if isinstance(result, dict) else None
    return found if isinstance(found, dict) else {}
