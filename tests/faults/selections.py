"""Requests that name very many producers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from itertools import islice, product
from string import ascii_letters, digits

from tests.faults.attack import Figures
from tests.faults.bystander import delay_added
from tests.faults.peers import open_stream, repeat, status
from tests.faults.target import Setup, Target
from tests.raw_client import TEXT, RawClient, frame

ATTACKERS, FLOOD_S = 4, 2.0
SYMBOLS = ascii_letters + digits
_SHORT = (a + b + c for a, b, c in product(["", *SYMBOLS], ["", *SYMBOLS], SYMBOLS) if b or not a)
NAMES = ",".join(islice(_SHORT, 9111))
"""As many unknown names as fit into a line of 32 KiB; they blocked the loop for half a second."""
PUBLISHED, A_REQUEST = 10_000, 100
CONTROL = json.dumps({"rtdemo": {"producers": [f"x{n}" for n in range(5500)]}}).encode()
"""Nearly 64 KiB, the largest text that is allowed."""
MAX_NAMES = 100


def _stream(names: str) -> bytes:
    return (
        f"GET /api/sse?last_event_id=x&producers={names} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ).encode()


async def _status(target: Target, names: str) -> int:
    peer = RawClient(target, "sse")
    try:
        await peer.connect()
        await peer.send(_stream(names))
        await peer.read_until(b"\r\n\r\n")
        return status(peer.received)
    finally:
        peer.leave(by_reset=True)


async def many_names(setup: Setup) -> Figures:
    """Open streams that pick 9,111 names."""
    statuses: list[int] = []
    async with setup.server() as target:

        async def attack(attacked: Target) -> None:
            statuses.append(await _status(attacked, NAMES))

        async def harmless(other: Target) -> None:
            await _status(other, "message")

        figures = await _flood(setup, target, attack, harmless)
    return {
        **figures,
        "requests": len(statuses),
        "admitted": statuses.count(200),
    }


async def names_at_the_limit(setup: Setup) -> Figures:
    """Pick 100 names, and 101."""
    async with setup.server() as target:
        return {
            "status of 100": await _status(target, ",".join(f"n{n}" for n in range(MAX_NAMES))),
            "status of 101": await _status(target, ",".join(f"n{n}" for n in range(MAX_NAMES + 1))),
        }


async def control_messages(setup: Setup) -> Figures:
    """Pick thousands of unknown names by control messages, while 10,000 names are published."""
    async with setup.server("--publish-token", "secret") as target:
        published = await _publish_names(target)

        async def attack(attacked: Target) -> None:
            await _control(attacked, CONTROL)

        async def harmless(other: Target) -> None:
            await _control(other, b'{"rtdemo": {"producers": ["welcome"]}}')

        figures = await _flood(setup, target, attack, harmless)
    return {**figures, "published names": published}


async def _control(target: Target, control: bytes) -> None:
    """Send one control message over a new WebSocket, and wait for its answer."""
    peer = RawClient(target, "websocket")
    try:
        await open_stream(peer, target, "websocket", "producers=welcome")
        await peer.send(frame(TEXT, control))
        await peer.read_until(b'"producer":"rtdemo"')
    finally:
        peer.leave(by_reset=True)


async def _flood(
    setup: Setup,
    target: Target,
    attack: Callable[[Target], Awaitable[object]],
    harmless: Callable[[Target], Awaitable[object]],
) -> Figures:
    """Repeat an attack; return the delays of others, and the CPU time of one request."""
    requests = 0
    cpu = target.cpu_seconds()

    async def flood(attacked: Target) -> None:
        nonlocal requests
        requests += await repeat(lambda: attack(attacked), ATTACKERS, setup.seconds(FLOOD_S))

    async def beside(other: Target) -> None:
        await repeat(lambda: harmless(other), ATTACKERS, setup.seconds(FLOOD_S))

    delays = await delay_added(setup, target, flood, beside)
    return {**delays, "CPU of a request": (target.cpu_seconds() - cpu) / requests * 1000}


async def _publish_names(target: Target) -> int:
    """Publish a message of each of 10,000 names; return how many the server accepted."""
    accepted = 0
    for start in range(0, PUBLISHED, A_REQUEST):
        messages = [
            {"message": "x", "producer": f"published-{n}"} for n in range(start, start + A_REQUEST)
        ]
        code, _ = await target.post(
            "/api/publish", json=messages, headers={"Authorization": "Bearer secret"}
        )
        if code != 200:
            break
        accepted += A_REQUEST
    return accepted
