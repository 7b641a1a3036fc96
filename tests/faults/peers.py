"""What the attackers share: many raw connections, answers of HTTP, and floods that end."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from tests.faults.target import Target
from tests.raw_client import RawClient, request

CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S = 5.0, 5.0
END_TIMEOUT_S = 60.0
"""Time for the rest of a connection that the server has to close."""
SEND_BUFFER_BYTES = 16 * 1024
UNREAD_BYTES = 256 * 1024
"""Bytes with the server's kernel at which an attacker waits."""
BODY_TIMEOUT_S = 0.2
"""Time for a short body after its head; there may be none."""
_RECEIVE_BUFFER = (socket.SOL_SOCKET, socket.SO_RCVBUF)


@asynccontextmanager
async def connected(
    target: Target, number: int, receive_buffer: int = 0
) -> AsyncIterator[list[RawClient]]:
    """Open TCP connections that send nothing; they end with the block.

    Arguments:
        target: the server.
        number: of connections.
        receive_buffer: bytes of the kernel's receive buffer; 0 for the default.
    """
    peers = [RawClient(target, "sse") for _ in range(number)]
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            for peer in peers:
                if receive_buffer:
                    peer.socket.setsockopt(*_RECEIVE_BUFFER, receive_buffer)
                await peer.connect()
        yield peers
    finally:
        for peer in peers:
            peer.leave(by_reset=True)


@asynccontextmanager
async def streams(
    target: Target, transport: str, number: int, query: str = "", receive_buffer: int = 0
) -> AsyncIterator[list[RawClient]]:
    """Open WebSockets or event streams; they end with the block.

    Arguments:
        target: the server.
        transport: websocket or sse.
        number: of connections.
        query: of their request.
        receive_buffer: bytes of the kernel's receive buffer; 0 for the default.
    """
    peers = [RawClient(target, transport) for _ in range(number)]
    try:
        for peer in peers:
            if receive_buffer:
                peer.socket.setsockopt(*_RECEIVE_BUFFER, receive_buffer)
            await open_stream(peer, target, transport, query)
        yield peers
    finally:
        for peer in peers:
            peer.leave(by_reset=True)


async def open_stream(peer: RawClient, target: Target, transport: str, query: str = "") -> int:
    """Send the request that opens a transport; return the status of the answer."""
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        await peer.connect()
        await peer.send(request(target, transport, query))
        await peer.read_until(b"\r\n\r\n")
    return status(peer.received)


def status(answer: bytes) -> int:
    """Return the status of an answer; 0 without one."""
    words = answer[:16].split(b" ")
    return int(words[1]) if words[0].startswith(b"HTTP/1.") and words[1].isdigit() else 0


async def rest(peer: RawClient, seconds: float = ANSWER_TIMEOUT_S) -> bytes:
    """Return all that a server sends until it closes, resets, or some seconds have passed."""
    try:
        async with asyncio.timeout(seconds):
            await peer.read_to_end()
    except (OSError, TimeoutError):
        pass
    return peer.received


async def try_to_send(peer: RawClient, data: bytes, seconds: float = ANSWER_TIMEOUT_S) -> bool:
    """Send bytes; return whether the kernel took all of them, before a reset and within some seconds."""
    try:
        async with asyncio.timeout(seconds):
            await peer.send(data)
    except (OSError, TimeoutError):
        return False
    return True


def limit_send_buffer(peer: RawClient) -> None:
    """Let the kernel keep few bytes that the server has not taken: they count as swallowed."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


async def until_read(target: Target, peer: RawClient, end: float) -> None:
    """Wait until the server has read most of what it got from a client, or has closed.

    A busy machine runs it seldom, and the kernel takes more and more meanwhile.

    Arguments:
        end: time.monotonic() at which to wait no longer.
    """
    port = peer.socket.getsockname()[1]
    while time.monotonic() < end and target.peers().get(port, 0) > UNREAD_BYTES:
        await asyncio.sleep(0.01)


async def is_open(peer: RawClient) -> bool:
    """Return whether the server has not closed a connection, reading what it has sent."""
    try:
        async with asyncio.timeout(0.05):
            while await peer.read_more():
                pass
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


async def first_bytes(port: int, data: bytes) -> bytes:
    """Send a request to a port; return the head of the answer and what comes with it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(data)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            answer = await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(BODY_TIMEOUT_S):
            answer += await reader.read(64 * 1024)
    except (OSError, TimeoutError, EOFError):
        pass
    finally:
        writer.close()
    return answer


async def repeat(act: Callable[[], Awaitable[object]], number: int, seconds: float) -> int:
    """Let attackers repeat something for some seconds; return how often it was done in all.

    Arguments:
        act: one attack; a lost connection is no error.
        number: of attackers at the same time.
        seconds: after which no attack begins.
    """
    end = time.monotonic() + seconds
    done = 0

    async def attacker() -> None:
        nonlocal done
        while time.monotonic() < end:
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    await act()
            except (OSError, TimeoutError, AssertionError):
                await asyncio.sleep(0.01)
            done += 1

    await asyncio.gather(*(attacker() for _ in range(number)))
    return done


@asynccontextmanager
async def reading(peers: Iterable[RawClient]) -> AsyncIterator[list[RawClient]]:
    """Read from peers while the block runs, and throw it away; yield the list of those that are cut."""
    cut: list[RawClient] = []

    async def read(peer: RawClient) -> None:
        try:
            while await asyncio.get_running_loop().sock_recv(peer.socket, 1 << 18):
                pass
        except OSError:
            pass
        cut.append(peer)

    tasks = [asyncio.ensure_future(read(peer)) for peer in peers]
    try:
        yield cut
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
