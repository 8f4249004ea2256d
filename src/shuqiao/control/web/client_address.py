"""From which address a request comes, where proxies may stand between.

A header can be written by anybody, so it counts only as far as addresses we trust have written it.
"""

from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network, ip_address

from shuqiao.control.config import Network

MAX_HOPS = 10
_IPV6_HOUSEHOLD_BITS = 64


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Return the nearest address that is no trusted proxy: the peer's own, if that is none.

    `forwarded_for` is the header `X-Forwarded-For`, to which each proxy adds at the end the address it was
    called from. An IPv6 address stands for its network of 64 bits, which one caller can use at will; what is
    no address counts as the last one that was.
    """
    found = peer
    for hop in [peer, *reversed(forwarded_for.split(",")[-MAX_HOPS:])]:
        try:
            address = ip_address(hop.strip())
        except ValueError:
            break
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        found = str(address)
        if not any(address in network for network in trusted):
            break
    return _as_counted(found)


def _as_counted(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        return text
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _IPV6_HOUSEHOLD_BITS), strict=False))
    return text
