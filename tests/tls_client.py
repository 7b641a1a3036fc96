"""A client over TLS that sends raw bytes, and a certificate for the server."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rtdemo.server.server import Server
from tests.certificate import self_signed
from tests.raw_client import request


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with the certificate of the server and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    self_signed(folder)
    return folder


@pytest.fixture
def server_context(certificate: Path) -> ssl.SSLContext:
    """TLS for `start(ssl_context=...)`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "certificate.pem", certificate / "key.pem")
    return context


@pytest.fixture
def client_context(certificate: Path) -> ssl.SSLContext:
    """TLS for a client that trusts only the server of this test."""
    return ssl.create_default_context(cafile=str(certificate / "certificate.pem"))


class TlsClient:
    """A TLS connection to the site of a transport.

    Attributes:
        writer: takes what is sent.
        received: all that `read_until` and `read_to_end` have read.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.received = b""

    @classmethod
    async def connect(
        cls, server: Server, transport: str, context: ssl.SSLContext, more: bytes = b""
    ) -> TlsClient:
        """Send the request that opens a transport, with more bytes in the same TLS record."""
        url = urlsplit(server.websocket_url if transport == "websocket" else server.web_url)
        reader, writer = await asyncio.open_connection("127.0.0.1", url.port, ssl=context)
        writer.write(request(server, transport) + more)
        return cls(reader, writer)

    async def read_until(self, marker: bytes) -> None:
        """Read until some bytes have arrived.

        Raises:
            AssertionError: the server closes before.
        """
        while marker not in self.received:
            data = await self._reader.read(64 * 1024)
            assert data, f"the server closed before {marker!r}: {self.received[-500:]!r}"
            self.received += data

    async def read_to_end(self) -> bytes:
        """Read until the server closes; return all that it sent since the beginning."""
        self.received += await self._reader.read()
        return self.received

    async def leave(self, by_reset: bool = False) -> None:
        """Close with an alert of TLS and FIN, or with RST alone."""
        if by_reset:
            sock = self.writer.get_extra_info("socket")
            # Linger of zero seconds: close sends RST.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        self.writer.close()
        with suppress(OSError):  # after RST
            await self.writer.wait_closed()
