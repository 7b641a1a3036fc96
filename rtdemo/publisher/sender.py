"""Send messages to a server in batches, and try again until it has answered."""

from __future__ import annotations

import json
import logging
import math
import ssl
from collections.abc import Callable, Mapping, Sequence
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
    RemoteDisconnected,
)
from random import Random
from selectors import EVENT_READ, DefaultSelector
from threading import Event
from time import monotonic
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass
from uuid import uuid4

from rtdemo.errors import (
    NOT_RUNNING,
    PublishError,
    answered,
    may_heal,
    network_reason,
    one_line,
    printable,
)
from rtdemo.protocol import address as addresses
from rtdemo.protocol.address import Address
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.publisher.server_address import TOKEN_VARIABLE

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 10.0
"""Seconds for one request."""
FIRST_RETRY_S, MAX_RETRY_S = 0.25, 2.0
"""Pause before the first further try, which doubles with each; and the longest."""
MAX_RETRY_AFTER_S = 60.0
"""Longest pause that a server may ask for."""
MAX_ANSWER_BYTES = 64 * 1024
"""Bytes that are read of an answer; 100 positions have about 4 KiB."""
MAX_SILENCE_S = 1.0
"""Seconds of failed tries, with the pause that the server asks for, after which a problem is reported,
whatever the number of the try."""
MAX_REPORTED = 5
"""Problems that are reported until a try succeeds: a proxy may name a new one with each answer."""
SENT_AGAIN = "what is published waits and is sent again"
NOT_ACCEPTED = "the message was not accepted"
MAYBE_ACCEPTED = "the message may not have been accepted"
MESSAGE_STATUSES = frozenset((400, 409, 413, 422))
"""Statuses that are about the messages: no further try can succeed."""
_CLOSED_ERRORS = (RemoteDisconnected, BrokenPipeError, ConnectionResetError)
"""What a request over a connection that the server has closed raises."""
_BAD_PROXY = "cannot be reached: the environment names a proxy whose address is not valid"
"""The proxy is not shown: its address may have a password."""
_PATH_CHARACTERS = "/%:@!$&'()*+,;=~"
"""Characters of a path that are sent as they are, besides letters and digits (RFC 3986 section 3.3)."""
Outcome = str | PublishError
"""Position of a message, or why the server does not have it."""


class TryAgainError(Exception):
    """A try failed for a reason that is not the messages'.

    Attributes:
        problem: what happened, in one line.
        heals: whether a later try may succeed without anybody changing the program's address or token.
        may_be_accepted: whether the server may have the messages all the same.
        pause: seconds that the server asks for; 0 for none.
    """

    def __init__(self, problem: str, heals: bool, may_be_accepted: bool, pause: float = 0.0) -> None:
        super().__init__(problem)
        self.problem, self.heals, self.may_be_accepted = problem, heals, may_be_accepted
        self.pause = pause


GivesUp = Callable[[TryAgainError, int, float], bool]
"""Return whether to end the tries, by the error, the number of tries, and the seconds from the beginning
until the pause that the server asks for is over."""


def _never(_error: TryAgainError, _tries: int, _next_s: float) -> bool:
    return False


