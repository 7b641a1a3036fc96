"""Attacks: each test is named after one, and shows that it affects no other client."""

from __future__ import annotations

import asyncio
import logging
import struct
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import websockets

from rtdemo.hub.outbox import OUTBOX_LIMIT_BYTES
from rtdemo.protocol.close_reasons import Reason
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.clients import Ended, eventually
from tests.conftest import UNLIMITED, Connect, Start
from tests.faults.test_faults import UPGRADE, RawPeer, fill, reasons, small_send_buffer

__all__ = ["reasons", "small_send_buffer"]

MASK = bytes(4)


def frame(opcode: int, payload: bytes) -> bytes:
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + MASK + payload


async def raw_request(port: int, request: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode("latin-1"))
    answer = await reader.read(4096)
    writer.close()
    await writer.wait_closed()
    return answer.decode("latin-1")


MALFORMED = {
    "a template as the key": (
        "/",
        "Host: localhost\r\n" + UPGRADE.replace("AAAA", "{path:>300000000}"),
        400,
    ),
    "a template that is no key of ours": (
        "/",
        "Host: localhost\r\n" + UPGRADE.replace("AAAA", "{foo}"),
        400,
    ),
    "a key that is not ASCII": ("/", "Host: localhost\r\n" + UPGRADE.replace("AAAA", "\xe9"), 400),
    "a port that is no number": ("/", "Host: localhost:x\r\n", 400),
    "a port out of range": ("/", "Host: localhost:99999\r\n", 421),
    "an origin that is no URL": ("/", "Host: localhost\r\nOrigin: http://[x\r\n" + UPGRADE, 403),
    "a bad speed": ("/?speed=0", "Host: localhost\r\n" + UPGRADE, 400),
    "an unknown producer": ("/?producers=nix", "Host: localhost\r\n" + UPGRADE, 400),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_handshake_is_one_line_and_no_traceback(
    server: Server, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What a client sends is never used as a template, and an error is not logged with a traceback."""
    path, headers, status = MALFORMED[name]
    port = urlsplit(server.websocket_url).port
    assert port
    answer = await raw_request(port, f"GET {path} HTTP/1.1\r\n{headers}\r\n")
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} "), answer
    assert body.count("\n") == 1
    assert len(body) < 1000
    assert not [record for record in caplog.records if record.exc_info]


async def test_compressed_post_is_415(server: Server, connect: Connect) -> None:
    """A compressed body is not unpacked: half a megabyte could become five hundred."""
    peer = await connect(server, "sse")
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.post(
            "/api/messages",
            params={"client": peer.welcome["client"]},
            content=b"no gzip",
            headers={"Content-Encoding": "gzip"},
        )
    assert (answer.status_code, answer.text.count("\n")) == (415, 1)


async def test_breaking_the_protocol_takes_no_message_from_others(
    server: Server, connect: Connect, clock: VirtualClock
) -> None:
    """Nothing is written to a peer after its close frame, and no producer is delayed for others."""
    bystander = await connect(server, "websocket", "producers=message")
    broken = await RawPeer(server, "websocket").connect()
    broken.socket.send(b"\x81\xff" + struct.pack("!Q", 1 << 20) + MASK)
    await eventually(lambda: server.hub.schedule.ticks == 1)
    clock.advance(10)
    assert [(await bystander.receive())["seq"] for _ in range(5)] == [1, 2, 3, 4, 5]
    assert all(supervisor.failures == 0 for supervisor in server.plugins.registry.supervisors)
    broken.leave(by_reset=True)


async def test_client_that_sends_while_the_server_stops_gets_1001(start: Start) -> None:
    """The close code is that of the reason, whatever the handler was doing."""
    server = await start(**UNLIMITED)
    async with websockets.connect(server.websocket_url) as socket:
        await socket.recv()
        for _ in range(200):
            await socket.send("x")
        stopping = asyncio.ensure_future(server.stop())
        with pytest.raises(websockets.ConnectionClosedOK) as closed:
            while True:
                await socket.recv()
        await stopping
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


@pytest.mark.parametrize("by_reset", [True, False])
async def test_ping_in_the_last_bytes_costs_no_text(
    server: Server, reasons: list[Reason | None], caplog: pytest.LogCaptureFixture, by_reset: bool
) -> None:
    """A pong that cannot be delivered is no error."""
    peer = await RawPeer(server, "websocket").connect()
    peer.socket.send(frame(1, b"a") + frame(9, b"") + frame(1, b"b"))
    await eventually(lambda: server.hub.traffic["websocket"].received == 2 or not by_reset)
    peer.leave(by_reset)
    await eventually(lambda: reasons == [Reason.CONNECTION_LOST])
    assert server.hub.traffic["websocket"].received == 2
    assert not [record for record in caplog.records if record.exc_info]


async def test_clients_that_leave_before_the_answer_log_no_error(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Two hundred clients leave at once after their request."""
    tasks = len(asyncio.all_tasks())
    for number in range(200):
        peer = RawPeer(server, "sse" if number % 2 else "websocket")
        await asyncio.get_running_loop().sock_connect(peer.socket, ("127.0.0.1", peer.port))
        peer.socket.send(f"GET {peer.path} HTTP/1.1\r\nHost: localhost\r\n{peer.headers}\r\n".encode())
        peer.leave(by_reset=number % 4 < 2)
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks and len(server.hub) == 0)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


SLOW = """
import asyncio
from rtdemo import hookimpl
received = []

@hookimpl
async def receive(client, text):
    await asyncio.sleep(0.01)
    if text == "cancel":
        raise asyncio.CancelledError
    if text == "exit":
        raise SystemExit(3)
    received.append(text)
    return "x" * 10_000
"""


@pytest.fixture
async def slow(start: Start, tmp_path: Path) -> Server:
    """A server with a plugin that takes 10 ms for each text."""
    (tmp_path / "slow.py").write_text(SLOW)
    return await start(files=(tmp_path / "slow.py",), without=("echo",))


def received_texts(server: Server) -> list[str]:
    (plugin,) = [plugin for plugin in server.plugins.plugins if plugin.name == "slow"]
    texts: list[str] = vars(plugin.module)["received"]
    return texts


async def test_client_that_leaves_during_a_slow_plugin_loses_no_text(
    slow: Server, reasons: list[Reason | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The present text and those after it are handled, and the close frame is read."""
    monkeypatch.setattr("rtdemo.web.websocket.FINISH_TIMEOUT_S", 60.0)
    peer = await RawPeer(slow, "websocket").connect()
    peer.socket.send(b"".join(frame(1, str(n).encode()) for n in range(5)) + frame(8, b"\x03\xe8"))
    peer.leave(by_reset=False)
    await eventually(lambda: len(reasons) == 1)
    assert received_texts(slow) == ["0", "1", "2", "3", "4"]
    assert reasons == [Reason.CLIENT_LEFT]


async def test_server_that_stops_while_it_handles_a_lost_client_s_texts_closes_all_others(
    slow: Server, connect: Connect
) -> None:
    """The texts of the lost client are handled; every other client gets a close frame."""
    other = await connect(slow, "websocket")
    peer = await RawPeer(slow, "websocket").connect()
    peer.socket.send(b"".join(frame(1, str(n).encode()) for n in range(30)))
    await eventually(lambda: received_texts(slow) != [])
    (lost,) = (c for c in slow.hub.connections if c.client.id != other.welcome["client"])
    peer.leave(by_reset=True)
    await eventually(lambda: lost.is_closing)
    await slow.stop()
    with pytest.raises(Ended) as ended:
        while True:
            await other.receive()
    assert ended.value.code == 1001


async def test_plugin_that_cancels_or_exits_ends_no_connection(
    slow: Server, connect: Connect, transport: str
) -> None:
    """Both count as failures of the plugin, and the next text is handled."""
    peer = await connect(slow, transport)
    for text in ("cancel", "exit", "fine"):
        await peer.say(text)
    assert (await peer.receive())["producer"] == "slow"
    assert received_texts(slow) == ["fine"]


@pytest.mark.usefixtures("small_send_buffer")
async def test_posting_in_parallel_does_not_overfill_a_stream(start: Start, tmp_path: Path) -> None:
    """The bytes that wait for a client that does not read are bounded, however many POSTs arrive."""
    (tmp_path / "slow.py").write_text(SLOW)
    server = await start(files=(tmp_path / "slow.py",), without=("echo",))
    peer = await RawPeer(server, "sse", receive_buffer=4096).connect()
    (connection,) = server.hub.connections
    path = f"/api/messages?client={connection.client.id}"
    async with httpx.AsyncClient(base_url=server.web_url, timeout=60) as http:
        answers = await asyncio.gather(*(http.post(path, content=b"x") for _ in range(90)))
    assert {answer.status_code for answer in answers} == {202, 503}
    assert connection.outbox_bytes < OUTBOX_LIMIT_BYTES + 20_000
    peer.leave(by_reset=True)


async def test_replies_without_end_end_the_connection(
    server: Server, reasons: list[Reason | None]
) -> None:
    """Replies are not dropped, but at four times the outbox's limit the connection ends as too slow."""
    peer = await RawPeer(server, "websocket", receive_buffer=4096).connect()
    (connection,) = server.hub.connections
    while connection.send("filler", "x" * 100_000, periodic=False):
        pass
    await eventually(lambda: reasons == [Reason.TOO_SLOW])
    peer.leave(by_reset=True)


@pytest.mark.usefixtures("small_send_buffer")
async def test_stream_with_waiting_messages_is_sent_completely_at_shutdown(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The waiting messages, the `retry:` field and the end of the body are still sent."""
    monkeypatch.setattr("rtdemo.web.streaming.CLOSE_TIMEOUT_S", 60.0)
    server = await start()
    peer = await RawPeer(server, "sse", receive_buffer=4096).connect()
    (connection,) = server.hub.connections
    for _ in range(10):
        connection.send("filler", "x" * 10_000)
    stopping = asyncio.ensure_future(server.stop())
    data = await peer.read_to_end()
    assert data.count(b'"filler"') == 10
    assert b"retry: " in data
    assert data.endswith(b"0\r\n\r\n")
    peer.leave(by_reset=False)
    await stopping


@pytest.mark.usefixtures("small_send_buffer")
async def test_peer_that_answers_no_ping_and_reads_nothing_is_disconnected(
    start: Start, reasons: list[Reason | None], clock: VirtualClock
) -> None:
    """A missed heartbeat ends the connection, even with a full outbox."""
    server = await start(heartbeat=1)
    peer = await RawPeer(server, "websocket", receive_buffer=4096).connect()
    (connection,) = server.hub.connections
    await fill(connection)
    peer.socket.send(frame(1, b"x"))
    await eventually(lambda: connection.is_closing)
    clock.advance(10)
    await eventually(lambda: len(reasons) == 1)
    peer.leave(by_reset=False)


async def test_welcome_comes_before_whatever_else_runs_at_connect(
    start: Start, connect: Connect, transport: str, tmp_path: Path
) -> None:
    """A plugin that replaces a built-in one does not run before `welcome`."""
    (tmp_path / "echo.py").write_text(
        "from rtdemo import producer\n@producer\ndef hello(): return 'hi'\n"
    )
    server = await start(files=(tmp_path / "echo.py",))
    peer = await connect(server, transport)
    assert peer.welcome["producer"] == "welcome"
    assert (await peer.receive())["message"] == "hi"


async def test_flood_of_pings_delays_no_other_client(start: Start, connect: Connect) -> None:
    """A text of another client is answered between two pings of the flood."""
    server = await start(**UNLIMITED)
    bystander = await connect(server, "websocket")
    peer = await RawPeer(server, "websocket").connect()
    peer.socket.send(frame(9, b"") * 5000)
    await bystander.say("still there?")
    assert (await bystander.receive())["message"] == "Echo: still there?"
    pongs = await asyncio.get_running_loop().sock_recv(peer.socket, 1 << 20)
    assert len(pongs) < 5000 * 2, "the other client does not wait until the whole flood is answered"
    peer.leave(by_reset=True)


async def test_error_of_the_server_is_1011(
    server: Server, transport: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets 1011 or the end of its stream; the error is logged once."""

    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(server.plugins, "producers_for", fail)
    if transport == "websocket":
        async with websockets.connect(server.websocket_url) as socket:
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
    else:
        async with httpx.AsyncClient(base_url=server.web_url) as http:
            with pytest.raises(httpx.HTTPError):
                await http.get("/api/sse")
    await eventually(lambda: len(server.hub) == 0)
    assert len([record for record in caplog.records if record.exc_info]) == 1


async def test_reconnect_pauses_differ(start: Start) -> None:
    """Clients of a server that stops do not all reconnect at once."""
    server = await start()
    peers = [await RawPeer(server, "sse").connect() for _ in range(20)]
    stopping = asyncio.ensure_future(server.stop())
    ends = [await peer.read_to_end() for peer in peers]
    retries = {data.partition(b"retry: ")[2].partition(b"\n")[0] for data in ends}
    assert len(retries) > 10
    assert all(1000 <= int(retry) <= 5000 for retry in retries)
    for peer in peers:
        peer.leave(by_reset=False)
    await stopping
