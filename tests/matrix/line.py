"""Bad lines and unknown proxies, in this process: TCP that delays, throttles, drops or cuts, and more.

An unknown proxy here is one that no product's sign shows: it holds back what the server sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tests.matrix.tcp_server import TcpServer

READ_BYTES = 16_384
SLICE_S = 0.05
"""A slow line forwards what it may in such a time."""


class Line(TcpServer):
    """Forward TCP connections to a port of loopback, with the faults of `options`.

    Arguments:
        upstreams: ports; connections take turns over them.
        options: `delay_s` in each direction; `bytes_per_s` to the client; `drop_after_s` of silence,
            after which nothing more is forwarded; `max_age_s`, after which a connection is cut;
            `hold_next`: what the server sends waits until the server sends again; `hold_bytes`: it
            waits for so many bytes; `hold_end`: it waits for the end; `clump_s`: it waits so long.
    """

    def __init__(self, upstreams: tuple[int, ...], options: Mapping[str, float]) -> None:
        super().__init__(self._forward)
        self._upstreams = upstreams
        self._options = options
        self._count = 0
        self._waiting: dict[asyncio.StreamWriter, bytearray] = {}

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = self._upstreams[self._count % len(self._upstreams)]
        self._count += 1
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        heard = [asyncio.get_running_loop().time()]
        pumps = [
            asyncio.ensure_future(self._pump(reader, server_writer, heard, is_answer=False)),
            asyncio.ensure_future(self._pump(server_reader, writer, heard, is_answer=True)),
        ]
        try:
            age = self._options.get("max_age_s")
            await asyncio.wait(pumps, timeout=age, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for side in (writer, server_writer):
                side.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        heard: list[float],
        *,
        is_answer: bool,
    ) -> None:
        options = self._options
        loop = asyncio.get_running_loop()
        held = b""
        is_held = is_answer and any(name.startswith("hold_") for name in options)
        while data := await reader.read(READ_BYTES):
            silence = loop.time() - heard[0]
            heard[0] = loop.time()
            if 0 < options.get("drop_after_s", 0) < silence:
                await asyncio.Event().wait()
            if is_held:
                data, held = self._release(held, data)
            if is_answer and (wait := options.get("clump_s")):
                self._flush_later(writer, data, wait)
            elif rate := options.get("bytes_per_s") if is_answer else None:
                await _throttle(writer, data, rate)
            elif delay := options.get("delay_s"):
                loop.call_later(delay, _write, writer, data)
            elif data:
                writer.write(data)
                await writer.drain()
        if held:
            writer.write(held)
            await writer.drain()
        if delay := options.get("delay_s") or options.get("clump_s"):
            await asyncio.sleep(delay + SLICE_S)

    def _flush_later(self, writer: asyncio.StreamWriter, data: bytes, wait: float) -> None:
        """Collect data until a timer ends, which the first byte starts."""
        waiting = self._waiting.setdefault(writer, bytearray())
        if not waiting:
            asyncio.get_running_loop().call_later(wait, self._flush, writer)
        waiting += data

    def _flush(self, writer: asyncio.StreamWriter) -> None:
        _write(writer, bytes(self._waiting.pop(writer, b"")))

    def _release(self, held: bytes, data: bytes) -> tuple[bytes, bytes]:
        """Return what is forwarded now, and what waits."""
        options = self._options
        if "hold_next" in options:
            # The head of an answer and its first event pass.
            return (data, b"") if data.startswith(b"HTTP/") else (held, data)
        if data.startswith(b"HTTP/") and b"event-stream" not in data:
            return held + data, b""
        if "hold_bytes" in options and len(held) + len(data) >= options["hold_bytes"]:
            return held + data, b""
        if b"0\r\n\r\n" in data[-5:]:
            return held + data, b""
        return b"", held + data


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)


async def _throttle(writer: asyncio.StreamWriter, data: bytes, rate: float) -> None:
    step = max(1, int(rate * SLICE_S))
    for begin in range(0, len(data), step):
        writer.write(data[begin : begin + step])
        await writer.drain()
        await asyncio.sleep(SLICE_S)
