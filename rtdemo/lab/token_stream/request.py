"""The request that asks for a token stream, and the file with its body."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from rtdemo import __version__
from rtdemo.errors import AddressError, FileError
from rtdemo.protocol import address as addresses
from rtdemo.protocol.address import Address

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Longest body that is sent."""
_SAFE = "/%:@!$&'()*+,;=~"
"""Characters that a path may have (RFC 3986 section 3.3), and those of an escaped one."""
STANDARD_INPUT = Path("-")
DEFAULT_HEADERS = {
    "accept": "*/*",
    # What client libraries accept: a proxy compresses for them what it does not compress for curl.
    "accept-encoding": "gzip, deflate",
    "content-type": "application/json",
    "user-agent": f"rtdemo/{__version__} doctor",
}
"""Headers of each request, by their name in lower case; the user's headers replace them."""


@dataclass(frozen=True, slots=True)
class Request:
    """A POST to one address.

    Arguments:
        address: of the server or proxy.
        target: path and query.
        headers: by their name in lower case.
        body: bytes to send.
    """

    address: Address
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def url(self) -> str:
        """Scheme, host, port, path and query."""
        return self.address.origin + self.target

    @property
    def is_stream_asked(self) -> bool:
        """Whether the body asks for a stream, or need not: only JSON with `"stream": false` does not."""
        try:
            body = json.loads(self.body)
        except (ValueError, RecursionError):
            return True
        return not isinstance(body, dict) or bool(body.get("stream", "messages" not in body))

    def encode(self) -> bytes:
        """Return the request as HTTP/1.1 (RFC 9112 section 3); no header has a line break."""
        host = self.address.origin.partition("://")[2]
        lines = [f"POST {self.target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name.title()}: {value}" for name, value in self.headers.items()]
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode() + self.body

    def without_compression(self) -> Request:
        """Return the same request, which allows no compression of the answer."""
        headers = {**self.headers, "accept-encoding": "identity"}
        return Request(self.address, self.target, headers, self.body)


def read_body(path: Path) -> bytes:
    """Return the content of the file with the body; `-` is the standard input.

    Raises:
        FileError: if it cannot be read, or is too long.
    """
    try:
        with sys.stdin.buffer if path == STANDARD_INPUT else path.open("rb") as file:
            body = file.read(MAX_BODY_BYTES + 1)
    except OSError as error:
        raise FileError(path, f"cannot be read: {(error.strerror or str(error)).lower()}") from error
    if len(body) > MAX_BODY_BYTES:
        raise FileError(path, f"is over {MAX_BODY_BYTES // 1024**2} MiB; give a shorter body")
    return body


def new_request(url: str, headers: Mapping[str, str], body: bytes) -> Request:
    """Return the request of a body to a URL, as a user writes it.

    Arguments:
        url: of the endpoint, such as `https://host/v1/chat/completions`; `http://` may be left out.
        headers: of the user.
        body: bytes to send.

    Raises:
        AddressError: if it is not an address for a POST.
    """
    address = addresses.parse(url, headers)
    if url.startswith(("ws://", "wss://")):
        raise AddressError(url, "is a WebSocket, which takes no POST")
    parts = urlsplit(url if "://" in url else f"http://{url}")
    path = quote(parts.path or "/", safe=_SAFE)
    target = urlunsplit(("", "", path, quote(parts.query, safe=_SAFE + "?"), ""))
    named = DEFAULT_HEADERS | {name.lower(): value for name, value in headers.items()}
    return Request(address, target, named, body)
