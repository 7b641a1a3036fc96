"""examples/training.py and examples/asyncio_service.py: programs that publish to a real server."""

from __future__ import annotations

import asyncio

from rtdemo.server.server import Server
from tests.clients import Fields, Peer
from tests.conftest import Connect
from tests.examples.conftest import EXAMPLES
from tests.publisher.programs import running
from tests.redis_server import free_port


async def message_of(peer: Peer, producer: str) -> Fields:
    while (message := await peer.receive())["producer"] != producer:
        pass
    return message


async def test_training_loop(server: Server, connect: Connect) -> None:
    """Each epoch's loss and weights arrive in order, and a text; the script ends without an error."""
    peer = await connect(server, "sse")
    async with running(server.web_url, str(EXAMPLES / "training.py"), "3") as process:
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    got = [await peer.receive() for _ in range(7)]
    assert [m["message"] for m in got if m["producer"] == "training"] == ["epoch 0 of 3"]
    losses = [m["value"] for m in got if m["producer"] == "loss"]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 3
    weights = [m["value"] for m in got if m["producer"] == "weights"]
    assert [set(each) for each in weights] == [{"slope", "offset"}] * 3


async def test_asyncio_service(server: Server, connect: Connect) -> None:
    """It answers its own clients, and the number and the times of their requests arrive."""
    peer = await connect(server, "websocket")
    port = free_port()
    async with running(server.web_url, str(EXAMPLES / "asyncio_service.py"), str(port)):
        # Its first report shows that it listens.
        assert (await message_of(peer, "requests"))["value"] == 0
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        assert await reader.readline() == b"HELLO\n"
        times = await message_of(peer, "request_ms")
        assert 0 < times["value"]["mean"] <= times["value"]["longest"]
        writer.close()
        await writer.wait_closed()
