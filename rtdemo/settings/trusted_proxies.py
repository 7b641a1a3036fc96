"""The value of --trusted-proxies: which proxies a server believes, by number or by network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

MAX_HOPS = 16
"""Proxies that a request may come through: more is a forgery or a loop."""
_MAPPED_BITS = 96
"""Length of the prefix ::ffff:0:0, under which IPv6 has the addresses of IPv4 (RFC 4291 2.5.5.2)."""


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Hold which proxies are trusted: a number of hops, or networks, or neither.

    Arguments:
        hops: the number of proxies between the clients and the server; 0 where networks decide.
        networks: the addresses that proxies have.
    """

    hops: int = 0
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hops or self.networks)

    def has(self, address: str, hop: int) -> bool:
        """Return whether an address is that of a trusted proxy.

        Arguments:
            address: as `normal_address` returns it.
            hop: 0 for the server's peer, 1 for the peer of that proxy, and so on.
        """
        if self.hops:
            return hop < self.hops
        ip = ip_address(address)
        return any(ip in network for network in self.networks)


@lru_cache(16)
def parse(values: tuple[str, ...]) -> TrustedProxies:
    """Return the proxies that the setting names.

    Arguments:
        values: the parts of the setting: one number, or addresses and networks.

    Raises:
        ValueError: a part is neither, or the number is not from 0 to MAX_HOPS.
    """
    if len(values) == 1 and values[0].isdecimal():
        hops = int(values[0])
        if hops > MAX_HOPS:
            raise ValueError(f"{hops} is over {MAX_HOPS}")
        return TrustedProxies(hops)
    return TrustedProxies(networks=tuple(_network(value) for value in values))


@lru_cache(1024)
def normal_address(text: str) -> str | None:
    """Return an IP address in its usual form, or None for another text.

    An IPv4 address in IPv6 form (::ffff:192.0.2.1) becomes an IPv4 address: one client has one address.
    A port (192.0.2.1:4711, [2001:db8::1]:4711), brackets and a zone (fe80::1%eth0) are removed.

    Arguments:
        text: as a socket, `X-Forwarded-For` or `Forwarded` has it.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    ip = _address(text.partition("%")[0])
    return None if ip is None else str(ip)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        ip = ip_address(text)
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip


def _network(text: str) -> IPv4Network | IPv6Network:
    network = ip_network(text, strict=False)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network
