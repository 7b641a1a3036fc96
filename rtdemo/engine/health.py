"""Know what Redis does for this server at the moment: nothing, reads only, or all."""

from __future__ import annotations

import logging
import re
import time

from redis.exceptions import ResponseError

from rtdemo.guard import one_line

log = logging.getLogger(__name__)

READY = "ready"


class Health:
    """Hold what keeps the log from being read, or written; each is told in the log once.

    Attributes:
        unread: why nothing can be read, empty where it can.
        unwritten: why nothing can be written, empty where it can, as far as was tried.
    """

    def __init__(self) -> None:
        self.unread = "not started"
        self.unwritten = ""
        self._since: float | None = None

    @property
    def state(self) -> str:
        """`ready`, or why nothing can be published."""
        return self.unread or self.unwritten or READY

    def lost(self, why: str) -> None:
        """Note that the log cannot be read."""
        self.unread = why
        if self._since is None:
            self._since = time.monotonic()
            log.warning("%s; trying again", why)

    def read(self) -> None:
        """Note that the log was read."""
        self.unread = ""
        if self._since is not None:
            log.info("redis is back after %.1f s", time.monotonic() - self._since)
            self._since = None

    def refused(self, error: ResponseError) -> None:
        """Note that Redis answered a write with an error: it may still be read from as ever."""
        before, self.unwritten = self.unwritten, f"redis refuses writes: {_plain(error)}"
        if not before:
            log.warning("%s; trying again", self.unwritten)

    def wrote(self) -> None:
        """Note that something was written."""
        if self.unwritten:
            self.unwritten = ""
            log.info("redis takes writes again")


def _plain(error: ResponseError) -> str:
    # Redis adds which line of which script it was.
    return re.sub(r"\.? script: .*", "", one_line(error))
