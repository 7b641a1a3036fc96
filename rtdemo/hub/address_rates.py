"""Rates per client address: one token bucket for each address, in a table of bounded size."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from rtdemo.timing.token_bucket import TokenBucket

MAX_ADDRESSES = 10_000
"""Addresses in one table: at most about 4 MB."""
IPV6_NETWORK_BITS = 64
"""Bits of an IPv6 address that count: a client has a network of 2^64 addresses (RFC 6177)."""


@lru_cache(4096)
def limited_address(remote: str) -> str:
    """Return what limits take for one client; empty for a client that they exempt.

    The clients of this machine are exempt: they are its users, its tests, or a proxy on it that is not
    declared, through which all clients have the same address.

    Arguments:
        remote: an IP address.

    Returns:
        An IPv4 address, also if it is mapped to IPv6 (RFC 4291 section 2.5.5.2), or an IPv6 network.
        Empty for a loopback address, and for what is no address, such as that of a Unix socket.
    """
    try:
        address = ip_address(remote)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return ""
    if isinstance(address, IPv6Address):
        host_bits = 128 - IPV6_NETWORK_BITS
        return f"{IPv6Address(int(address) >> host_bits << host_bits)}/{IPV6_NETWORK_BITS}"
    return str(address)


class AddressRates:
    """One token bucket for each client address that used one lately.

    A full bucket is dropped, as a new one is the same. Above `MAX_ADDRESSES` the address that was seen
    longest ago is dropped too. Whoever has so many addresses gains nothing: each has a full bucket.

    Arguments:
        rate: tokens a second.
        burst: tokens of a full bucket.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        # The address that was seen longest ago is the first.
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, address: str, now: float) -> TokenBucket:
        """Return the bucket of an address.

        Arguments:
            address: as `limited_address` returns it.
            now: seconds on the clock of the buckets.
        """
        bucket = self._buckets.get(address)
        if bucket is not None:
            self._buckets.move_to_end(address)
            return bucket
        self._drop_full(now)
        if len(self._buckets) >= MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        bucket = self._buckets[address] = TokenBucket(self._rate, self._burst)
        return bucket

    def _drop_full(self, now: float) -> None:
        """Drop full buckets, from the one that was used longest ago to the first that is not full."""
        buckets = self._buckets
        while buckets and next(iter(buckets.values())).is_full(now):
            buckets.popitem(last=False)
