"""The library websockets, as its documentation shows, on uvloop, without compression.

Usage: python -m benchmarks.peers.websockets_server PORT PUBLISH_PORT
"""

import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.peers.behaviour import encode, query_of, ticking
from benchmarks.peers.publish_port import open_publish_port

clients: set[ServerConnection] = set()


async def handle(client: ServerConnection) -> None:
    """Serve one WebSocket: its messages, and an echo of each text."""
    assert client.request is not None
    clients.add(client)
    try:
        async with ticking(client.send, "websocket", query_of(client.request.path)):
            async for text in client:
                await client.send(encode(f"Echo: {text!s}"))
    except ConnectionClosed:
        pass  # it left during a send
    finally:
        clients.discard(client)


async def main() -> None:
    """Serve on loopback until a signal ends it."""
    await open_publish_port(int(sys.argv[2]), lambda text: broadcast(clients, text))
    async with serve(handle, "127.0.0.1", int(sys.argv[1]), compression=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
