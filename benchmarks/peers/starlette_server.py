"""Starlette and sse-starlette on uvicorn, as their documentation shows, without log and compression.

Usage: python -m benchmarks.peers.starlette_server PORT
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import uvicorn
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.peers.behaviour import encode, ticking

sockets: set[WebSocket] = set()
queues: set[asyncio.Queue[str]] = set()


async def websocket(socket: WebSocket) -> None:
    """Serve one WebSocket: its messages, and an echo of each text."""
    await socket.accept()
    sockets.add(socket)
    try:
        async with ticking(socket.send_text, "websocket", socket.query_params):
            async for text in socket.iter_text():
                await socket.send_text(encode(f"Echo: {text}"))
    finally:
        sockets.discard(socket)


async def events(request: Request) -> EventSourceResponse:
    """Serve one event stream."""

    async def texts() -> AsyncIterator[dict[str, str]]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        queues.add(queue)
        try:
            async with ticking(queue.put, "sse", request.query_params):
                while True:
                    yield {"data": await queue.get()}
        finally:
            queues.discard(queue)

    return EventSourceResponse(texts())


async def publish(request: Request) -> JSONResponse:
    """Send one message to everyone."""
    text = encode((await request.json())["message"])
    for queue in queues:
        queue.put_nowait(text)
    for socket in list(sockets):
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it has just left
            await socket.send_text(text)
    return JSONResponse({})


app = Starlette(
    routes=[
        WebSocketRoute("/ws", websocket),
        Route("/api/sse", events),
        Route("/api/publish", publish, methods=["POST"]),
    ]
)

if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=False,
        log_level="warning",
        ws_per_message_deflate=False,
    )
