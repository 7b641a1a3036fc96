"""Hold back what a server writes while virtual time passes, so that it is sent in few pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rtdemo.client import Client
from rtdemo.connection import Connection
from rtdemo.hub import Hub
from rtdemo.outbox import Outbox
from rtdemo.reasons import Reason
from rtdemo.wire import WireFormat

ENOUGH = 64 * 1024
"""Bytes held back for one client, a quarter of its outbox's limit, that end the holding back."""


class Cork:
    """Collect a hub's writes while it is in; one system call then sends what was many.

    An hour at 100 connections is 300,000 messages: a system call for each takes longer than the
    rest together. It is in only while no other code can run, so nothing overtakes what it holds.

    Attributes:
        is_full: whether a client has so much waiting that it should be sent.
    """

    def __init__(self, hub: Hub) -> None:
        self.is_in = self.is_full = False
        self._held: list[_CorkedOutbox] = []
        self._connection = hub.connection
        hub.connection = self._corked  # type: ignore[method-assign]  # the only way to each outbox

    @contextmanager
    def put_in(self) -> Iterator[None]:
        """Hold back meanwhile; afterwards everything is written."""
        self.is_in = True
        try:
            yield
        finally:
            self.is_in = self.is_full = False
            for outbox in self._held:
                outbox.flush()
            self._held.clear()

    def hold(self, outbox: _CorkedOutbox) -> None:
        """Remember an outbox that holds something back."""
        self._held.append(outbox)

    def _corked(
        self,
        client: Client,
        outbox: Outbox,
        wire_format: WireFormat,
        hang_up: Callable[[Reason], object],
    ) -> Connection:
        return self._connection(client, _CorkedOutbox(self, outbox), wire_format, hang_up)


class _CorkedOutbox:
    """Write to a transport, or keep for later."""

    def __init__(self, cork: Cork, outbox: Any) -> None:
        self._cork = cork
        self._outbox = outbox
        self._held: list[bytes] = []
        self._size = 0
        self.is_closing = outbox.is_closing

    def write(self, data: bytes) -> bool:
        if not self._cork.is_in:
            waits: bool = self._outbox.write(data)
            return waits
        if not self._held:
            self._cork.hold(self)
        self._held.append(data)
        self._size += len(data)
        if self._size > ENOUGH:
            self._cork.is_full = True
        return True

    def get_write_buffer_size(self) -> int:
        waiting: int = self._outbox.get_write_buffer_size()
        return waiting + self._size

    def flush(self) -> None:
        self._outbox.write(b"".join(self._held))
        self._held.clear()
        self._size = 0
