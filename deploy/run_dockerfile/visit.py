"""Visit a server as clients do: fetch its page, open a stream, and read how the stream ends."""

from __future__ import annotations

import http.client
import socket
from typing import Self

TIMEOUT_S = 15.0
"""Longer than a message takes, shorter than a person waits."""
GOING_AWAY = (1001).to_bytes(2)
"""The WebSocket close code of a server that ends (RFC 6455, section 7.4.1)."""
_HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_REQUEST = "GET /api/sse HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"


class Stream:
    """Hold an open connection and the bytes that arrived on it.

    Arguments:
        request: the HTTP request that opens it.
        port: of the server, on loopback.
    """

    def __init__(self, request: str, port: int) -> None:
        self.received = b""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._socket.sendall(request.encode())

    @classmethod
    def websocket(cls, port: int) -> Self:
        """Open a WebSocket."""
        return cls(_HANDSHAKE, port)

    @classmethod
    def sse(cls, port: int) -> Self:
        """Open an event stream."""
        return cls(_REQUEST, port)

    def wait_for(self, part: bytes) -> bool:
        """Read until these bytes arrived; return False where the stream ends before."""
        while part not in self.received:
            if not (more := self._socket.recv(65536)):
                return False
            self.received += more
        return True

    def read_to_end(self) -> bytes:
        """Return the bytes that arrive until the server closes the connection."""
        rest = b""
        while more := self._socket.recv(65536):
            rest += more
        self.close()
        return rest

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def fetch(path: str, port: int) -> tuple[int, str]:
    """Return the status and the body of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
