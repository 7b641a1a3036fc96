"""The connection to Redis: a client that fails fast, the keys, the errors and the health."""

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

log = logging.getLogger(__name__)

REDIS_ERRORS = (RedisError, OSError, TimeoutError)
"""Exceptions of a command if Redis cannot be reached or refuses the command."""
COMMAND_TIMEOUT_S = 1.5
"""Seconds to wait for an answer. Publishing reports within 2 s that Redis is unavailable."""
MIN_VERSION = (5, 0)
"""The first Redis version with streams."""
READY = "ready"
"""State of an engine that can publish."""
_START_REDIS = "start Redis; a single process can run without it: --engine-optional"
_CHECK_URL = "check --engine (environment: REDIS_URL)"
Redis = Any
"""A Redis client. The types of its library allow bytes in every answer; here every answer is text."""


class Keys:
    """Names of the keys of one deployment.

    All have the prefix in braces: Redis Cluster then keeps them on one node, as scripts need.

    Arguments:
        prefix: the deployment's prefix.

    Attributes:
        log: stream of the messages. The id of an entry is `<offset>-0`.
        meta: hash with the log's epoch, its last offset, and the bytes of the log, of `latest`, and of
            everything published.
        numbers: hash with the number of each producer's newest message.
        names: sorted set of the producers by the offset of their newest message.
        latest: hash with the newest message of each producer, as a JSON list of the fields of its entry.
        latest_names: sorted set of these producers by the offset of that message.
        leader: name of the leading server. It expires with the lease.
        servers: hash with the presence of each server, as JSON.
        seen: sorted set of the servers by the time of their last report, in ms of Redis's clock.
    """

    def __init__(self, prefix: str) -> None:
        base = "{" + prefix + "}"
        self.meta = f"{base}:meta"
        self.numbers = f"{base}:numbers"
        self.names = f"{base}:names"
        self.log = f"{base}:log"
        self.latest = f"{base}:latest"
        self.latest_names = f"{base}:latest-names"
        self.leader = f"{base}:leader"
        self.servers = f"{base}:servers"
        self.seen = f"{base}:seen"
        self._base = base

    def idempotency(self, key: str) -> str:
        """Return the key under which an idempotency key is remembered."""
        return f"{self._base}:key:{key}"

    def one_time_value(self, name: str) -> str:
        """Return the key of a value that is taken once."""
        return f"{self._base}:once:{name}"


def _redacted(url: str) -> str:
    """Return a URL without user, password and query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    secret = "***@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{secret}{host}{parts.path}"


def connect(url: str, timeout: float = COMMAND_TIMEOUT_S) -> Redis:
    """Return a client that never sends a command twice. It connects with its first command.

    Arguments:
        url: `redis://`, `rediss://` or `unix://`.
        timeout: seconds to wait for an answer.

    Raises:
        EngineError: if the URL is not allowed.
    """
    try:
        redis_url.check(url)
        return Client.from_url(
            url,
            decode_responses=True,
            protocol=2,
            socket_timeout=timeout,
            socket_connect_timeout=COMMAND_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
    except (ValueError, TypeError) as error:
        raise EngineError(_redacted_or_placeholder(url), one_line(error), _CHECK_URL) from error


def _redacted_or_placeholder(url: str) -> str:
    try:
        return _redacted(url)
    except ValueError:
        return "(malformed URL)"


def raise_if_cancelled() -> None:
    """Raise a cancellation again that redis-py has swallowed.

    Seen with redis-py 8.1, when an answer arrived at the same moment.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def check_server(redis: Redis, url: str) -> None:
    """Check that Redis answers, accepts the credentials and is new enough.

    Arguments:
        redis: the client.
        url: its URL, for the error.

    Raises:
        EngineError: if Redis cannot be used.
    """
    try:
        version = str((await redis.info("server"))["redis_version"])
    except REDIS_ERRORS as error:
        raise start_error(url, error) from error
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < MIN_VERSION:
        raise EngineError(_redacted(url), f"Redis {version} is too old", "install Redis 5.0 or later")


def start_error(url: str, error: Exception) -> EngineError:
    """Return the error of a failed start as one line with its fix."""
    if isinstance(error, AuthenticationError) or "NOAUTH" in str(error):
        fix = "give the password as redis://:PASSWORD@host or redis://USER:PASSWORD@host"
        return EngineError(_redacted(url), f"rejects the credentials: {error}", fix)
    if isinstance(error, NoPermissionError):
        fix = "the user needs streams, hashes, sorted sets, EVAL, GET, SET and INFO"
        return EngineError(_redacted(url), f"refuses permission: {one_line(error)}", fix)
    if isinstance(error, ResponseError):
        return EngineError(_redacted(url), one_line(error), _CHECK_URL)
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return EngineError(
            _redacted(url), f"does not answer within {COMMAND_TIMEOUT_S:g} s", _START_REDIS
        )
    return EngineError(_redacted(url), one_line(error), _START_REDIS)


class Health:
    """Whether the log in Redis can be read and written. Each change is logged once.

    Attributes:
        read_problem: why nothing can be read; empty if reading works.
        write_problem: why nothing can be written; empty if the last write worked.
    """

    def __init__(self) -> None:
        self.read_problem = "not started"
        self.write_problem = ""
        self._unreadable_since: float | None = None

    @property
    def state(self) -> str:
        """`ready`, or why nothing can be published."""
        return self.read_problem or self.write_problem or READY

    def read_failed(self, problem: str) -> None:
        """Note that the log cannot be read, and why."""
        self.read_problem = problem
        if self._unreadable_since is None:
            self._unreadable_since = time.monotonic()
            log.warning("%s; retrying", problem)

    def read_succeeded(self) -> None:
        """Note that the log was read."""
        self.read_problem = ""
        if self._unreadable_since is not None:
            log.info("redis is available again after %.1f s", time.monotonic() - self._unreadable_since)
            self._unreadable_since = None

    def write_refused(self, error: ResponseError) -> None:
        """Note that Redis answered a write with an error. Reading may still work."""
        is_new = not self.write_problem
        self.write_problem = f"redis refuses writes: {_without_script(error)}"
        if is_new:
            log.warning("%s; retrying", self.write_problem)

    def write_succeeded(self) -> None:
        """Note that a write worked."""
        if self.write_problem:
            self.write_problem = ""
            log.info("redis accepts writes again")


def _without_script(error: ResponseError) -> str:
    # Redis appends the script and its line to the error.
    return re.sub(r"\.? script: .*", "", one_line(error))
