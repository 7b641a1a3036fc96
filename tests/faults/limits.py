"""Each limit: what is within it is served; what is over it is refused and counted, for nobody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import aiohttp

from tests.faults.attack import Figures
from tests.faults.peers import END_TIMEOUT_S, connected, first_bytes, rest, status, streams
from tests.faults.target import MIB, Setup, Target
from tests.raw_client import CLOSE, PING, TEXT, Frame, frame, frames

PROXY = ("--trusted-proxies", "1")
"""Limits per address exempt this machine, so clients come through a proxy: this process."""
STRANGER, OTHER = "203.0.113.7", "198.51.100.9"
"""Addresses of documentation (RFC 5737)."""
LINES = "Host: localhost\r\nX-Forwarded-For: "
TEXTS, BROADCASTS = 200, 30
UNDISTURBED = ("--without", "broadcast,message,status", "--publications-per-address", "0")
"""Arguments with which the log has only what the attack publishes."""
TOKEN = {"Authorization": "Bearer secret"}


def _request(path: str, address: str, method: str = "GET", more: str = "", body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\n{LINES}{address}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _figures(accepted: Sequence[int], answers: Sequence[bytes], counted: int, other: int) -> Figures:
    """Return the figures of a limit on requests.

    Arguments:
        accepted: statuses that count as accepted.
        answers: what the server sent.
        counted: what its own counter has.
        other: status of a request from another address.
    """
    refused = [answer for answer in answers if status(answer) in (429, 503)]
    return {
        "accepted": sum(status(answer) in accepted for answer in answers),
        "refused": len(refused),
        "refused without Retry-After": sum(b"\r\nRetry-After: " not in answer for answer in refused),
        "not counted": len(refused) - counted,
        "status for others": other,
    }


async def _counted(target: Target, limit: str) -> int:
    """Return the server's counter of a limit."""
    _, body = await target.get("/api/stats")
    return int(json.loads(body).get("refused", {}).get(limit, 0))


async def _other(target: Target, path: str = "/api/sse") -> int:
    return status(await first_bytes(target.port, _request(path, OTHER)))


async def open_connections(setup: Setup, limit: str, arguments: tuple[str, ...], number: int) -> Figures:
    """Open event streams of one address, and keep them.

    Arguments:
        setup: starts the server.
        limit: name of its counter.
        arguments: of the server.
        number: of streams.
    """
    async with setup.server(*arguments) as target, connected(target, number) as peers:
        for peer in peers:
            await peer.send(_request("/api/sse", STRANGER))
            await peer.read_until(b"\r\n\r\n")
        answers = [peer.received for peer in peers]
        return _figures([200], answers, await _counted(target, limit), await _other(target))


async def connects(setup: Setup, arguments: tuple[str, ...], number: int) -> Figures:
    """Open event streams of one address, and leave at once.

    Arguments:
        setup: starts the server.
        arguments: of the server.
        number: of connects.
    """
    answers = []
    async with setup.server(*arguments) as target:
        for _ in range(number):
            async with connected(target, 1) as (peer,):
                await peer.send(_request("/api/sse", STRANGER))
                await peer.read_until(b"\r\n\r\n")
                answers.append(peer.received)
        counted = await _counted(target, "connects_per_address")
        return _figures([200], answers, counted, await _other(target))


async def texts(setup: Setup) -> Figures:
    """Send 200 texts at once over a WebSocket."""
    async with setup.server() as target, streams(target, "websocket", 2) as (peer, other):
        await peer.send(frame(TEXT, b"x") * TEXTS)
        await rest(peer, END_TIMEOUT_S)
        received = frames(peer.received, is_all=False)
        await other.send(frame(TEXT, b"still there?"))
        await other.read_until(b"Echo: still there?")
        return {
            "accepted": sum(b"Echo: x" in one.payload for one in received),
            "close code": _code(received),
            "counted": await _counted(target, "texts_per_connection"),
        }


def _code(received: Sequence[Frame]) -> int:
    """Return the code of the close frame; 0 without one."""
    return next((int.from_bytes(one.payload[:2]) for one in received if one.opcode == CLOSE), 0)


