"""What the network and HTTP report, as errors that say what to do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

import aiohttp

from rtdemo.errors import (
    MAX_WORDS_CHARACTERS,
    NOT_RUNNING,
    LoginError,
    NoStreamError,
    NotSentError,
    RefusedError,
    ServerError,
    UnreachableError,
    answered,
    may_heal,
    network_reason,
    one_line,
    printable,
    words_of,
)
from rtdemo.protocol.address import hint_at_server

LOGIN_STATUSES = (401,)
"""HTTP statuses of a server that needs a login."""
_WAYS = "--token, RTDEMO_TOKEN or token="
"""Where a command, and a program, get their login token."""
GIVE_TOKEN = f"give the login token with {_WAYS}"
"""What to do where a server needs a login, or another one; its own words may say why."""
NEW_TOKEN = f"give a new login token with {_WAYS}"
"""What to do after a token has expired."""
NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError, ValueError)
"""What opening and reading a connection may raise."""
TOKEN_EXPIRED = "token expired"  # noqa: S105 - a reason
"""The server's reason when a login expires."""
_SEE_LOG = "see the server log"
_RIGHT_ADDRESS = "is it the right address?"
_FINAL_CLOSE_CODES = (1002, 1003, 1007, 1008, 1009)
"""WebSocket close codes after which another try would fail, too (RFC 6455 section 7.4.1)."""
_POLICY = 1008
_UNKNOWN_CLIENT = 404
_MAX_RETRY_AFTER_DIGITS = 6
"""Longer numbers are ignored: they are over eleven days."""


