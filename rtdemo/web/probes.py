"""Probes: what `rtdemo doctor` and the page ask about the network between them and this server.

They are under /api/probe/; `--no-probes` switches them off. They reach no other connection. Limits bound
their cost: requests per address, open streams, and how long these last.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import WSMsgType, web

from rtdemo.errors import Refused
from rtdemo.protocol import message, wire
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.timing.token_bucket import TokenBuckets
from rtdemo.web import request_info
from rtdemo.web.admission import check_origin
from rtdemo.web.api import json_response
from rtdemo.web.app_keys import HUB, OTHER_WORKERS, SETTINGS
from rtdemo.web.client_address import client_address
from rtdemo.web.forwarding import forwarding_headers
from rtdemo.web.handshake import check_handshake
from rtdemo.web.other_workers import is_from_other_worker
from rtdemo.web.sse import event_stream

PREFIX = "/api/probe/"
"""Path under which all probes are."""
SUBPROTOCOL = "rtdemo.probe"
"""WebSocket subprotocol that the probe socket accepts from a client that offers it."""
BURST, REQUESTS_PER_SECOND = 120, 2.0
"""Requests that an address may make at once, and that it may make each second in the long run."""
MAX_STREAMS = 64
"""Streams and sockets open at once, of all addresses."""
MAX_STREAMS_OF_ADDRESS = 24
"""Streams and sockets of one address, or of all clients behind one proxy; doctor needs up to 22."""
MAX_STREAM_S = 600.0
"""Seconds for which a stream or socket may last."""
LEAVE_CHECK_S = 1.0
"""Seconds after which a silent stream notices that its client has left."""
MAX_ECHOES = 200
"""Texts and pings that one socket sends back; doctor needs about twelve."""
CLOSE_TIMEOUT_S = 1.0
"""Seconds for a client to answer the close frame of its socket."""
_INTEGER = re.compile(r"0|[1-9][0-9]{0,5}", re.ASCII)
_BOUNDS = {
    "count": (1, 100),
    "every": (0, 10_000),
    "size": (0, MAX_MESSAGE_BYTES),
    "after": (0, int(MAX_STREAM_S)),
}
"""Smallest and largest value of each parameter of a stream."""


@dataclass
class ProbeUsage:
    """Count what probes use, to bound it.

    Arguments:
        requests: the rate of each address.
        streams: open streams and sockets by address, without those that have none.
    """

    requests: TokenBuckets = field(default_factory=lambda: TokenBuckets(REQUESTS_PER_SECOND, BURST))
    streams: Counter[str] = field(default_factory=Counter)


_USAGE = web.AppKey("_USAGE", ProbeUsage)


def setup(app: web.Application) -> None:
    """Add the routes to the application."""
    app[_USAGE] = ProbeUsage()
    app.router.add_get(f"{PREFIX}request", show_request)
    app.router.add_get(f"{PREFIX}connection", show_connection)
    app.router.add_get(f"{PREFIX}events", events, allow_head=False)
    app.router.add_get(f"{PREFIX}ws", socket, allow_head=False)


async def show_request(request: web.Request) -> web.Response:
    """Answer `GET /api/probe/request` with the request as it arrived, without possible secrets."""
    _check(request)
    return json_response(_describe(request))


async def show_connection(request: web.Request) -> web.Response:
    """Answer `GET /api/probe/connection?client=ID` with what that client's connection came through.

    Raises:
        Refused: 404 where no client with this id is connected.
    """
    from_other_worker = is_from_other_worker(request)
    if not from_other_worker:
        _check(request)
    found = request.app[HUB].find(request.query.get("client", ""))
    if found is not None and found.connection_info is not None:
        return json_response(found.connection_info())
    if not from_other_worker:
        for answer in await request.app[OTHER_WORKERS].ask("GET", request.path_qs):
            if answer.status == 200:
                return web.Response(body=answer.body, content_type="application/json")
    raise Refused(404, "client: no client with this id is connected")


async def events(request: web.Request) -> web.StreamResponse:
    """Answer `GET /api/probe/events` with a stream of as many events as it asks for.

    First come `after` seconds of silence (0 to 600). Then come `count` events (1 to 100), one every
    `every` milliseconds, each with `size` further characters (0 to 65536). The headers are those of
    /api/sse, so that proxies treat both alike.

    Raises:
        Refused: 400, 403, 404 or 429 instead of the stream.
    """
    check_origin(request)
    _check(request)
    count, every = _integer(request, "count", 1), _integer(request, "every", 200) / 1000
    size, after = _integer(request, "size", 0), _integer(request, "after", 0)
    response = event_stream(request, heartbeat=2 * MAX_STREAM_S)
    async with _bounded_stream(request):
        if request.transport is None:
            raise ConnectionResetError  # aiohttp-sse asserts that the client is there
        await response.prepare(request)
        # The head is sent with the first byte of the body.
        await response.write(b":\n\n")
        await _sleep_while_open(request, after)
        for number in range(1, count + 1):
            event = {"n": number, "sentAt": message.now(), "filling": "x" * size}
            await response.write(wire.sse_event(msgspec.json.encode(event)))
            await _sleep_while_open(request, every if number < count else 0)
    response.stop_streaming()
    return response


async def _sleep_while_open(request: web.Request, seconds: float) -> None:
    """Sleep, but return early once the client has left, so that its stream does not count any more.

    Raises:
        ConnectionResetError: it has left.
    """
    end = time.monotonic() + seconds
    while (rest := end - time.monotonic()) > 0:
        await asyncio.sleep(min(rest, LEAVE_CHECK_S))
        if request.transport is None:
            raise ConnectionResetError


async def socket(request: web.Request) -> web.StreamResponse:
    """Serve `GET /api/probe/ws`: send the handshake as it arrived, then echo up to 200 texts.

    It never sends a ping. Pings count as texts: aiohttp would answer all that have arrived in one turn
    of the loop, which may be 40,000.

    Raises:
        Refused: 400, 403, 404, 426 or 429 instead of the upgrade.
    """
    check_handshake(request)
    check_origin(request)
    _check(request)
    ws = web.WebSocketResponse(
        timeout=CLOSE_TIMEOUT_S,
        autoping=False,
        compress=False,
        protocols=[SUBPROTOCOL],
        max_msg_size=MAX_MESSAGE_BYTES + 1,
    )
    async with _bounded_stream(request):
        await ws.prepare(request)
        await ws.send_bytes(msgspec.json.encode(_describe(request)))
        pings = 0
        for _ in range(MAX_ECHOES):
            received = await ws.receive()
            if received.type is WSMsgType.PING:
                pings += 1
                await ws.pong(received.data)
            elif received.type is WSMsgType.TEXT:
                await ws.send_str(received.data)
            elif received.type is not WSMsgType.PONG:
                break
            # Let other tasks run after each frame, so that a client that floods delays none of them.
            await asyncio.sleep(0)
        else:
            # aiohttp's close would go on reading a flood of pings.
            if pings and request.transport is not None:
                request.transport.abort()
    await ws.close()
    return ws


def _check(request: web.Request) -> None:
    """Admit a probe.

    Raises:
        Refused: 404 while probes are off; 429 for an address that asks too often.
    """
    if not request.app[SETTINGS].probes:
        raise Refused(404, "the probes are off; start the server with --probes")
    address, now = _counted_address(request), time.monotonic()
    bucket = request.app[_USAGE].requests.of(address, now)
    if not bucket.take(now):
        later = {"Retry-After": str(int(bucket.wait(now)) + 1)}
        raise Refused(429, f"too many probes from {address}; try again later", later)


def _counted_address(request: web.Request) -> str:
    """Return what counts as one client. Unlike other limits, those of probes exempt nobody."""
    remote = client_address(request)
    return request.app[HUB].limits.address(remote) or remote


@asynccontextmanager
async def _bounded_stream(request: web.Request) -> AsyncIterator[None]:
    """Count a stream while it is open, and end it after its longest time.

    Raises:
        Refused: 429 where too many streams are open.
    """
    streams, address = request.app[_USAGE].streams, _counted_address(request)
    if streams.total() >= MAX_STREAMS or streams[address] >= MAX_STREAMS_OF_ADDRESS:
        sentence = f"{streams[address]} probes of {address} are open; try again later"
        raise Refused(429, sentence, {"Retry-After": "5"})
    streams[address] += 1
    try:
        async with asyncio.timeout(MAX_STREAM_S):
            yield
    except TimeoutError:
        pass
    finally:
        streams[address] -= 1
        # Drop addresses with no stream: the counter must not grow with all that ever asked.
        streams += Counter()


def _describe(request: web.Request) -> dict[str, object]:
    return {
        "method": request.method,
        "path": request.path,
        "http": request_info.http_version(request),
        "scheme": request.scheme,
        "remote": client_address(request),
        "headers": request_info.headers(request),
        "forwarding": forwarding_headers(request),
        "heartbeat": request.app[SETTINGS].heartbeat,
        "now": message.now(),
    }


def _integer(request: web.Request, name: str, default: int) -> int:
    low, high = _BOUNDS[name]
    text = request.query.get(name, str(default))
    if not (_INTEGER.fullmatch(text) and low <= int(text) <= high):
        raise Refused(400, f"{name}: {text[:100]!r} is not a whole number from {low} to {high}")
    return int(text)