async def posts(setup: Setup) -> Figures:
    """Post 200 texts of one event stream's client, one after the other."""
    async with setup.server() as target, streams(target, "sse", 1) as (stream,):
        await stream.read_until(b'"client":"')
        await stream.read_until(b"\n\n")
        client = stream.received.partition(b'"client":"')[2].partition(b'"')[0].decode()
        path = f"/api/messages?client={client}"
        answers = []
        async with aiohttp.ClientSession(target.web_url) as http:
            for _ in range(TEXTS):
                async with http.post(path, data=b"x") as answer:
                    headers = "".join(f"\r\n{name}: {value}" for name, value in answer.headers.items())
                    answers.append(f"HTTP/1.1 {answer.status} x{headers}\r\n".encode())
        counted = await _counted(target, "texts_per_connection")
        return _figures([202], answers, counted, await _other(target))


async def broadcasts(setup: Setup) -> Figures:
    """Send 30 short texts to everyone at once, then one of 60 kB."""
    async with setup.server() as target, streams(target, "websocket", 2) as (peer, listener):
        await peer.send(frame(TEXT, b"/all short") * BROADCASTS)
        await peer.send(frame(TEXT, b"/all " + b"long" * 15_000))
        # The echo of each comes after all that was sent to everyone.
        for one in (peer, listener):
            await one.send(frame(TEXT, b"the end"))
            await one.read_until(b"Echo: the end")
        heard = frames(listener.received, is_all=False)
        return {
            "short ones heard": sum(b'"short"' in one.payload for one in heard),
            "long ones heard": sum(b"longlong" in one.payload for one in heard),
            "counted": await _counted(target, "broadcasts_per_connection")
            + await _counted(target, "broadcast_bytes"),
        }


async def publications(setup: Setup) -> Figures:
    """Publish lists of 100 messages with the token, one after the other."""
    body = json.dumps([{"message": "x"}] * 100).encode()
    token = "Authorization: Bearer secret\r\n"
    arguments = (*PROXY, "--publish-token", "secret", "--publications-per-address", "1")
    async with setup.server(*arguments) as target:
        request = _request("/api/publish", STRANGER, "POST", token, body)
        answers = [await first_bytes(target.port, request) for _ in range(20)]
        other = await first_bytes(target.port, _request("/api/publish", OTHER, "POST", token, body))
        counted = await _counted(target, "publications_per_address")
        return _figures([200], answers, counted, status(other))


async def replays(setup: Setup) -> Figures:
    """Read the whole log again and again from one address, with 20 clients, and once from another."""
    arguments = (*PROXY, "--publish-token", "secret", "--replay-bytes-per-address", "200000")
    async with setup.server(*arguments, *UNDISTURBED) as target:
        position = await _fill_log(target)
        path = f"/api/sse?last_event_id={position}"
        async with connected(target, 20) as peers, connected(target, 1) as (other,):
            for peer in peers:
                await peer.send(_request(path, STRANGER))
            await asyncio.gather(*(rest(peer, 4) for peer in peers))
            await other.send(_request(path, OTHER))
            await rest(other, 3)
            return {
                "re-read by one address": sum(len(peer.received) for peer in peers) / MIB,
                "re-read by another": len(other.received) / MIB,
                "counted": await _counted(target, "replay_bytes_per_address"),
            }


async def _fill_log(target: Target) -> str:
    """Publish 1.2 MB; return the position before them."""
    positions: list[str] = []
    for _ in range(20):
        code, body = await target.post("/api/publish", json={"message": "x" * 60_000}, headers=TOKEN)
        assert code == 200, body
        positions += json.loads(body)["positions"]
    return positions[0]


async def failed_tokens(setup: Setup) -> Figures:
    """Try 40 wrong tokens from one address."""
    wrong = "Authorization: Bearer wrong\r\n"
    body = b'{"message": "x"}'
    async with setup.server(*PROXY, "--publish-token", "secret") as target:
        request = _request("/api/publish", STRANGER, "POST", wrong, body)
        answers = [await first_bytes(target.port, request) for _ in range(40)]
        right = "Authorization: Bearer secret\r\n"
        other = await first_bytes(target.port, _request("/api/publish", OTHER, "POST", right, body))
        counted = await _counted(target, "failed_tokens_per_address")
        return _figures([401], answers, counted, status(other))


async def control_frames(setup: Setup) -> Figures:
    """Send 5,000 pings over a WebSocket, and read the pongs."""
    async with setup.server() as target, streams(target, "websocket", 1) as (peer,):
        await peer.send(frame(PING, b"") * 5000)
        await rest(peer, END_TIMEOUT_S)
        received = frames(peer.received, is_all=False)
        return {
            "close code": _code(received),
            "counted": await _counted(target, "control_frames_per_connection"),
        }
