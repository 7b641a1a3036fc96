"""examples/training.py and examples/asyncio_service.py: programs that publish to a real server."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
from types import SimpleNamespace

import pytest

from rtdemo.server.server import Server
from tests.clients import Fields, Peer
from tests.conftest import Connect
from tests.examples.conftest import EXAMPLES
from tests.free_port import free_port
from tests.publisher.programs import running


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


async def test_asyncio_service_counts_a_second_while_the_page_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it remembers does not grow, and a loop that was late does not make more of the requests."""
    found = importlib.util.spec_from_file_location("service", EXAMPLES / "asyncio_service.py")
    assert found is not None
    assert found.loader is not None
    service = importlib.util.module_from_spec(found)
    found.loader.exec_module(service)
    published: list[tuple[str, object, str | None]] = []
    monkeypatch.setattr("rtdemo.publish", lambda *given: published.append((*given, None)[:3]))
    times = itertools.count(0.0, 2.0)
    monkeypatch.setattr(service, "time", SimpleNamespace(monotonic=lambda: next(times)))
    turns = iter([[1.0, 3.0], [], [2.0] * 6])

    async def sleep(seconds: float) -> None:
        assert seconds == 1
        assert service.durations == []
        turn = next(turns, None)
        if turn is None:
            raise asyncio.CancelledError
        service.durations.extend(turn)

    monkeypatch.setattr(service, "asyncio", SimpleNamespace(sleep=sleep))
    with pytest.raises(asyncio.CancelledError):
        await service.report()
    rates = [(value, message) for name, value, message in published if name == "requests"]
    assert rates == [
        (1.0, "2 requests in 2.0 s"),
        (0.0, "0 requests in 2.0 s"),
        (3.0, "6 requests in 2.0 s"),
    ]
