"""The server that runs in this process: what is published here goes straight to its log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from rtdemo.publisher.waiting import PublishCounts, Waiting

log = logging.getLogger(__name__)

MAX_WAITING = 10_000
"""Messages that wait for the server's event loop, or for its log."""
LAST_MESSAGES_S = 0.5
"""Seconds for which a server that stops publishes what still waits."""
Publish = Callable[[Sequence[bytes]], Awaitable[int]]
"""Publishes the JSON of messages, in order; returns how many it refused once the log has the others."""


class RunningServer:
    """Take messages from any thread to the event loop of a server, one batch at a time.

    Arguments:
        loop: of the server.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._publish: Publish | None = None
        self._waiting = Waiting(MAX_WAITING)
        self._task: asyncio.Task[None] | None = None

    @property
    def counts(self) -> PublishCounts:
        """What became of the messages so far."""
        return self._waiting.counts

    def put(self, message: bytes, nulls: int = 0) -> None:
        """Queue a message, as `Waiting.put` takes it; it does not wait."""
        if self._waiting.put(message, nulls) and self._publish is not None:
            try:
                self._loop.call_soon_threadsafe(self._start)
            except RuntimeError:  # the loop was closed, and the server not stopped before
                self._waiting.close()
                self._waiting.drop()

    def open(self, publish: Publish) -> None:
        """Publish what waits, and what follows: the server has its log."""
        self._publish = publish
        self._start()

    async def close(self) -> None:
        """Publish what waits, for a limited time; drop and count the rest, and all that follows."""
        self._waiting.close()
        self._start()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=LAST_MESSAGES_S)
            self._task.cancel()
            await asyncio.wait({self._task})
        self._publish = None
        if dropped := self._waiting.drop():
            log.warning("publish: messages not published before the end: %d", dropped)
        # Behind all others: the newest server that runs is the last.
        _servers[:] = [self, *(server for server in _servers if server is not self)]

    def flush(self, timeout: float) -> PublishCounts:
        """Wait until the log has every message, for at most so many seconds; return the counts.

        On the server's own event loop it does not wait: nothing could be published meanwhile.
        """
        if not self._is_own_loop():
            self._waiting.wait_until_empty(timeout)
        return self.counts

    def _is_own_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _start(self) -> None:
        if self._publish is not None and (self._task is None or self._task.done()):
            self._task = self._loop.create_task(self._publish_all(self._publish))

    async def _publish_all(self, publish: Publish) -> None:
        while batch := self._waiting.take():
            accepted = refused = 0
            try:
                refused = await publish(batch)
                accepted = len(batch) - refused
            except Exception:
                # A bug. Only these messages are affected.
                log.exception("publishing in the server failed")
                refused = len(batch)
            finally:
                # After a cancellation nobody knows whether the log has them.
                self._waiting.settle(accepted, refused, len(batch) - accepted - refused)
            # In a later turn: other tasks wait, too.
            await asyncio.sleep(0)


_servers: list[RunningServer] = []
"""Servers of this process, the newest one last, those that have ended first. A fork has none."""


def register() -> RunningServer:
    """Let `publish` reach a server of this process from now on; messages wait until it is open."""
    server = RunningServer(asyncio.get_running_loop())
    _servers.append(server)
    return server


def put(message: bytes, nulls: int) -> bool:
    """Queue a message for the newest server of this process; return whether there is one.

    Once all have ended, the message is dropped and counted: it is for none of another process.
    """
    # Read once: the server's own thread changes it.
    newest = _servers[-1:]
    if not newest:
        return False
    newest[0].put(message, nulls)
    return True


def servers() -> Sequence[RunningServer]:
    """Return the servers of this process, also those that have ended."""
    return list(_servers)


def forget() -> None:
    """Forget the servers, in a child process: they run in the parent."""
    _servers.clear()
