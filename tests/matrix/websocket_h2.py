"""Open a WebSocket over HTTP/2 (RFC 8441), to find out whether a browser can."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RemoteSettingsChanged, ResponseReceived, StreamEnded, StreamReset

TIMEOUT_S = 6.0


async def handshake(url: str) -> tuple[bool, int, str]:
    """Return whether HTTP/2 offers WebSockets, the status of a handshake, and why there is none.

    Arguments:
        url: `wss://…`; its certificate may be any.
    """
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
            try:
                return await _converse(reader, writer, parts.netloc, parts.path)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError) as error:
        return True, 0, f"{type(error).__name__}: {error}"


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str
) -> tuple[bool, int, str]:
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    writer.write(connection.data_to_send())
    is_asked = False
    while data := await reader.read(65_536):
        for event in connection.receive_data(data):
            if isinstance(event, RemoteSettingsChanged) and not is_asked:
                if not connection.remote_settings.enable_connect_protocol:
                    return False, 0, ""
                is_asked = True
                connection.send_headers(1, _request(host, path))
            elif isinstance(event, ResponseReceived):
                assert event.headers is not None
                headers = {_text(name): _text(value) for name, value in event.headers}
                return True, int(headers[":status"]), ""
            elif isinstance(event, StreamReset | StreamEnded):
                return True, 0, "the stream was reset"
        writer.write(connection.data_to_send())
    return is_asked, 0, "the connection was closed"


def _request(host: str, path: str) -> list[tuple[str, str]]:
    return [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", path),
        (":authority", host),
        ("sec-websocket-version", "13"),
        ("origin", f"https://{host}"),
    ]


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
