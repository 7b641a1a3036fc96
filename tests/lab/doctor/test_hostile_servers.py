"""`rtdemo doctor` on servers that answer with garbage: it ends, and no exception reaches its user."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from tests.lab.doctor.doctor_run import examine
from tests.raw_server import raw_server

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
NOISE = random.Random(7).randbytes(3000)
ANSWERS = {
    "nothing": b"",
    "noise": NOISE,
    "no body": b"HTTP/1.1 200 OK\r\n\r\n",
    "foreign events": STREAM + b"\r\n" + b"data: {}\n\n" * 1000,
    "no gzip": STREAM + b"Content-Encoding: gzip\r\n\r\n" + NOISE,
    "wrong handshake": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n" + NOISE,
    "deep JSON": JSON + b"[" * 100_000,
    "huge numbers": JSON
    + json.dumps({"headers": {}, "now": 10**400, "heartbeat": 10**400, "sseHeartbeat": -1}).encode(),
    "events of no time": STREAM
    + b"\r\n"
    + b'data: {"producer": "probe", "client": "a", "sentAt": 1%s}\n\n' % (b"0" * 400) * 10,
    "incomplete error": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1000\r\n\r\n<html>",
    "wrong types": JSON
    + json.dumps({"headers": {"a": 1}, "http": 5, "forwarding": 7, "heartbeat": "x"}).encode(),
    "no address": b"HTTP/1.1 302 Found\r\nLocation: http://[::bad/\r\nContent-Length: 0\r\n\r\n",
    "control codes": b"HTTP/1.1 999 \x1b[2J\r\nServer: \x1b[31mx\r\nContent-Length: 0\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_garbage_is_reported(answer: str) -> None:
    """As the answer of a server, of one stream and of one WebSocket, in printable words."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(ANSWERS[answer])
        await writer.drain()

    async with raw_server(serve) as port:
        url = f"http://127.0.0.1:{port}"
        addresses = (url, f"{url}/stream", f"{url.replace('http', 'ws')}/socket")
        reports = await asyncio.gather(*(examine(address, idle=1) for address in addresses))
    for report in reports:
        assert report.exit_code in (1, 2)
        for line in report.lines():
            assert line.plain.isprintable()
            assert "Error" not in line.plain
