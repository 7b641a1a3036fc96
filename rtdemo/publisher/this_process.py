"""The server that runs in this process: what is published here goes straight to its log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from rtdemo.publisher.waiting import Waiting

log = logging.getLogger(__name__)

MAX_WAITING = 10_000
"""Messages that wait for the server's event loop."""
Publish = Callable[[Sequence[bytes]], int]
"""Publishes the JSON of messages, in order; returns how many it refused."""


class RunningServer:
    """Take messages from any thread to the event loop of a server.

    Arguments:
        loop: of the server.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._publish: Publish | None = None
        self._waiting = Waiting(MAX_WAITING)

    def put(self, message: bytes) -> None:
        """Queue the JSON of a message; it does not wait."""
        if self._waiting.put(message) and self._publish is not None:
            self._loop.call_soon_threadsafe(self._publish_next)

    def open(self, publish: Publish) -> None:
        """Publish what waits, and what follows: the server has its log."""
        self._publish = publish
        self._loop.call_soon(self._publish_next)

    def close(self) -> None:
        """Take no more messages: the server stops."""
        _running.remove(self)
        self._publish = None

    def _publish_next(self) -> None:
        batch = self._waiting.take()
        if not batch or self._publish is None:
            return
        refused = 0
        try:
            refused = self._publish(batch)
        except Exception:
            log.exception("publishing in the server failed")
            refused = len(batch)
        self._waiting.settle(len(batch) - refused, refused)
        # In a later turn: other tasks wait, too.
        self._loop.call_soon(self._publish_next)


_running: list[RunningServer] = []
"""Servers of this process; the newest is last. Only their own process has them: not a fork."""


def register() -> RunningServer:
    """Let `publish` reach a server of this process from now on; messages wait until it is open."""
    server = RunningServer(asyncio.get_running_loop())
    _running.append(server)
    return server


def put(message: bytes) -> bool:
    """Queue a message for the newest server of this process; return whether there is one."""
    if not _running:
        return False
    _running[-1].put(message)
    return True


def forget() -> None:
    """Forget the servers, in a child process: they run in the parent."""
    _running.clear()
