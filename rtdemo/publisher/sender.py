"""Send messages to a server in batches, and try again until it has answered."""

from __future__ import annotations

import json
import logging
import math
import ssl
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, RemoteDisconnected
from ipaddress import ip_address
from random import Random
from threading import Event
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass
from uuid import uuid4

from rtdemo.errors import PublishError, network_reason, one_line, printable
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.publisher import server_address

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 10.0
"""Seconds for one request."""
FIRST_RETRY_S, MAX_RETRY_S = 0.25, 2.0
"""Pause before the first further try, which doubles with each; and the longest."""
MAX_RETRY_AFTER_S = 60.0
"""Longest pause that a server may ask for."""
MAX_ANSWER_BYTES = 64 * 1024
"""Bytes that are read of an answer; 100 positions have about 4 KiB."""
NOT_ACCEPTED = "the message was not accepted"
_MESSAGE_STATUSES = frozenset((400, 409, 413, 422))
"""Statuses that are about the messages: no further try can succeed."""
_MAX_PROBLEM_CHARS = 300
Outcome = str | PublishError
"""Position of a message, or why the server does not have it."""


class TryAgainError(Exception):
    """A try failed, and a later one may succeed.

    Attributes:
        problem: what happened, in one line.
        pause: seconds that the server asks for; 0 for none.
    """

    def __init__(self, problem: str, pause: float = 0.0) -> None:
        super().__init__(problem)
        self.problem, self.pause = problem, pause


class Sender:
    """Send batches to one server, one after the other, over one connection that is kept.

    A problem is logged once, and so is its end. Until then, tries are repeated with growing pauses.

    Arguments:
        url: of the server, such as `http://localhost:3000`.
        token: publish token; empty for none.

    Raises:
        PublishError: if this is not the URL of a server.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._target = _Target(url)
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._problem = ""
        # Of its own: this thread must not change the random numbers of the user's program.
        self._random = Random()
        self._connection: HTTPConnection | None = None
        self._stopped = Event()

    def stop(self) -> None:
        """Let `send` give up: it tries no more."""
        self._stopped.set()

    def send(self, batch: Sequence[bytes]) -> list[Outcome]:
        """Send messages until the server has answered; return what became of each.

        Arguments:
            batch: the JSON of each message.
        """
        if len(batch) == 1 and len(batch[0]) > MAX_MESSAGE_BYTES:
            # Not sent: the server would refuse it.
            problem = f"takes at most {MAX_MESSAGE_BYTES} bytes, and the message has {len(batch[0])}"
            return [PublishError(self.url, problem, NOT_ACCEPTED)]
        key, tries = uuid4().hex, 0
        while not self._stopped.is_set():
            try:
                positions = self._post(batch, key)
            except TryAgainError as error:
                tries += 1
                self._report(error.problem)
                longest = min(FIRST_RETRY_S * 2 ** min(tries, 10), MAX_RETRY_S)
                self._stopped.wait(max(self._random.uniform(longest / 2, longest), error.pause))
            except PublishError as error:
                if len(batch) == 1:
                    return [error]
                # One of them is refused, and the others with it.
                middle = len(batch) // 2
                return self.send(batch[:middle]) + self.send(batch[middle:])
            else:
                self._report("")
                return [*positions]
        problem = self._problem or "has not answered"
        ending = "the publisher was closed; the message may not have been sent"
        return [PublishError(self.url, problem, ending)] * len(batch)

    def close(self) -> None:
        """Close the connection to the server."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, batch: Sequence[bytes], key: str) -> list[str]:
        body = b"[" + b",".join(batch) + b"]"
        headers = {**self._headers, "Idempotency-Key": key}
        try:
            answer = self._ask(body, headers)
            text = answer.read(MAX_ANSWER_BYTES)
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            is_network = isinstance(error, OSError)
            reason = network_reason(error) if is_network else one_line(error)
            raise TryAgainError(f"cannot be reached: {reason}") from error
        if answer.will_close or not answer.isclosed():
            self.close()
        if answer.status == 200:
            return _positions(text, len(batch))
        said = printable(text[:_MAX_PROBLEM_CHARS].decode(errors="replace").strip())
        problem = f"answered {answer.status}: {said}"
        if answer.status in _MESSAGE_STATUSES:
            raise PublishError(self.url, problem, NOT_ACCEPTED)
        if location := answer.getheader("Location"):
            # It is not followed: its target would get the token.
            problem = f"redirects to {printable(location[:200])}; give the address of that server"
        raise TryAgainError(problem, _seconds(answer.getheader("Retry-After", "")))

    def _ask(self, body: bytes, headers: Mapping[str, str]) -> HTTPResponse:
        """Return the head of the answer; over a new connection if the server has closed the old one."""
        was_open = self._connection is not None
        try:
            return self._ask_once(body, headers)
        except (RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.close()
            if not was_open:
                raise
            return self._ask_once(body, headers)

    def _ask_once(self, body: bytes, headers: Mapping[str, str]) -> HTTPResponse:
        if self._connection is None:
            self._connection = self._target.connection()
        self._connection.request("POST", self._target.path, body, dict(headers))
        return self._connection.getresponse()

    def _report(self, problem: str) -> None:
        """Log a problem that is new, and its end."""
        if problem and problem != self._problem:
            log.warning("%s %s; messages wait and are sent again", self.url, problem)
        elif self._problem and not problem:
            log.warning("%s takes messages again", self.url)
        self._problem = problem


class _Target:
    """Where to post, through the proxy of the environment, if there is one.

    Arguments:
        url: of the server.

    Attributes:
        path: of the request; a whole URL for a proxy that does not tunnel.

    Raises:
        PublishError: if this is not the URL of a server.
    """

    def __init__(self, url: str) -> None:
        parts = server_address.parse(url)
        host, port = parts.hostname or "", parts.port
        self._is_secure = parts.scheme == "https"
        self._host, self._port = host, port
        self.path = f"{parts.path.rstrip('/')}/api/publish"
        self._proxy = ""
        if not _is_here(host) and not proxy_bypass(host):
            self._proxy = getproxies().get(parts.scheme, "")
        if self._proxy and not self._is_secure:
            self.path = f"http://{parts.netloc}{self.path}"

    def connection(self) -> HTTPConnection:
        """Return a new connection, which opens with its first request."""
        to = urlsplit(self._proxy if "//" in self._proxy else f"//{self._proxy}")
        host, port = (to.hostname or "", to.port) if self._proxy else (self._host, self._port)
        if not self._is_secure:
            return HTTPConnection(host, port, timeout=REQUEST_TIMEOUT_S)
        context = ssl.create_default_context()
        connection = HTTPSConnection(host, port, timeout=REQUEST_TIMEOUT_S, context=context)
        if self._proxy:
            connection.set_tunnel(self._host, self._port)
        return connection


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _positions(text: bytes, count: int) -> list[str]:
    try:
        positions = [str(position) for position in json.loads(text)["positions"]]
    except (ValueError, LookupError, TypeError) as error:
        raise TryAgainError("did not answer with positions; is it rtdemo?") from error
    if len(positions) != count:
        raise TryAgainError("did not answer with a position for each message; is it rtdemo?")
    return positions


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if math.isfinite(seconds) else 0.0
