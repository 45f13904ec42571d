"""What protocols have in common: options on the way out, errors on the way in, health."""

from collections.abc import Mapping

from anyclawd.model import secret
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.runtime import credential
from anyclawd.wire.jsonrpc import RpcError

#: Asks an agent or a channel how it is. Neither protocol has such a request, so any answer will do,
#: and most say that there is no such method; to ACP a name with `_` in front is an extension.
HEALTH_METHOD = "_anyclaw/health"


def revealed_options(unit: Unit, environ: Mapping[str, str]) -> dict[str, Json]:
    """The unit's options with their secrets; they go to the unit's own process and nowhere else.

    Raises Unavailable naming a variable or a credential that is not there.
    """
    return dict(secret.reveal(unit.options, environ, credential.reader(environ)))


def refusal(error: RpcError) -> str:
    """Why a unit cannot be used; of what it says itself no more than fits into a status."""
    return f"answered initialize with an error: {error!s:.500}"
