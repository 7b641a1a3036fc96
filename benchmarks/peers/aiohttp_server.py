"""aiohttp and aiohttp-sse, as their documentation shows, on uvloop, without access log and compression.

Usage: python -m benchmarks.peers.aiohttp_server PORT
"""

import asyncio
import contextlib
import sys

import uvloop
from aiohttp import WSMsgType, web
from aiohttp_sse import EventSourceResponse, sse_response

from benchmarks.peers.behaviour import encode, ticking

SOCKETS = web.AppKey("SOCKETS", set[web.WebSocketResponse])
STREAMS = web.AppKey("STREAMS", set[EventSourceResponse])


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """Serve one WebSocket: its messages, and an echo of each text."""
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    request.app[SOCKETS].add(socket)
    try:
        async with ticking(socket.send_str, "websocket", request.query):
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    await socket.send_str(encode(f"Echo: {frame.data}"))
    finally:
        request.app[SOCKETS].discard(socket)
    return socket


async def events(request: web.Request) -> web.StreamResponse:
    """Serve one event stream."""
    async with sse_response(request) as stream:
        request.app[STREAMS].add(stream)
        try:
            async with ticking(stream.send, "sse", request.query):
                await stream.wait()
        finally:
            request.app[STREAMS].discard(stream)
    return stream


async def publish(request: web.Request) -> web.Response:
    """Send one message to everyone."""
    text = encode((await request.json())["message"])
    sending = [socket.send_str(text) for socket in request.app[SOCKETS]]
    sending += [stream.send(text) for stream in request.app[STREAMS]]
    for one in sending:
        with contextlib.suppress(ConnectionError):  # it has just left
            await one
    return web.json_response({})


def main() -> None:
    """Serve on loopback until a signal ends it."""
    app = web.Application()
    app[SOCKETS], app[STREAMS] = set(), set()
    app.add_routes(
        [
            web.get("/ws", websocket),
            web.get("/api/sse", events),
            web.post("/api/publish", publish),
        ]
    )
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
