"""The function `publish`: to the server in this process, or over HTTP in the background."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
from threading import Lock

from rtdemo.publisher import publication, server_address, this_process
from rtdemo.publisher.background import BackgroundPublisher
from rtdemo.publisher.log_lines import PrefixHandler
from rtdemo.publisher.sender import MAX_SILENCE_S
from rtdemo.publisher.waiting import PublishCounts, total

log = logging.getLogger(__name__)

EXIT_TIMEOUT_S = 2.0
"""Seconds for which the end of a program waits for messages that are not sent yet."""


class Publishers:
    """The publishers of this process, one for each server and token."""

    def __init__(self) -> None:
        self._by_arguments: dict[tuple[str | None, str | None], BackgroundPublisher] = {}
        self._by_server: dict[tuple[str, str], BackgroundPublisher] = {}
        self._lock = Lock()

    def get(self, url: str | None, token: str | None) -> BackgroundPublisher:
        """Return the publisher for a server. What comes from the environment is read once.

        Arguments:
            url: of the server; None for that of the environment.
            token: publish token; None for that of the environment.

        Raises:
            AddressError: if this is not the address of a server.
            PublishError: if no header can have the token.
        """
        # Two look-ups in the environment would take longer than all the rest of a call.
        found = self._by_arguments.get((url, token))
        return self._open(url, token) if found is None else found

    def _open(self, url: str | None, token: str | None) -> BackgroundPublisher:
        server = server_address.checked_url_of(url), server_address.token_of(token)
        with self._lock:
            found = self._by_server.get(server)
            if found is None:
                found = self._by_server[server] = BackgroundPublisher(*server)
                _flush_at_end_of_child()
            self._by_arguments[url, token] = found
        return found

    def flush(self, timeout: float) -> PublishCounts:
        """Wait until every message is sent, for at most so many seconds; return the sums."""
        end = time.monotonic() + timeout
        publishers = [server.flush for server in this_process.servers()]
        publishers += [publisher.flush for publisher in list(self._by_server.values())]
        counts = [flush(max(0.0, end - time.monotonic())) for flush in publishers]
        return total(counts)

    def unanswered(self) -> list[str]:
        """Return one clause for each server that has left a request without an answer for a second."""
        waits = [(each.url, each.unanswered_s) for each in list(self._by_server.values())]
        return [f"{url} has not answered for {s:.0f} s" for url, s in waits if s >= MAX_SILENCE_S]

    def forget(self) -> None:
        """Begin anew in a child process: what waits in the parent is the parent's to send."""
        this_process.forget()
        self.__init__()  # type: ignore[misc]  # the lock may be held by a thread that the child lacks


_PUBLISHERS = Publishers()


def publish(
    producer: str,
    value: object,
    message: str | None = None,
    *,
    url: str | None = None,
    token: str | None = None,
) -> None:
    """Publish a value to every client, from any thread or process, without waiting.

    A thread of this process sends it. While the server cannot be reached, up to 10,000 messages wait;
    each further one drops the oldest. In a process that runs a server, it goes to that server, and is
    dropped once that has ended; flush() counts it.

    Arguments:
        producer: the name to publish under, such as `loss`.
        value: a number, bool, dict or list, or a text. A NaN or an infinity becomes null.
        message: text for people; None for that of the value.
        url: of the server; by default that in RTDEMO_URL, or http://localhost:3000.
        token: publish token of the server; by default that in RTDEMO_PUBLISH_TOKEN. The first call reads
            both variables.

    Raises:
        TypeError: if JSON cannot hold the value, or the name is no text.
        RecursionError: if it is nested too deeply, or contains itself.
        UnicodeEncodeError: if a text has a lone surrogate.
        AddressError: if `url`, or RTDEMO_URL, is not the address of a server.
        PublishError: if no header can have the token.
    """
    payload, nulls = publication.encode(producer, value, message)
    if url is None and this_process.put(payload, nulls):
        return
    _PUBLISHERS.get(url, token).put(payload, nulls)


def flush(timeout: float = 10.0) -> PublishCounts:
    """Wait until the server has every message that this process has published.

    Arguments:
        timeout: seconds to wait at most.

    Returns:
        How many messages were accepted, dropped and refused, how many still wait, and how many NaNs and
        infinities in them are null.
    """
    return _PUBLISHERS.flush(timeout)


def _flush_at_exit() -> None:
    counts = _PUBLISHERS.flush(EXIT_TIMEOUT_S)
    if counts.waiting or counts.dropped:
        # Its own time limit has not told the user yet: it is longer than this one.
        silent = _PUBLISHERS.unanswered() if counts.waiting else []
        log.warning(
            "messages at the end of the program: %d published, %d dropped, %d not sent%s",
            *(counts.accepted, counts.dropped, counts.waiting),
            "".join(f"; {clause}" for clause in silent),
        )


def _flush_at_end_of_child() -> None:
    """Flush at the end of a child of `multiprocessing`, which does not run what `atexit` has."""
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, _flush_at_exit, exitpriority=0)


# Of the whole package, which cannot be imported without this module.
logging.getLogger("rtdemo").addHandler(PrefixHandler())
atexit.register(_flush_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_PUBLISHERS.forget)
