"""Which addresses are the world's, which are the house's, and which are nobody's.

Tables of our own, since what `ipaddress` calls global differs between versions of Python. What
stands for another address (IPv4 in IPv6, 6to4, Teredo) is nobody's: it would be a second way to it.
Only what NAT64 makes of an IPv4 address is read, because a network without IPv4 has no other.

Source: the special-purpose address registries of IANA (RFC 6890), RFC 6052.
"""

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address


class Reach(StrEnum):
    """Whose an address is; the text says it to a person."""

    PUBLIC = "public"
    PRIVATE = "private"  #: this machine's, or of a network of the house
    LINK_LOCAL = "link-local"  #: where clouds keep what their machines may know
    UNUSABLE = "reserved"  #: multicast, reserved, for documents, or another address in disguise


def _networks(*texts: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(map(ip_network, texts))


_PRIVATE = _networks(
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
    "198.18.0.0/15", "::1/128", "fc00::/7",
)  # fmt: skip
_LINK_LOCAL = _networks("169.254.0.0/16", "fe80::/10")
_UNUSABLE = _networks(
    "0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)  # fmt: skip
_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")  # all that is given out of IPv6


def address_of(host: str) -> Address | None:
    """The address that a host is; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def reach_of(address: Address) -> Reach:
    if isinstance(address, IPv6Address) and address in _NAT64:
        embedded = reach_of(IPv4Address(int(address) & 0xFFFFFFFF))
        return embedded if embedded is Reach.PUBLIC else Reach.UNUSABLE
    for networks, reach in (
        (_PRIVATE, Reach.PRIVATE),
        (_LINK_LOCAL, Reach.LINK_LOCAL),
        (_UNUSABLE, Reach.UNUSABLE),
    ):
        if any(address in network for network in networks):
            return reach
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return Reach.UNUSABLE
    return Reach.PUBLIC
