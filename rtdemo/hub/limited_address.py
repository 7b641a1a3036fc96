"""Which addresses count as one client, and which ones limits exempt."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

IPV6_NETWORK_BITS = 64
"""Bits of an IPv6 address that count: a client has a network of 2^64 addresses (RFC 6177)."""


@lru_cache(4096)
def limited_address(remote: str, exempts_loopback: bool) -> str:
    """Return what limits take for one client; empty for a client that they exempt.

    The clients of this machine are exempt: they are its users, its tests, or a proxy on it that is not
    declared, through which all clients have the same address.

    Arguments:
        remote: an IP address.
        exempts_loopback: whether they are exempt; not with `--trusted-proxies`. There a client has the
            address of a proxy on this machine if it sends headers that contradict the proxy's.

    Returns:
        An IPv4 address, also if it is mapped to IPv6 (RFC 4291 section 2.5.5.2), or an IPv6 network.
        Empty for a loopback address that is exempt, and for what is no address, such as that of a Unix
        socket.
    """
    try:
        address = ip_address(remote)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback and exempts_loopback:
        return ""
    if isinstance(address, IPv6Address):
        host_bits = 128 - IPV6_NETWORK_BITS
        return f"{IPv6Address(int(address) >> host_bits << host_bits)}/{IPV6_NETWORK_BITS}"
    return str(address)
