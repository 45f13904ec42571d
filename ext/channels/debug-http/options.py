"""The options of the handshake, read one by one; what cannot be used is refused with a reason."""

from anyclaw_sdk.types import INVALID_PARAMS, Json, RpcError


def host_of(option: Json) -> str:
    """A name or address to listen on. Raises RpcError for anything else."""
    if not isinstance(option, str) or not option:
        raise RpcError(INVALID_PARAMS, f"option host: {option!r} is no host name or address")
    return option


def api_key_of(option: Json) -> str:
    """The key, "" for none; one of digits may come as a number. No message shows its value."""
    if option is None:
        return ""
    if isinstance(option, bool) or not isinstance(option, str | int):
        raise RpcError(INVALID_PARAMS, "option api_key: expected text")
    return str(option)


def port_of(option: Json) -> int:
    """A port as a number or as digits; 0 takes a free one. Raises RpcError for anything else."""
    if isinstance(option, str) and option.isascii() and option.isdecimal():
        option = int(option)
    if isinstance(option, bool) or not isinstance(option, int) or not 0 <= option <= 65535:
        raise RpcError(INVALID_PARAMS, f"option port: {option!r} is no port; expected 0 to 65535")
    return option
