"""POST /api/publish on a port of its own, for libraries that accept no request with a body."""

import asyncio
import json
import re
from collections.abc import Callable

from benchmarks.peers.behaviour import encode

LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def open_publish_port(port: int, everyone: Callable[[str], object]) -> asyncio.Server:
    """Serve on loopback until the loop ends.

    Arguments:
        port: TCP port.
        everyone: sends one message, as JSON, to every client.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while found := LENGTH.search(await reader.readuntil(b"\r\n\r\n")):
                body = json.loads(await reader.readexactly(int(found[1])))
                everyone(encode(body["message"]))
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the publisher has left
        finally:
            writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", port)
