"""Reach Redis: connections that fail fast, names of keys, and faults told in one line."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from rtdemo.errors import EngineError, one_line
from rtdemo.settings import redis_url

FAULTS = (RedisError, OSError, TimeoutError)
"""What a command may fail with when Redis is away or does not do as asked."""
TIMEOUT = 1.5
"""Seconds for an answer: a publisher is told within 2 that Redis is away."""
OLDEST = (5, 0)
"""The first version with streams."""
_OPTIONAL = "start it; one process, not several workers, may do without: --engine-optional"
_WHERE = "check --engine (environment: REDIS_URL)"
Redis = Any
"""A client. Its library's types allow for bytes everywhere; here every answer is text."""


class Keys:
    """Name the keys of one deployment; the braces keep them on one node of a cluster."""

    def __init__(self, prefix: str) -> None:
        base = "{" + prefix + "}"
        self.meta = f"{base}:meta"
        self.numbers = f"{base}:numbers"
        self.names = f"{base}:names"
        self.log = f"{base}:log"
        self.leader = f"{base}:leader"
        self.servers = f"{base}:servers"
        self.seen = f"{base}:seen"
        self._base = base

    def idempotency(self, key: str) -> str:
        """Return where what came with an idempotency key is kept."""
        return f"{self._base}:key:{key}"


def shown(url: str) -> str:
    """Return a URL without its user, password and query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    secret = "***@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{secret}{host}{parts.path}"


def connect(url: str, timeout: float = TIMEOUT) -> Redis:
    """Return a client that gives up after `timeout` seconds and never sends a command twice.

    Raises:
        EngineError: when the URL is none.
    """
    try:
        redis_url.check(url)
        return Client.from_url(
            url,
            decode_responses=True,
            protocol=2,
            socket_timeout=timeout,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
    except (ValueError, TypeError) as error:
        raise EngineError(_shown_or_not(url), one_line(error), _WHERE) from error


def _shown_or_not(url: str) -> str:
    try:
        return shown(url)
    except ValueError:
        return "(a URL that cannot be read)"


def raise_if_cancelled() -> None:
    """Go on with a cancellation that redis-py kept to itself (seen with 8.1 as an answer arrived)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def check(redis: Redis, url: str) -> None:
    """See that Redis answers, lets us in and is new enough.

    Raises:
        EngineError: what is wrong, and the mend.
    """
    try:
        version = str((await redis.info("server"))["redis_version"])
    except FAULTS as error:
        raise explain(url, error) from error
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST:
        raise EngineError(shown(url), f"Redis {version} is too old", "streams need 5.0 or later")


def explain(url: str, error: Exception) -> EngineError:
    """Return a start's failure as one line with its mend."""
    if isinstance(error, AuthenticationError) or "NOAUTH" in str(error):
        mend = "give it as redis://:PASSWORD@host or redis://USER:PASSWORD@host"
        return EngineError(shown(url), f"needs a password, or another one: {error}", mend)
    if isinstance(error, NoPermissionError):
        mend = "the user needs streams, hashes, sorted sets, EVAL, GET, SET and INFO"
        return EngineError(shown(url), f"lacks a permission: {one_line(error)}", mend)
    if isinstance(error, ResponseError):
        return EngineError(shown(url), one_line(error), _WHERE)
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return EngineError(shown(url), f"does not answer within {TIMEOUT:g} s", _OPTIONAL)
    return EngineError(shown(url), one_line(error), _OPTIONAL)


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
