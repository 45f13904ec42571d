"""From a host to the addresses that are connected to, once they have been looked at.

A name is looked up once for each attempt, and what came of that is what is connected to: a name
that has another address a moment later (DNS rebinding) changes nothing. One address that may not be
asked is enough for none to be asked, since which of them answers is not ours to choose.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from address import Address, Reach, address_of, reach_of
from aiohttp.abc import AbstractResolver
from refusal import Refusal
from rules import Rule
from target import Target

if TYPE_CHECKING:
    from aiohttp.abc import ResolveResult

#: The addresses of a name. Raises OSError where there is none.
Lookup: TypeAlias = Callable[[str], Awaitable[list[str]]]

ADDRESSES_MAX = 16


async def system_lookup(host: str) -> list[str]:
    """Ask the system, as every other program does."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def addresses_for(target: Target, rule: Rule, lookup: Lookup) -> list[Address]:
    """What may be connected to. Raises Refusal where that is nothing."""
    literal = target.address
    if literal is not None:
        _refuse_unreachable(literal, target, rule)
        return [literal]
    try:
        texts = await lookup(target.host)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no such name"
        raise Refusal(f"the name {target.host} cannot be looked up: {reason.lower()}") from error
    found = [address for text in texts if (address := address_of(text)) is not None]
    if not found or len(found) < len(texts):
        raise Refusal(f"the name {target.host} has no address that can be connected to")
    for address in found:
        _refuse_unreachable(address, target, rule)
    return list(dict.fromkeys(found))[:ADDRESSES_MAX]


def _refuse_unreachable(address: Address, target: Target, rule: Rule) -> None:
    match reach_of(address):
        case Reach.PUBLIC:
            return
        case Reach.PRIVATE if rule.is_private:
            return
        case Reach.LINK_LOCAL if rule.is_private and address_of(rule.host) == address:
            return  # which a name may not lead to, whoever gives out the names
        case reach:
            named = target.host if target.address else f"{target.host}, which is {address}"
            text = f"{named}, is a {reach} address and is not asked"
            can_be = reach is Reach.PRIVATE
            hint = "; a rule with `private: true` would allow it" if can_be else ""
            raise Refusal(text + hint)


class Pinned(AbstractResolver):
    """Tells aiohttp the addresses that were looked at, whatever it asks for."""

    def __init__(self, addresses: list[Address]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> "list[ResolveResult]":
        return [
            {
                "hostname": host,
                "host": str(address),
                "port": port,
                "family": socket.AF_INET6 if address.version == 6 else socket.AF_INET,
                "proto": socket.IPPROTO_TCP,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
            for address in self._addresses
        ]

    async def close(self) -> None:
        """There is nothing to close."""
