"""Bytes that come with a WebSocket handshake, and clients that leave during one."""

from __future__ import annotations

import asyncio
import logging
import os
import select
from collections.abc import Iterable
from urllib.parse import urlsplit

import pytest

from rtdemo.server.server import Server
from tests.clients import eventually
from tests.raw_client import (
    CLOSE,
    CONTINUATION,
    GOODBYE,
    PING,
    TEXT,
    RawClient,
    frame,
    frames,
    request,
    turns,
    unmasked,
)

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

WELCOME = "WebSocket connection established"
AT_ONCE = 100
"""Clients that a test has connected at the same time."""
LATER = (0, 1, 2, 3, 4, 6, 9)
"""Turns of the loop between two segments: the second arrives at different steps of the handshake."""


async def accepted(server: Server, transport: str, count: int = 1) -> list[RawClient]:
    """Return clients that the server has accepted, and that have sent nothing."""
    clients = [await RawClient(server, transport).connect() for _ in range(count)]
    # Each loop accepts several a turn.
    await turns(count + 5)
    return clients


async def conversation(client: RawClient, *segments: bytes, wait: int = 0) -> list[str]:
    """Return what the server sends, until it closes, to a client that sends some segments.

    Arguments:
        client: connected to the WebSocket site.
        segments: sent one by one.
        wait: turns of the loop before each but the first.
    """
    await client.send(segments[0])
    for segment in segments[1:]:
        await turns(wait)
        await client.send(segment)
    answer = await client.read_to_end()
    client.leave()
    return list(map(str, frames(answer)))


