"""Bound the HTTP connections of each client address. Streams are not among them."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from rtdemo.hub.limits import Limits
from rtdemo.settings.trusted_proxies import TrustedProxies, normal_address


class Closable(Protocol):
    """A connection that may be closed to make room for another one of its address."""

    @property
    def is_idle(self) -> bool:
        """Whether it has no request that is not answered to the end."""
        ...

    def cut(self) -> None:
        """Close it without an answer."""


class ConnectionsByAddress:
    """Bound the HTTP connections of each client address: 10,000 with unfinished heads take 0.7 GiB.

    For a new one beyond the bound, the oldest one without a request is closed. Browsers connect again by
    themselves. Thus clients that share an address keep what they use.

    Arguments:
        limits: has the bound, which exempts some addresses.
        trusted: proxies, which have the connections of all clients and are exempt too.
    """

    def __init__(self, limits: Limits, trusted: TrustedProxies) -> None:
        self._limits = limits
        self._trusted = trusted
        # Of a peer, for each connection: most have the same.
        self._address_of = lru_cache(1024)(self._counted_address)
        # The oldest connection of an address is the first.
        self._open: dict[str, dict[Closable, None]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Closable, peer: object) -> str:
        """Add a connection, and close one if there are too many.

        Arguments:
            connection: it is open.
            peer: its peer, as its transport names it.

        Returns:
            The address for which it counts; empty if it is exempt.
        """
        address = self._address_of(peer[0]) if isinstance(peer, tuple) else ""
        if address:
            connections = self._open.setdefault(address, {})
            connections[connection] = None
            if not self._limits.check_http_connections(address, len(connections)):
                idle = (each for each in connections if each.is_idle)
                unwanted = next(idle, connection)
                del connections[unwanted]
                unwanted.cut()
        return address

    def _counted_address(self, peer: str) -> str:
        remote = normal_address(peer)
        if remote is None or (self._trusted and self._trusted.has(remote, 0)):
            return ""
        return self._limits.address(remote)

    def remove(self, connection: Closable, address: str) -> None:
        """Remove a connection, unless `add` has closed it."""
        connections = self._open.get(address)
        if connections is not None:
            connections.pop(connection, None)
            if not connections:
                del self._open[address]
