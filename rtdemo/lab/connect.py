"""Connect to a server with TLS where it has it, and through the proxy of the environment if one is set.

`HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are read as curl and browsers do. The proxy gets a CONNECT
request (RFC 9110 section 9.3.6), so what follows is the same as without it.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from rtdemo.protocol.address import Address

MAX_HEAD_BYTES = 16 * 1024
"""Bytes of the longest answer of a proxy to CONNECT."""


P = TypeVar("P", bound=asyncio.BaseProtocol)


class ProxyError(ConnectionError):
    """Report that the proxy of the environment does not connect to the server."""


def environment_proxy(address: Address) -> SplitResult | None:
    """Return the URL of the proxy that the environment sets for a server; None for none."""
    if proxy_bypass(address.host):
        return None
    given = getproxies().get("https" if address.secure else "http")
    if not given:
        return None
    parts = urlsplit(given if "://" in given else f"http://{given}")
    if parts.scheme != "http" or not parts.hostname:
        raise ProxyError(f"the environment sets the proxy {parts.scheme}://…; only http:// is supported")
    return parts


async def connect(
    address: Address, protocol: Callable[[], P], context: ssl.SSLContext | None
) -> tuple[asyncio.Transport, P]:
    """Connect to a server; the caller limits the time.

    Arguments:
        address: of the server.
        protocol: makes the protocol of the connection.
        context: parameters of TLS; None for a connection without it.

    Raises:
        OSError: if no connection is made; `ssl.SSLError` and `ProxyError` among others.
    """
    loop = asyncio.get_running_loop()
    proxy = environment_proxy(address)
    if proxy is None:
        name = address.host if context is not None else None
        return await loop.create_connection(
            protocol, address.host, address.port, ssl=context, server_hostname=name
        )
    transport, tunnel = await loop.create_connection(Tunnel, str(proxy.hostname), proxy.port or 80)
    try:
        transport.write(_connect_request(address, proxy))
        await tunnel.opened
    except BaseException:
        transport.abort()
        raise
    made = protocol()
    if context is not None:
        secured = await loop.start_tls(transport, made, context, server_hostname=address.host)
        if secured is None:
            raise ConnectionError("the connection was lost")
        transport = secured
    else:
        transport.set_protocol(made)
    made.connection_made(transport)
    return transport, made


class Tunnel(asyncio.Protocol):
    """Read a proxy's answer to CONNECT.

    Attributes:
        opened: done once the proxy has connected; has a `ProxyError` if it does not.
    """

    def __init__(self) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        """Take part of the answer. A server that speaks first would need more than this."""
        self._head += data
        if self.opened.done() or (b"\r\n\r\n" not in self._head and len(self._head) < MAX_HEAD_BYTES):
            return
        status = self._head.split(b" ", 2)[1:2]
        if status == [b"200"]:
            self.opened.set_result(None)
        else:
            shown = status[0].decode(errors="replace")[:20] if status else "nothing"
            self.opened.set_exception(ProxyError(f"the proxy answers {shown} to CONNECT"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Report a proxy that does not answer."""
        if not self.opened.done():
            self.opened.set_exception(ProxyError("the proxy does not answer to CONNECT"))


def _connect_request(address: Address, proxy: SplitResult) -> bytes:
    host = f"[{address.host}]" if ":" in address.host else address.host
    target = f"{host}:{address.port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username is not None:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}")
    return "\r\n".join([*lines, "", ""]).encode()
