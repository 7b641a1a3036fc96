"""Serve the plain way, to compare with: aiohttp and aiohttp-sse as documented, a task per ticker.

Nothing here is slower than it has to be: uvloop, no access log, no compression, no other work.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count

import uvloop
from aiohttp import WSMsgType, web
from aiohttp_sse import sse_response

from benchmarks.workload import MAX_SPEED, MIN_SPEED, Transport, periods

Send = Callable[[str], Awaitable[None]]

LABELS: dict[Transport, str] = {"websocket": "WebSocket", "sse": "SSE"}
STATUSES: dict[Transport, tuple[str, ...]] = {
    "websocket": (
        "Real-time sync active",
        "WebSocket health: Excellent",
        "Low latency confirmed",
        "Bidirectional ready",
        "Connection stable",
        "Data stream flowing",
    ),
    "sse": (
        "Processing data...",
        "Server load: Normal",
        "Database sync completed",
        "Cache refreshed",
        "Monitoring active",
        "System health: Good",
    ),
}


def encode(text: str, producer: str, seq: int) -> str:
    """Return one message as JSON, sent now.

    Arguments:
        text: what it says.
        producer: its producer's name.
        seq: counts this producer's messages on this connection, from 1.
    """
    sent_at = time.time_ns() // 1000 / 1000
    return json.dumps({"message": text, "sentAt": sent_at, "producer": producer, "seq": seq})


def text_of(producer: str, transport: Transport) -> str:
    """Return a message's text as the built-in producer of that name makes it."""
    if producer == "status":
        return random.choice(STATUSES[transport])
    return f"{LABELS[transport]} Message {random.randrange(1000)}"


async def tick(send: Send, producer: str, transport: Transport, period: float) -> None:
    """Send one message every period until the client is gone.

    Arguments:
        send: waits until the text is handed to the network.
        producer: what to send.
        transport: whose texts are sent.
        period: seconds between two messages.
    """
    for seq in count(1):
        await asyncio.sleep(period)
        try:
            await send(encode(text_of(producer, transport), producer, seq))
        except ConnectionError:
            return


@asynccontextmanager
async def ticking(send: Send, transport: Transport, speed: float) -> AsyncIterator[None]:
    """Welcome the client and keep one task per producer running within the block.

    Arguments:
        send: waits until the text is handed to the network.
        transport: whose producers run.
        speed: multiplies the rates.
    """
    await send(encode(f"{LABELS[transport]} connection established", "welcome", 1))
    tasks = [
        asyncio.create_task(tick(send, name, transport, period))
        for name, period in periods(transport, speed).items()
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def speed_of(request: web.Request) -> float:
    """Return the query's speed, 1 without one; 400 for anything that is not a number in range."""
    try:
        speed = float(request.query.get("speed", "1"))
    except ValueError as error:
        raise web.HTTPBadRequest(text="speed is a number") from error
    if not MIN_SPEED <= speed <= MAX_SPEED:
        raise web.HTTPBadRequest(text=f"speed is {MIN_SPEED} to {MAX_SPEED}")
    return speed


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """Serve one WebSocket: tickers, and an echo of each text."""
    speed = speed_of(request)
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async with ticking(socket.send_str, "websocket", speed):
        async for frame in socket:
            if frame.type is WSMsgType.TEXT:
                await socket.send_str(encode(f"Echo: {frame.data}", "echo", 1))
    return socket


async def events(request: web.Request) -> web.StreamResponse:
    """Serve one event stream."""
    speed = speed_of(request)
    async with sse_response(request) as response, ticking(response.send, "sse", speed):
        await response.wait()
    return response


def application() -> web.Application:
    """Return the application: WebSocket at /, events at /api/sse."""
    app = web.Application()
    app.add_routes([web.get("/", websocket), web.get("/api/sse", events)])
    return app


def main() -> None:
    """Serve on loopback until a signal ends it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--port", type=int, required=True, help="TCP port on 127.0.0.1 for both transports"
    )
    port = parser.parse_args().port
    web.run_app(
        application(),
        host="127.0.0.1",
        port=port,
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )


if __name__ == "__main__":
    main()
