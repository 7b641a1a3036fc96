"""Bytes reach the peer whole and in order, whoever writes them and however slowly it reads."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from rtdemo.hub.outbox import SocketOutbox


class Pair:
    """An outbox, and the socket at the other end."""

    def __init__(self, transport: asyncio.Transport, peer: socket.socket) -> None:
        self.transport = transport
        self.outbox = SocketOutbox(transport)
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
    """It is there before the loop had a turn."""
    assert pair.outbox.write(b"at once") is False
    assert pair.peer.recv(100) == b"at once"
    pair.transport.abort()
    pair.peer.close()


async def test_order_is_kept_with_what_the_transport_writes(pair: Pair) -> None:
    """Through full buffers, in pieces of any size, with the transport's own writes in between."""
    pieces = [bytes([65 + n % 26]) * random.randint(1, 9000) for n in range(200)]
    waited = 0
    for number, piece in enumerate(pieces):
        if number % 7 == 3:
            pair.transport.write(piece)
        else:
            waited += pair.outbox.write(piece)
    whole = b"".join(pieces)
    assert waited > 0
    assert await pair.read(len(whole)) == whole
    pair.transport.abort()
    pair.peer.close()


async def test_peer_that_is_gone_is_the_transport_s_to_find(pair: Pair) -> None:
    """Nothing is raised, and the transport closes."""
    pair.peer.close()
    while not pair.outbox.is_closing():
        pair.outbox.write(b"x" * 5000)
        await asyncio.sleep(0)