def to_server_error(url: str, error: Exception) -> ServerError:
    """Return an error of the network as an error with the next step for the user.

    Arguments:
        url: of the request.
        error: of aiohttp, ssl or the socket.
    """
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return _handshake_error(url, error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        fix = "name the certificate of its authority in SSL_CERT_FILE"
        problem = f"has a certificate that is not trusted: {network_reason(error)}"
        return UnreachableError(url, problem, fix)
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        scheme, _, rest = url.partition(":")
        fix = f"if it does not use TLS, give {scheme.removesuffix('s')}:{rest}"
        return UnreachableError(url, f"fails at TLS: {network_reason(error)}", fix)
    if isinstance(error, TimeoutError):
        return NoStreamError(url, "does not respond", _RIGHT_ADDRESS, retryable=True)
    # Without a TCP connection, the other transport would not open either.
    kind = UnreachableError if isinstance(error, aiohttp.ClientConnectorError) else NoStreamError
    problem = f"cannot be reached: {network_reason(error)}"
    is_name_unknown = isinstance(getattr(error, "os_error", error), socket.gaierror)
    fix = "check the host name" if is_name_unknown else NOT_RUNNING
    return kind(url, problem, fix, retryable=True)


def away_error(url: str, error: Exception) -> UnreachableError:
    """Return an error of the network as one that the other transport would have too.

    Arguments:
        url: of the stream.
        error: of aiohttp, ssl or the socket.
    """
    known = to_server_error(url, error)
    return UnreachableError(url, known.problem, known.fix, retryable=known.retryable)


def _handshake_error(url: str, error: aiohttp.WSServerHandshakeError) -> ServerError:
    if error.status == 101:
        problem = f"did not open a WebSocket: {error.message}"
        return NoStreamError(url, problem, _RIGHT_ADDRESS, retryable=True)
    return refusal_error(url, error.status, error.message, error.headers or {})


def refusal_error(url: str, status: int, body: str, headers: Mapping[str, str]) -> RefusedError:
    """Return an HTTP status as an error, which allows another try if that may succeed.

    Arguments:
        url: of the request.
        status: of the response.
        body: text of the response.
        headers: of the response.
    """
    if 300 <= status < 400 and (location := headers.get("Location")):
        # It is not followed: a user should know which server it is about. Its query may be a secret.
        there = printable(_absolute(url, location).partition("?")[0][:MAX_WORDS_CHARACTERS])
        return RefusedError(url, f"redirects to {there}", "give that address", status=status)
    is_login = status in LOGIN_STATUSES
    if is_login:
        fix = GIVE_TOKEN
    elif words_of(body):
        # The server's own words say what to do, or name its log.
        fix = ""
    else:
        fix = _SEE_LOG if status >= 500 else _RIGHT_ADDRESS
    kind = LoginError if is_login else RefusedError
    retryable = may_heal(status)
    later = _seconds(headers.get("Retry-After", "")) if retryable else None
    problem = answered(status, body)
    return kind(url, problem, fix, retryable=retryable, retry_after=later, status=status)


def _absolute(url: str, location: str) -> str:
    """Return an address to which a URL redirects; it may be relative."""
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _seconds(text: str) -> float | None:
    is_known = text.isdecimal() and text.isascii() and len(text) <= _MAX_RETRY_AFTER_DIGITS
    return float(text) if is_known else None


def close_error(url: str, code: int, reason: str) -> ServerError:
    """Return the end of a WebSocket as an error.

    Arguments:
        url: of the WebSocket.
        code: of the close frame; 1006 without one.
        reason: of the close frame.
    """
    problem = f"ended the connection with code {code}"
    if code == _POLICY and reason == TOKEN_EXPIRED:
        return expired_error(url)
    if code not in _FINAL_CLOSE_CODES:
        return ServerError(url, problem, _SEE_LOG, retryable=True)
    words = printable(" ".join(reason.split()))
    more = "" if words else _SEE_LOG
    fix = "send less" if code == _POLICY else more
    return RefusedError(url, problem + (f": {words}" if words else ""), fix, status=code)


def expired_error(url: str) -> LoginError:
    """Return the end of a connection whose login has expired."""
    return LoginError(url, f"ended the connection: {TOKEN_EXPIRED}", NEW_TOKEN, status=401)


def no_stream_error(url: str, content_type: str) -> NoStreamError:
    """Return an answer that is not an event stream as an error."""
    problem = f"sends {printable(content_type)}, which is not an event stream"
    if content_type == "text/html" and not urlsplit(url).path.endswith("/api/sse"):
        # Such as that of the view, which `rtdemo serve` prints.
        return NoStreamError(url, problem, hint_at_server(url), retryable=True)
    return NoStreamError(url, problem, _RIGHT_ADDRESS, retryable=True)


def no_login_error(url: str, error: Exception) -> UnreachableError:
    """Return what the user's own function for a token or ticket raised as an error.

    Arguments:
        url: of the stream.
        error: of that function, or TimeoutError if it returned nothing in time.
    """
    problem = f"is not asked without a login: token= or ticket= raised {one_line(error)}"
    return UnreachableError(url, problem, "mend that function", retryable=True)


def broken_error(url: str, error: BaseException) -> ServerError:
    """Return bytes that are no WebSocket frames as an error."""
    return ServerError(url, f"broke the protocol: {one_line(error)}", _SEE_LOG, retryable=True)


def not_sent_error(url: str, status: int, body: str, headers: Mapping[str, str]) -> NotSentError:
    """Return an answer to a text that was posted as an error.

    Arguments:
        url: of the request.
        status: of the response.
        body: text of the response.
        headers: of the response.
    """
    refusal = refusal_error(url, status, body, headers)
    # Without its stream the server does not know the client; the next connection has another id.
    retryable = refusal.retryable or status == _UNKNOWN_CLIENT
    return NotSentError(url, refusal.problem, refusal.fix, retryable, refusal.retry_after)


def cut_error(url: str, error: BaseException) -> ServerError:
    """Return the end of an open connection in the middle of anything as an error.

    Arguments:
        url: of the stream.
        error: of the network, or of the parser.
    """
    words = "" if isinstance(error, aiohttp.ClientError) else f": {network_reason(error)}"
    return ServerError(url, f"cut the connection{words}", _SEE_LOG, retryable=True)


def ended_error(url: str) -> ServerError:
    """Return the end of an event stream as an error."""
    return ServerError(url, "ended the stream", _SEE_LOG, retryable=True)


def silent_error(url: str, seconds: float) -> NoStreamError:
    """Return a silence in which something should have arrived as an error."""
    return NoStreamError(url, f"has sent nothing for {seconds:.0f} s", _RIGHT_ADDRESS, retryable=True)