class Sender:
    """Send batches to one server, one after the other, over one connection that is kept.

    A problem is reported once, and so is its end. Until then, tries are repeated with growing pauses.

    Arguments:
        url: of the server, such as `http://localhost:3000`.
        token: publish token; empty for none.
        unauthorized_fix: what to do where the server wants a token, or another one.
        gives_up: when to end the tries; by default never.
        report: takes one sentence about each problem that is new, and about its end.
        report_from: number of the try from which a problem is reported, if the tries before are short.
        outlook: what becomes of the messages meanwhile, as the end of a sentence.
        timeout_s: seconds for one request.

    Attributes:
        url: as errors show it.

    Raises:
        AddressError: if this is not the address of a server.
        PublishError: if no header can have the token.
    """

    def __init__(
        self,
        url: str,
        token: str,
        gives_up: GivesUp = _never,
        report: Callable[[str], object] = log.warning,
        unauthorized_fix: str = f"give it with token= or {TOKEN_VARIABLE}",
        report_from: int = 1,
        outlook: str = SENT_AGAIN,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        address = addresses.parse_server(url)
        self.url = address.url("")
        self._target = _Target(address, timeout_s)
        self._timeout_s = timeout_s
        self._asked_at: float | None = None
        self._headers: dict[str, str | bytes] = {"Content-Type": "application/json"}
        if not token.isprintable():
            # Else http.client would raise an error with the token in it.
            problem = "takes no token with a line break, or with another character that is not printable"
            raise PublishError(self.url, problem, "give it without")
        if token:
            self._headers["Authorization"] = f"Bearer {token}".encode()
        self._gives_up = gives_up
        self._report = report
        self._report_from = report_from
        self._outlook = outlook
        self._unauthorized_fix = unauthorized_fix
        self._problem = ""
        self._reported: set[str] = set()
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
        key, tries, ending, began = uuid4().hex, 0, NOT_ACCEPTED, monotonic()
        while not self._stopped.is_set():
            try:
                positions = self._post(batch, key)
            except TryAgainError as error:
                tries += 1
                next_s = monotonic() - began + error.pause
                if error.may_be_accepted:
                    ending = MAYBE_ACCEPTED
                if self._gives_up(error, tries, next_s):
                    return [PublishError(self.url, error.problem, ending)] * len(batch)
                if tries >= self._report_from or next_s >= MAX_SILENCE_S:
                    self._note(error.problem)
                longest = min(FIRST_RETRY_S * 2 ** min(tries, 10), MAX_RETRY_S)
                self._stopped.wait(max(self._random.uniform(longest / 2, longest), error.pause))
            except PublishError as error:
                if len(batch) == 1:
                    # Of an earlier try, this server may have lost the key: it was started anew.
                    return [PublishError(self.url, error.problem, ending, error.status)]
                # One of them is refused, and the others with it.
                middle = len(batch) // 2
                return self.send(batch[:middle]) + self.send(batch[middle:])
            else:
                self._note("")
                return [*positions]
        problem = self._problem or "has not answered"
        ending = "the publisher was closed; the message may not have been sent"
        return [PublishError(self.url, problem, ending)] * len(batch)

    @property
    def unanswered_s(self) -> float:
        """Seconds for which the server has left the current request without an answer; 0 without one."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else monotonic() - asked_at

    def close(self) -> None:
        """Close the connection to the server."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, batch: Sequence[bytes], key: str) -> list[str]:
        """Make one try, always with the same key; return the positions of the messages.

        Raises:
            TryAgainError: a later try may succeed, or another server or token.
            PublishError: the server refuses the messages.
        """
        body = b"[" + b",".join(batch) + b"]"
        answer, text = self._ask(body, {**self._headers, "Idempotency-Key": key})
        if answer.will_close or not answer.isclosed():
            self.close()
        if answer.status == 200:
            return _positions(text, len(batch))
        problem = answered(answer.status, text.decode(errors="replace"))
        if answer.status in MESSAGE_STATUSES:
            raise PublishError(self.url, problem, NOT_ACCEPTED, answer.status)
        if location := answer.getheader("Location"):
            # It is not followed: its target would get the token.
            problem = f"redirects to {printable(location[:200])}; give the address of that server"
        elif answer.status == 401:
            problem = f"{problem}; {self._unauthorized_fix}"
        elif answer.status == 404 and self.url.endswith(addresses.SERVER_PATHS):
            problem = f"{problem}; {addresses.hint_at_server(self.url)}"
        # A proxy may answer 502 or 504 after the server has the messages.
        heals = may_heal(answer.status)
        may_be_accepted = heals and answer.status >= 500
        pause = _seconds(answer.getheader("Retry-After", ""))
        raise TryAgainError(problem, heals, may_be_accepted, pause)

    def _ask(self, body: bytes, headers: Mapping[str, str | bytes]) -> tuple[HTTPResponse, bytes]:
        """Return the answer and its body; over a new connection if the server has closed the old one."""
        if self._connection is not None and _has_ended(self._connection):
            # Nothing is sent over it: what was is known not to have been accepted.
            self.close()
        was_open = self._connection is not None
        try:
            return self._ask_once(body, headers)
        except TryAgainError as error:
            if not was_open or not isinstance(error.__cause__, _CLOSED_ERRORS):
                raise
        try:
            return self._ask_once(body, headers)
        except TryAgainError as error:
            # It may have been closed after it had brought the messages.
            error.may_be_accepted = True
            raise

    def _ask_once(self, body: bytes, headers: Mapping[str, str | bytes]) -> tuple[HTTPResponse, bytes]:
        if self._connection is None:
            self._connection = self._open()
        self._asked_at = monotonic()
        try:
            self._connection.request("POST", self._target.path, body, dict(headers))
            answer = self._connection.getresponse()
            text = answer.read(MAX_ANSWER_BYTES)
            if answer.length and len(text) < MAX_ANSWER_BYTES:
                # http.client raises this itself only where it reads without a limit.
                raise IncompleteRead(text, answer.length)
        except (OSError, HTTPException) as error:
            self.close()
            is_cut = isinstance(error, (*_CLOSED_ERRORS, IncompleteRead))
            heals = is_cut or isinstance(error, OSError)
            problem = "cut the connection" if is_cut else self._reason(error)
            if _is_timeout(error):
                problem = f"does not answer within {self._timeout_s:g} s"
            raise TryAgainError(problem, heals, may_be_accepted=True) from error
        finally:
            self._asked_at = None
        return answer, text

    def _open(self) -> HTTPConnection:
        """Return a new connection, of which nothing was sent yet but to a proxy."""
        try:
            connection = self._target.connection()
            try:
                connection.connect()
            except BaseException:
                connection.close()
                raise
        except ValueError as error:
            raise TryAgainError(_BAD_PROXY, heals=False, may_be_accepted=False) from error
        except (OSError, HTTPException) as error:
            # An end within the handshake may be that of the server.
            heals = not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError)
            raise TryAgainError(self._reason(error), heals, may_be_accepted=False) from error
        return connection

    def _reason(self, error: Exception) -> str:
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLCertVerificationError):
            fix = f"if it does not use TLS, give {self.url.replace('https:', 'http:', 1)}"
            return f"fails at TLS: {network_reason(error)}; {fix}"
        if _is_timeout(error):
            return f"cannot be reached: no answer within {self._timeout_s:g} s"
        if isinstance(error, ConnectionRefusedError):
            reason = network_reason(error)
            return f"cannot be reached: {reason}; {NOT_RUNNING}, and RTDEMO_URL names another"
        if isinstance(error, OSError):
            return f"cannot be reached: {network_reason(error)}"
        return f"does not work over HTTP: {one_line(error)}"

    def _note(self, problem: str) -> None:
        """Report a problem that is new since the last success, and the end of all."""
        self._problem = problem
        if not problem:
            if self._reported:
                self._report(f"{self.url} takes messages again")
            self._reported.clear()
        elif problem not in self._reported and len(self._reported) < MAX_REPORTED:
            self._reported.add(problem)
            self._report(f"{self.url} {problem}; {self._outlook}")


