"""Answer the questions of `rtdemo doctor` and of the page about the path between them and this server.

Under /api/probe/; `--no-probes` switches it off. Nothing here reaches another connection, and what it
costs is bounded: by how often an address may ask, how many streams there are, and how long they last.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import WSMsgType, hdrs, web

from rtdemo.errors import Refused
from rtdemo.protocol import message, wire
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.web import request_info
from rtdemo.web.admission import check_handshake, check_origin
from rtdemo.web.app_keys import HUB, OTHER_WORKERS, SETTINGS
from rtdemo.web.other_workers import is_from_other_worker
from rtdemo.web.sse import event_stream

FOLLOWED = 10_000
"""Names whose allowance is remembered; the one that asked longest ago is forgotten first."""


class TokenBuckets:
    """Give each name an allowance that refills with time (a token bucket).

    Arguments:
        burst: how often somebody who was quiet may ask at once.
        rate: how much of the allowance comes back a second.
        time: seconds, monotonic.
    """

    def __init__(self, burst: float, rate: float, time: Callable[[], float]) -> None:
        self._burst = burst
        self._rate = rate
        self._time = time
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Use one of a name's allowance; return 0, or the seconds after which there is one again."""
        now = self._time()
        left, at = self._buckets.get(name, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        wait = 0.0 if left >= 1 else (1 - left) / self._rate
        self._buckets[name] = (left if wait else left - 1, now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > FOLLOWED:
            self._buckets.popitem(last=False)
        return wait


PREFIX = "/api/probe/"
BURST, RATE = 120, 2.0
"""Requests that an address may make at once, and how many come back a second."""
STREAMS = 64
"""Streams and sockets that are open at once, of everybody."""
STREAMS_OF_ONE = 24
"""Of one address, or of all who come through one proxy; doctor needs up to 22."""
LONGEST = 600.0
"""Seconds for which one may last."""
SUBPROTOCOL = "rtdemo.probe"
"""What the socket agrees to speak with who offers it."""
ECHOES = 200
"""Texts that one socket sends back; doctor needs some twelve."""
_FORM = re.compile(r"0|[1-9][0-9]{0,5}", re.ASCII)
_LIMITS = {
    "count": (1, 100),
    "every": (0, 10_000),
    "size": (0, MAX_MESSAGE_BYTES),
    "after": (0, int(LONGEST)),
}


@dataclass
class _Allowance:
    """Bound what probes cost."""

    requests: TokenBuckets = field(default_factory=lambda: TokenBuckets(BURST, RATE, time.monotonic))
    streams: Counter[str] = field(default_factory=Counter)


_ALLOWANCE = web.AppKey("_ALLOWANCE", _Allowance)


def setup(app: web.Application) -> None:
    """Add the routes to the application."""
    app[_ALLOWANCE] = _Allowance()
    app.router.add_get(f"{PREFIX}request", seen)
    app.router.add_get(f"{PREFIX}connection", connection)
    app.router.add_get(f"{PREFIX}events", events, allow_head=False)
    app.router.add_get(f"{PREFIX}ws", socket, allow_head=False)


def _check(request: web.Request) -> None:
    """Let a probe pass.

    Raises:
        Refused: 404 where probes are off, 429 for an address that asks too often.
    """
    if not request.app[SETTINGS].probes:
        raise Refused(404, "the probes are off; start the server with --probes")
    wait = request.app[_ALLOWANCE].requests.take(request.remote or "")
    if wait:
        later = {"Retry-After": str(int(wait) + 1)}
        raise Refused(429, f"too many probes from {request.remote}; wait", later)


@asynccontextmanager
async def _lasting(request: web.Request) -> AsyncIterator[None]:
    """Count a stream while it lasts, and end it at its limit."""
    streams, remote = request.app[_ALLOWANCE].streams, request.remote or ""
    if streams.total() >= STREAMS or streams[remote] >= STREAMS_OF_ONE:
        raise Refused(429, f"{streams[remote]} probes of {remote} are open; wait", {"Retry-After": "5"})
    streams[remote] += 1
    try:
        async with asyncio.timeout(LONGEST):
            yield
    except TimeoutError:
        pass
    finally:
        streams[remote] -= 1
        # What is not there counts as 0, and does not grow with the addresses that ever asked.
        streams += Counter()


def _json(content: object) -> web.Response:
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    body = msgspec.json.encode(content)
    return web.Response(body=body, content_type="application/json", headers=headers)


def _seen(request: web.Request) -> dict[str, object]:
    return {
        "method": request.method,
        "path": request.path,
        "http": request_info.version(request),
        "scheme": request.scheme,
        "remote": request.remote,
        "headers": request_info.headers(request),
        "forwarding": request_info.forwarding(request),
        "heartbeat": request.app[SETTINGS].heartbeat,
        "now": message.now(),
    }


async def seen(request: web.Request) -> web.Response:
    """Answer `GET /api/probe/request` with the request as it arrived, without what may be secret."""
    _check(request)
    return _json(_seen(request))


async def connection(request: web.Request) -> web.Response:
    """Answer `GET /api/probe/connection?client=ID` with what that client's connection came through.

    Raises:
        Refused: 404 where no such client is connected.
    """
    from_sibling = is_from_other_worker(request)
    if not from_sibling:
        _check(request)
    found = request.app[HUB].find(request.query.get("client", ""))
    if found is not None and found.route is not None:
        return _json(found.route())
    if not from_sibling:
        for answer in await request.app[OTHER_WORKERS].ask("GET", request.path_qs):
            if answer.status == 200:
                return web.Response(body=answer.body, content_type="application/json")
    raise Refused(404, "client: nobody is connected under this id")


def _number(request: web.Request, name: str, default: int) -> int:
    low, high = _LIMITS[name]
    text = request.query.get(name, str(default))
    if not (_FORM.fullmatch(text) and low <= int(text) <= high):
        raise Refused(400, f"{name}: {text[:100]!r} is not a whole number from {low} to {high}")
    return int(text)


async def events(request: web.Request) -> web.StreamResponse:
    """Answer `GET /api/probe/events` with a stream that says nothing but what it is asked for.

    `?after=` seconds of silence come first (0 to 600), then `count` events (1 to 100), `every` so
    many milliseconds, each with `size` further characters (0 to 65536). Its headers are those of
    /api/sse: what lies between treats both alike.
    """
    check_origin(request)
    _check(request)
    count, every = _number(request, "count", 1), _number(request, "every", 200) / 1000
    size, after = _number(request, "size", 0), _number(request, "after", 0)
    response = event_stream(request, heartbeat=2 * LONGEST)
    async with _lasting(request):
        await response.prepare(request)
        # The head goes out with the first byte of the body.
        await response.write(b":\n\n")
        await asyncio.sleep(after)
        for number in range(1, count + 1):
            event = {"n": number, "sentAt": message.now(), "filling": "x" * size}
            await response.write(wire.sse_event(msgspec.json.encode(event)))
            await asyncio.sleep(every if number < count else 0)
    response.stop_streaming()
    return response


async def socket(request: web.Request) -> web.StreamResponse:
    """Serve `GET /api/probe/ws`: tell the handshake as it arrived, then echo 200 texts; never ping."""
    check_handshake(request)
    check_origin(request)
    _check(request)
    ws = web.WebSocketResponse(
        compress=False, protocols=[SUBPROTOCOL], max_msg_size=MAX_MESSAGE_BYTES + 1
    )
    async with _lasting(request):
        await ws.prepare(request)
        await ws.send_bytes(msgspec.json.encode(_seen(request)))
        for _ in range(ECHOES):
            said = await ws.receive()
            if said.type is not WSMsgType.TEXT:
                break
            await ws.send_str(said.data)
            # A client that floods waits for everyone else's turn after each text.
            await asyncio.sleep(0)
    await ws.close()
    return ws
