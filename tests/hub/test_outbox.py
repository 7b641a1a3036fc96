"""Bytes reach the peer completely and in order, however slowly it reads."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from rtdemo.hub.outbox import SocketOutbox


class Pair:
    """An outbox, and the socket at its other end."""

    def __init__(self, transport: asyncio.Transport, peer: socket.socket) -> None:
        self.transport = transport
        self.outbox = SocketOutbox(transport)
        self.outbox.start(b"")
        self.outbox.release()
        self.peer = peer

    async def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += await asyncio.get_running_loop().sock_recv(self.peer, 4096)
        return data


@pytest.fixture
async def pair() -> Pair:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for end in (ours, theirs):
        end.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    return Pair(transport, theirs)


async def test_what_the_kernel_takes_does_not_wait(pair: Pair) -> None:
    """The peer can read it before the event loop runs again."""
    assert pair.outbox.write(b"at once") is False
    assert pair.peer.recv(100) == b"at once"
    pair.transport.abort()
    pair.peer.close()


async def test_order_is_kept_with_what_the_transport_writes(pair: Pair) -> None:
    """Full buffers and pieces of any size do not change it, nor what the transport wrote before."""
    pieces = [bytes([65 + n % 26]) * random.choice((1, 30, 3000, 9000)) for n in range(200)]
    waited = 0
    for number, piece in enumerate(pieces):
        if number < 5:
            pair.transport.write(piece)
        else:
            waited += pair.outbox.write(piece)
    whole = b"".join(pieces)
    assert waited > 0
    assert await pair.read(len(whole)) == whole
    assert pair.outbox.get_write_buffer_size() == 0
    pair.transport.abort()
    pair.peer.close()


async def test_all_that_waits_counts(pair: Pair) -> None:
    """What waits behind the transport's bytes counts as much as these."""
    while not pair.outbox.write(b"x" * 5000):
        pass
    before = pair.outbox.get_write_buffer_size()
    for _ in range(100):
        assert pair.outbox.write(b"y" * 30)
    assert pair.outbox.get_write_buffer_size() == before + 3000
    pair.transport.abort()
    pair.peer.close()


async def test_what_waits_arrives_before_the_end_of_the_stream(pair: Pair) -> None:
    """A transport that closes sends only its own bytes first; so it gets all of them."""
    pieces = [bytes([65 + n % 26]) * 3000 for n in range(50)]
    for piece in pieces:
        pair.outbox.write(piece)
    pair.outbox.hand_over()
    pair.transport.close()
    whole = b"".join(pieces)
    assert await pair.read(len(whole)) == whole
    assert await asyncio.get_running_loop().sock_recv(pair.peer, 1) == b""
    pair.peer.close()


async def test_write_to_a_peer_that_has_closed_raises_nothing(pair: Pair) -> None:
    """The transport finds the error and closes."""
    pair.peer.close()
    while not pair.outbox.is_closing():
        pair.outbox.write(b"x" * 5000)
        await asyncio.sleep(0)


async def test_closing_transport_is_not_written_to(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """Between the end of the connection and the report of it, writing does nothing."""
    pair.peer.close()
    pair.transport.abort()
    for _ in range(20):
        pair.outbox.write(b"x")
    await asyncio.sleep(0)
    for _ in range(20):
        pair.outbox.write(b"x")
    assert pair.outbox.is_closing()
    assert caplog.records == []