class _Target:
    """Where to post, through the proxy of the environment, if there is one.

    Arguments:
        address: of the server.
        timeout_s: seconds for one request.

    Attributes:
        path: of the request; a whole URL for a proxy that does not tunnel.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self.path = quote(f"{address.base_path}/api/publish", _PATH_CHARACTERS)
        self._proxy = ""
        if not address.is_loopback and not proxy_bypass(address.host):
            self._proxy = getproxies().get("https" if address.secure else "http", "")
        if self._proxy and not address.secure:
            self.path = address.origin + self.path

    def connection(self) -> HTTPConnection:
        """Return a new connection, which is not open yet."""
        own = self._address.host, self._address.port
        to = urlsplit(self._proxy if "//" in self._proxy else f"//{self._proxy}")
        host, port = (to.hostname or "", to.port) if self._proxy else own
        if not self._address.secure:
            return HTTPConnection(host, port, timeout=self._timeout_s)
        context = ssl.create_default_context()
        connection = HTTPSConnection(host, port, timeout=self._timeout_s, context=context)
        if self._proxy:
            connection.set_tunnel(*own)
        return connection


def _has_ended(connection: HTTPConnection) -> bool:
    """Return whether the server has closed a connection on which no answer is awaited."""
    if connection.sock is None:
        return False
    try:
        with DefaultSelector() as selector:
            selector.register(connection.sock, EVENT_READ)
            return bool(selector.select(0))
    except OSError:
        # Too many open files: the request finds out.
        return False


def _is_timeout(error: Exception) -> bool:
    """Return whether it is our own time limit, not that of the operating system."""
    return isinstance(error, TimeoutError) and not error.errno


def _positions(text: bytes, count: int) -> list[str]:
    try:
        positions = [str(position) for position in json.loads(text)["positions"]]
    except (ValueError, LookupError, TypeError) as error:
        raise TryAgainError("did not answer with positions; is it rtdemo?", False, True) from error
    if len(positions) != count:
        problem = "did not answer with a position for each message; is it rtdemo?"
        raise TryAgainError(problem, heals=False, may_be_accepted=True)
    return positions


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if math.isfinite(seconds) else 0.0
