"""The service protocol: what a service is told at its start. Source: the original's SDK.

Its other request, `shutdown`, has neither parameters nor a result.
"""

from anyclawd.model.value import Json


def initialize_params(namespace: str, options: dict[str, Json]) -> dict[str, Json]:
    """Spelled in snake_case, other than everything else on the wire."""
    params: dict[str, Json] = {"namespace": namespace, "options": options}
    port = options.get("port")
    if isinstance(port, int) and not isinstance(port, bool) and 0 <= port < 65536:
        params["port"] = port
    return params
