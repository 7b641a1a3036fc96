"""Parse the address of a server: where its WebSocket, its event stream and its API are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import SplitResult, urlencode, urlsplit, urlunsplit

from rtdemo.errors import AddressError
from rtdemo.protocol.client import TRANSPORTS, Transport

_SECURE = {"http": False, "ws": False, "https": True, "wss": True}
_USER_INFO = re.compile(r"^([^/]*//)?[^/]*@")
"""User name and password of an address, which no error shows."""

SERVER_PATHS = ("/view", "/ws", "/api/publish")
"""Paths of a server that users give instead of its address."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a server.

    `http://host:3000` is an rtdemo server: SSE at /api/sse, WebSocket at /ws, and the API. So is
    `http://host/path/` with a slash at the end: a server below that path.
    `ws://host/path` is one WebSocket, and `http://host/path` one event stream, of any server.

    Arguments:
        origin: scheme, host and port, such as `http://localhost:3000`.
        host: without port and brackets.
        port: TCP port.
        secure: whether the server uses TLS.
        streams: URL of each transport that the address has.
        is_whole: whether it is the address of a server, not of one stream.
        base_path: path below which the server is, such as `/rt`; empty for none.
        headers: of the user, to send with each request to this server, such as a login token.
    """

    origin: str
    host: str
    port: int
    secure: bool
    streams: Mapping[Transport, str]
    is_whole: bool
    base_path: str
    headers: Mapping[str, str] = field(repr=False)

    @property
    def transports(self) -> tuple[Transport, ...]:
        """The transports that the address has."""
        return tuple(name for name in TRANSPORTS if name in self.streams)

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine, and so has its clock."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    def url(self, path: str) -> str:
        """Return the URL of a path of rtdemo, such as `/api/time`."""
        return self.origin + self.base_path + path

    def stream(self, transport: Transport, query: Mapping[str, str | None] | None = None) -> str:
        """Return the URL of a transport.

        Arguments:
            transport: of the stream.
            query: parameters to add; those with the value None are left out.

        Raises:
            AddressError: if the address is one stream of the other transport.
        """
        if transport not in self.streams:
            only = ", ".join(self.transports)
            raise AddressError(self.origin, f"is a {only} address, without {transport}")
        given = {name: value for name, value in (query or {}).items() if value is not None}
        parts = urlsplit(self.streams[transport])
        return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(given))))))


def parse(text: str, headers: Mapping[str, str] | None = None) -> Address:
    """Parse an address as a user writes it; `http://` may be left out, and `localhost` before a port.

    Arguments:
        text: the address.
        headers: of the user, to send with each request to this server; None for none.

    Raises:
        AddressError: if it is not an address.
    """
    shown = _USER_INFO.sub(r"\1...@", text)
    if any(character.isspace() for character in text):
        raise AddressError(shown, "contains white space")
    if text.isascii() and text.isdigit():
        text = f"localhost:{text}"
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host = parts.hostname
    except ValueError as error:
        raise AddressError(shown, f"is not a valid address ({error})") from error
    if parts.scheme not in _SECURE:
        raise AddressError(shown, f"has the scheme {parts.scheme!r}")
    port = _port(parts, shown)
    if not host:
        raise AddressError(shown, "has no host")
    if parts.username is not None:
        raise AddressError(shown, "contains a user name, which rtdemo does not send")
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise AddressError(shown, f"has an invalid host name ({error})") from error
    secure = _SECURE[parts.scheme]
    return _address(parts, host, port or (443 if secure else 80), secure, headers or {})


def _port(parts: SplitResult, shown: str) -> int | None:
    try:
        port = parts.port
    except ValueError as error:
        raise AddressError(shown, "has a port that is not a number from 1 to 65535") from error
    if port == 0:
        raise AddressError(shown, "has the port 0")
    return port


def parse_server(text: str) -> Address:
    """Parse the address of an rtdemo server, for those who need its API and not a stream.

    A path is that below which the server is, with or without a slash at its end.

    Arguments:
        text: as `parse` takes it, such as `localhost:3000` or `https://host/rt`.

    Raises:
        AddressError: if it is not such an address.
    """
    try:
        found = parse(text)
        if found.is_whole:
            return found
        url = found.streams.get("sse")
        if url is None or urlsplit(url).query:
            raise AddressError(text, "is the address of one stream")
        return parse(f"{url}/")
    except AddressError as error:
        raise AddressError(
            error.given, error.problem, "that of an rtdemo server, http://host:port"
        ) from None


def hint_at_server(url: str) -> str:
    """Return which address to give instead of that of a page, for the fix of an error.

    Arguments:
        url: such as `http://host/rt/view`, for which it is `http://host/rt/`. For a path that is not one
            of a server, it is the root.
    """
    parts = urlsplit(url)
    bases = (parts.path.removesuffix(path) for path in SERVER_PATHS if parts.path.endswith(path))
    return f"for an rtdemo server, give {parts.scheme}://{parts.netloc}{next(bases, '')}/"


def _address(
    parts: SplitResult, host: str, port: int, secure: bool, headers: Mapping[str, str]
) -> Address:
    http, ws = ("https", "wss") if secure else ("http", "ws")
    is_whole = parts.scheme == http and not parts.query and (not parts.path or parts.path.endswith("/"))
    base_path = parts.path.rstrip("/")
    streams: dict[Transport, str]
    if is_whole:
        streams = {
            "websocket": f"{ws}://{parts.netloc}{base_path}/ws",
            "sse": f"{http}://{parts.netloc}{base_path}/api/sse",
        }
    else:
        given = urlunsplit(parts._replace(fragment=""))
        streams = {"websocket" if parts.scheme == ws else "sse": given}
    origin = f"{http}://{parts.netloc}"
    return Address(origin, host, port, secure, streams, is_whole, base_path if is_whole else "", headers)
