"""Publish from any thread: a queue, and one thread that sends what waits in it."""

from __future__ import annotations

import logging
import time
from threading import Lock, Thread

from rtdemo.errors import PublishError
from rtdemo.publisher.sender import Sender
from rtdemo.publisher.waiting import PublishCounts, Waiting

log = logging.getLogger(__name__)

MAX_WAITING = 10_000
"""Messages that wait while the server is away."""
REQUEST_PAUSE_S = 0.01
"""Seconds between two requests, unless messages wait: what follows closely shares a request."""


class BackgroundPublisher:
    """Send messages to one server from a thread of its own, which starts with the first message.

    Arguments:
        url: of the server.
        token: publish token; empty for none.
        size: messages that may wait; each further one drops the oldest.

    Raises:
        AddressError: if this is not the address of a server.
        PublishError: if no header can have the token.
    """

    def __init__(self, url: str, token: str, size: int = MAX_WAITING) -> None:
        self.url = url
        self._sender = Sender(url, token)
        self._waiting = Waiting(size)
        self._lock = Lock()
        self._thread: Thread | None = None
        self._has_warned = False

    def put(self, message: bytes, nulls: int = 0) -> None:
        """Queue a message, as `Waiting.put` takes it; it does not wait."""
        self._waiting.put(message, nulls)
        if self._thread is None:
            self._start()

    def flush(self, timeout: float) -> PublishCounts:
        """Wait until every message is sent, for at most so many seconds; return the counts."""
        self._waiting.wait_until_empty(timeout)
        return self._waiting.counts

    @property
    def unanswered_s(self) -> float:
        """Seconds for which the server has left the current request without an answer; 0 without one."""
        return self._sender.unanswered_s

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                # A daemon: at the end of the program `flush` waits for it, for a limited time.
                self._thread = Thread(target=self._run, name="rtdemo-publish", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            batch = self._waiting.wait_and_take()
            try:
                outcomes = self._sender.send(batch)
            except Exception:
                # A bug. Only these messages are affected; the thread continues with the next ones.
                log.exception("publishing to %s failed", self.url)
                self._waiting.settle(0, len(batch))
                continue
            refused = [outcome for outcome in outcomes if isinstance(outcome, PublishError)]
            if refused and not self._has_warned:
                self._has_warned = True
                log.warning("%s; further refusals are only counted", refused[0])
            self._waiting.settle(len(outcomes) - len(refused), len(refused))
            if not len(self._waiting):
                time.sleep(REQUEST_PAUSE_S)