async def test_several_connections_are_accepted_in_a_turn(server: Server) -> None:
    """Turns are long while many clients are served: one a turn would keep a health check out."""
    clients = [RawClient(server, "sse") for _ in range(AT_ONCE)]
    address = ("127.0.0.1", urlsplit(server.web_url).port)
    for client in clients:
        client.socket.setblocking(True)
        client.socket.connect(address)  # the kernel accepts it meanwhile, and the server nothing
        client.socket.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await turns(AT_ONCE // 2)
    answered, _, _ = select.select([client.socket for client in clients], [], [], 0.0)
    assert len(answered) == AT_ONCE
    for client in clients:
        client.leave()


async def test_frame_in_the_handshake_s_segment(server: Server) -> None:
    """A client may send before it has the server's answer; its text is not lost."""
    client = await RawClient(server, "websocket").connect()
    await client.send(request(server, "websocket") + frame(TEXT, "früh".encode()))
    await client.read_until(b'"Echo: ')
    await client.send(frame(TEXT, b"later"))
    await client.read_until(b'"Echo: later"')
    await client.send(frame(CLOSE, GOODBYE))
    answer = map(str, frames(await client.read_to_end()))
    assert list(answer) == [WELCOME, "Echo: früh", "Echo: later", "close 1000"]
    client.leave()


async def test_texts_a_ping_and_a_close_in_the_handshake_s_segment(server: Server) -> None:
    """All are answered, in order, after the welcome; then the server closes."""
    sent = frame(TEXT, b"one") + frame(TEXT, b"x" * 300) + frame(PING, b"p") + frame(CLOSE, GOODBYE)
    (client,) = await accepted(server, "websocket")
    answers = await conversation(client, request(server, "websocket") + sent)
    assert answers == [WELCOME, "Echo: one", "Echo: " + "x" * 300, "pong p", "close 1000"]


async def test_largest_text_in_the_handshake_s_segment(server: Server) -> None:
    """A text of 64 KiB, more than one read of the server, arrives whole."""
    sent = frame(TEXT, b"x" * 65536) + frame(CLOSE, GOODBYE)
    (client,) = await accepted(server, "websocket")
    answers = await conversation(client, request(server, "websocket") + sent)
    assert answers == [WELCOME, "Echo: " + "x" * 65536, "close 1000"]


@pytest.mark.parametrize("wait", LATER)
async def test_fragmented_text_begins_in_the_handshake_s_segment(server: Server, wait: int) -> None:
    """Its other fragments follow, with a ping between them."""
    first = request(server, "websocket") + frame(TEXT, b"th", final=False)
    rest = [frame(CONTINUATION, b"e te", final=False), frame(PING, b"!"), frame(CONTINUATION, b"xt")]
    (client,) = await accepted(server, "websocket")
    answers = await conversation(client, first, *rest, frame(CLOSE, GOODBYE), wait=wait)
    assert answers == [WELCOME, "pong !", "Echo: the text", "close 1000"]


async def test_unmasked_frame_in_the_handshake_s_segment_is_1002(server: Server) -> None:
    """The upgrade succeeds, and then the protocol error ends the connection (RFC 6455 section 5.1)."""
    sent = unmasked(TEXT, b"bare") + frame(TEXT, b"never handled") + frame(CLOSE, GOODBYE)
    (client,) = await accepted(server, "websocket")
    answers = await conversation(client, request(server, "websocket") + sent)
    assert answers == [WELCOME, "close 1002"]
    await eventually(lambda: len(server.hub) == 0)
    assert server.hub.traffic["websocket"].received == 0


@pytest.mark.uncovered
@pytest.mark.parametrize("wait", LATER)
async def test_handshake_and_frames_cut_at_each_byte(server: Server, wait: int) -> None:
    """Two segments give the same answers as one, wherever they are cut."""
    texts = frame(TEXT, b"one") + frame(TEXT, b"t", final=False) + frame(CONTINUATION, b"wo")
    long = frame(TEXT, b"x" * 200)
    sent = request(server, "websocket") + texts + frame(PING, b"p") + long + frame(CLOSE, GOODBYE)
    expected = [WELCOME, "Echo: one", "Echo: two", "pong p", "Echo: " + "x" * 200, "close 1000"]
    wrong = []
    for batch in batches(range(1, len(sent))):
        clients = await accepted(server, "websocket", len(batch))
        pairs = zip(batch, clients, strict=True)
        answers = await asyncio.gather(
            *(conversation(client, sent[:cut], sent[cut:], wait=wait) for cut, client in pairs)
        )
        wrong += [(cut, got) for cut, got in zip(batch, answers, strict=True) if got != expected]
    assert wrong == []
    await eventually(lambda: len(server.hub) == 0)
    assert server.hub.traffic["websocket"].received == 3 * (len(sent) - 1)


async def test_frames_cut_at_each_byte_after_the_welcome(server: Server) -> None:
    """The rest of a frame that began in the handshake's segment may come much later."""
    head = request(server, "websocket")
    sent = head + frame(TEXT, "zwölf".encode()) + frame(CLOSE, GOODBYE)

    async def cut_at(cut: int) -> list[str]:
        client = await RawClient(server, "websocket").connect()
        await client.send(sent[:cut])
        await client.read_until(WELCOME.encode())
        await client.send(sent[cut:])
        answer = await client.read_to_end()
        client.leave()
        return list(map(str, frames(answer)))

    answers = await asyncio.gather(*map(cut_at, range(len(head), len(sent))))
    assert {tuple(answer) for answer in answers} == {(WELCOME, "Echo: zwölf", "close 1000")}


def batches(cuts: Iterable[int]) -> list[list[int]]:
    """Split positions into lists of `AT_ONCE`."""
    all_cuts = list(cuts)
    return [all_cuts[first : first + AT_ONCE] for first in range(0, len(all_cuts), AT_ONCE)]


@pytest.mark.parametrize("by_reset", [False, True], ids=["FIN", "RST"])
async def test_clients_that_leave_during_the_handshake(
    server: Server, transport: str, by_reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """They leave no connection, tick, task, open file or error.

    Some leave before their request, some after each byte of it, some at each step of its answer, and
    some in the midst of a frame that came with it.
    """
    head = request(server, transport)
    early = [head[:size] for size in range(len(head))]
    whole = [head] * 20
    late = [head + frame(TEXT, b"text")[:size] for size in range(11)] if transport == "websocket" else []
    files, tasks = open_files(), len(asyncio.all_tasks())

    async def leave_after(client: RawClient, sent: bytes, wait: int) -> None:
        await client.send(sent)
        await turns(wait)
        client.leave(by_reset)

    sent = early + whole + late
    for wait in LATER:
        for batch in batches(range(len(sent))):
            clients = await accepted(server, transport, len(batch))
            pairs = zip(batch, clients, strict=True)
            await asyncio.gather(*(leave_after(client, sent[number], wait) for number, client in pairs))
    for begin in sent:
        # Before the server accepts it.
        client = await RawClient(server, transport).connect()
        await leave_after(client, begin, 0)
    await eventually(lambda: open_files() <= files)
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    assert server.hub.connections == []
    assert server.hub.schedule.ticks == 0
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_client_that_closes_only_its_own_direction(server: Server, transport: str) -> None:
    """The end of a client's bytes is the end of its connection, on both transports."""
    client = await RawClient(server, transport).connect()
    await client.send(request(server, transport))
    await client.read_until(b"established")
    client.end()
    await client.read_to_end()
    client.leave()
    await eventually(lambda: len(server.hub) == 0)


def open_files() -> int:
    """Return the number of this process's file descriptors."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only their number
