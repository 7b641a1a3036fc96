"""picows by its core interface, as its documentation shows, on uvloop, with one timer per producer.

Usage: python -m benchmarks.peers.picows_server PORT PUBLISH_PORT
"""

import asyncio
import sys
from collections.abc import Callable

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from benchmarks.peers.behaviour import due_texts, encode, query_of, welcome
from benchmarks.peers.publish_port import open_publish_port

clients: set["Client"] = set()


class Client(WSListener):  # type: ignore[misc]  # picows is in benchmarks/.venv alone
    """Serves one WebSocket: its messages, and an echo of each text."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._query = query_of(path)
        self._timers: dict[Callable[[], str], asyncio.TimerHandle] = {}

    def send(self, text: str) -> None:
        """Send one message."""
        self.transport.send(WSMsgType.TEXT, text.encode())

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Welcome the client and start its producers."""
        self.transport = transport
        clients.add(self)
        self.send(welcome("websocket"))
        for period, text in due_texts("websocket", self._query):
            self._wait(period, text)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Echo a text, and answer a closing frame."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            self.send(encode(f"Echo: {frame.get_payload_as_utf8_text()}"))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Stop the producers."""
        clients.discard(self)
        for timer in self._timers.values():
            timer.cancel()

    def _tick(self, period: float, text: Callable[[], str]) -> None:
        self.send(encode(text()))
        self._wait(period, text)

    def _wait(self, period: float, text: Callable[[], str]) -> None:
        loop = asyncio.get_running_loop()
        self._timers[text] = loop.call_later(period, self._tick, period, text)


def client_of(request: WSUpgradeRequest) -> Client:
    """Return what serves a request."""
    return Client(request.path.decode())


def publish(text: str) -> None:
    """Send one message to everyone."""
    data = text.encode()
    for client in clients:
        client.transport.send(WSMsgType.TEXT, data)


async def main() -> None:
    """Serve on loopback until a signal ends it."""
    await open_publish_port(int(sys.argv[2]), publish)
    server = await ws_create_server(client_of, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
