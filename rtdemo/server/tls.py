"""TLS of the sites: the certificate from two files, read again on SIGHUP, and the handshakes."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import Awaitable, Coroutine, Generator
from pathlib import Path
from types import coroutine
from typing import Any, cast

from rtdemo.errors import SettingError, one_line
from rtdemo.settings.settings import SETTINGS, Settings
from rtdemo.web.http_connection import HttpServer

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S = 10.0
"""Seconds for a client to finish the TLS handshake, as for the head of a request; the loop has 60."""
CLOSE_TIMEOUT_S = 2.0
"""Seconds for a client to answer the alert that closes TLS (RFC 8446 section 6.1)."""
_CLOSED_STATES = (7, 8)
"""States of a TCP connection that its client has reset or closed: `TCP_CLOSE` and `TCP_CLOSE_WAIT`."""


class Certificate:
    """The certificate in use, and the TLS context that presents it to each new connection.

    Arguments:
        settings: `tls_cert` and `tls_key` name the files.

    Attributes:
        context: for the listening sockets. It stays the same when the certificate changes.

    Raises:
        SettingError: if a file cannot be read, or the key is not that of the certificate.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.context = self._current = _load(settings)
        # OpenSSL calls it in each handshake, also for clients that send no name.
        self.context.sni_callback = self._present

    def reload(self) -> None:
        """Read both files again. Open connections stay; a file with an error changes nothing."""
        try:
            self._current = _load(self._settings)
        except SettingError as error:
            log.error("%s; the previous certificate stays in use", error)  # noqa: TRY400 - one line
        else:
            log.info("new connections get the certificate in %s", self._settings.tls_cert)

    def _present(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext
    ) -> None:
        connection.context = self._current


def _load(settings: Settings) -> ssl.SSLContext:
    """Return a context for TLS 1.2 and later with the certificate that the files hold now."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Renegotiation, which only TLS 1.2 has, costs a server much more than a client.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    # Python's own errors name neither file.
    for name in ("tls_cert", "tls_key"):
        try:
            Path(getattr(settings, name)).read_bytes()
        except OSError as error:
            raise _error(settings, name, f"a file that can be read ({one_line(error)})") from error
    try:
        # Any certificate, also for a purpose other than ours: OpenSSL reports only that one of two files
        # is wrong.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(settings.tls_cert)
    except ssl.SSLError as error:
        raise _error(settings, "tls_cert", "a file with a certificate in PEM") from error
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, _no_password)
    except (ssl.SSLError, ValueError) as error:
        allowed = f"the private key of the certificate in {settings.tls_cert}, without a password"
        raise _error(settings, "tls_key", allowed) from error
    return context


def _no_password() -> str:
    """Refuse a key with a password: OpenSSL would ask for it at the terminal."""
    raise ValueError("the key has a password")


def _error(settings: Settings, name: str, allowed: str) -> SettingError:
    return SETTINGS[name].error(getattr(settings, name), allowed=allowed)


@coroutine
def _go_on(
    begun: Coroutine[Any, Any, asyncio.Transport | None], waiting: Any
) -> Generator[Any, Any, asyncio.Transport | None]:
    """Go on with a coroutine that was begun without a task, and waits for a future."""
    try:
        while True:
            try:
                sent = yield waiting
            except BaseException as error:
                waiting = begun.throw(error)
            else:
                waiting = begun.send(sent)
    except StopIteration as end:
        return cast("asyncio.Transport | None", end.value)


class Handshake(asyncio.Protocol):
    """Protocol of a connection until its TLS handshake is complete.

    The event loop's own TLS server shows a connection only after that. So nothing could close it before,
    and clients that are silent could take every file descriptor.

    Arguments:
        context: has the certificate.
        server: makes the protocol that follows. It counts the connection for its client's address.
        handshakes: those that are not complete, the oldest first.
        began_at: the time, in seconds of a clock.

    Attributes:
        began_at: as given.
    """

    __slots__ = (
        *("_address", "_context", "_handshakes", "_is_lost", "_plain", "_received", "_server", "_task"),
        "began_at",
    )

    def __init__(
        self,
        context: ssl.SSLContext,
        server: HttpServer,
        handshakes: dict[Handshake, None],
        began_at: float,
    ) -> None:
        self._context = context
        self._server = server
        self._handshakes = handshakes
        self.began_at = began_at
        self._address = ""
        self._plain: asyncio.Transport | None = None
        # What arrives between the end of the handshake and the next turn of the loop.
        self._received = b""
        self._is_lost = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it has no request: never before it is complete."""
        return True

    def cut(self) -> None:
        """Close the connection."""
        # It ends some turns later, and must not count until then.
        self._handshakes.pop(self, None)
        if self._plain is not None:
            self._plain.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        plain = self._plain = cast("asyncio.Transport", transport)
        if _has_left(plain):
            # A signature takes most of a millisecond, and thousands of these may wait to be accepted.
            plain.abort()
            return
        self._handshakes[self] = None
        self._address = self._server.by_address.add(self, plain.get_extra_info("peername"))
        if plain.is_closing():  # one too many of its address
            self._end()
            return
        start = asyncio.get_running_loop().start_tls(
            plain,
            self,
            self._context,
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
            ssl_shutdown_timeout=CLOSE_TIMEOUT_S,
        )
        # At once, and not when a task begins: uvloop reads what has arrived before that.
        waiting = start.send(None)
        self._task = asyncio.ensure_future(self._run(plain, _go_on(start, waiting)))

    async def _run(self, plain: asyncio.Transport, start: Awaitable[asyncio.Transport | None]) -> None:
        try:
            transport = await start
            # uvloop takes an aborted handshake for a complete one.
            if transport is not None and not self._is_lost and not plain.is_closing():
                self._hand_over(transport)
        except OSError as error:
            # The client speaks no TLS, is too slow, or has left. The error's frames hold the error, and
            # 100 KiB of buffers.
            error.__traceback__ = None
            plain.abort()
        except Exception:
            log.exception("a TLS connection could not begin")
            plain.abort()
        finally:
            self._end()

    def _end(self) -> None:
        """Count no more as a handshake."""
        self._handshakes.pop(self, None)
        self._server.by_address.remove(self, self._address)

    def _hand_over(self, transport: asyncio.Transport) -> None:
        self._end()  # before the connection counts
        protocol = self._server()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._received and not transport.is_closing():
            protocol.data_received(self._received)

    def data_received(self, data: bytes) -> None:
        """Keep what has arrived with the end of the handshake."""
        self._received += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that no protocol is to follow."""
        self._is_lost = True


def _has_left(transport: asyncio.Transport) -> bool:
    """Return whether a client has closed or reset its connection; False where this is not known."""
    sock = transport.get_extra_info("socket")
    if sys.platform != "linux" or sock is None:
        return False
    try:
        # The first byte of `struct tcp_info` is the state (tcp(7)).
        state: bytes = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    except OSError:
        return False  # no TCP socket
    # With TCP Fast Open, a connection may be accepted before it is established.
    return state[0] in _CLOSED_STATES
