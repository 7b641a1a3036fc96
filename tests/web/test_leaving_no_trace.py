"""Thousands of clients come and go, and the server has no more of anything than before."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections import Counter
from ssl import SSLContext

import pytest

from rtdemo.server.server import Server
from tests.clients import eventually
from tests.conftest import Start
from tests.raw_client import CLOSE, GOODBYE, RawClient, frame, frames, request
from tests.tls_client import TlsClient

pytestmark = pytest.mark.uncovered

COUNT = 10_000
"""Connects and leaves."""
TLS_COUNT = 1000
"""Connects and leaves over TLS, each of which takes several times as long."""
FIRST = 8
"""Clients that connect before the first count, so that caches are filled."""
AT_ONCE = 200
"""Clients that are connected at the same time."""
SPARE = {"objects": 500, "blocks of memory": 5000}
"""How many of all objects and blocks may be more than before: far fewer than one a connection.

Caches of the interpreter take about 170 objects and 2,000 blocks, which do not grow from there.
"""
OURS = ("rtdemo.", "plugins.", "aiohttp", "websockets.", "asyncio.", "uvloop.")
"""Modules of the types with no more objects than before: the server's own and those that it uses."""
TIMERS_END_S = 10
"""Seconds after which each timer of a connection has run: more than any of its timeouts of that kind."""
POLL_S = 0.1
"""Seconds between two counts, each of which walks over all objects."""


def footprint(server: Server) -> Counter[str]:
    """Return what a connection could leave behind, counted by kind."""
    gc.collect()
    objects = gc.get_objects()
    types = (type(one) for one in objects)
    found = Counter(f"{one.__module__}.{one.__qualname__}" for one in types)
    found = Counter({name: count for name, count in found.items() if name.startswith(OURS)})
    found["connections"] = len(server.hub)
    found["ticks"] = server.hub.schedule.queued
    found["tasks"] = len(asyncio.all_tasks())
    found["files"] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only their number
    found["objects"] = len(objects)
    found["blocks of memory"] = sys.getallocatedblocks()
    return found


async def more_than(before: Counter[str], server: Server) -> dict[str, int]:
    """Return what the server has more of than before, once its timers have ended."""
    for _ in range(round(TIMERS_END_S / POLL_S)):
        more = footprint(server) - before
        more_than_spare = {kind: count for kind, count in more.items() if count > SPARE.get(kind, 0)}
        if not more_than_spare:
            break
        await asyncio.sleep(POLL_S)
    return more_than_spare


async def come_and_go_over_tls(server: Server, context: SSLContext, at_once: int) -> None:
    """Connect clients over TLS, and let them leave in the same four ways."""
    transports = [("websocket", "sse")[number % 2] for number in range(at_once)]
    clients = [await TlsClient.connect(server, transport, context) for transport in transports]
    for number, client in enumerate(clients):
        await client.read_until(b"established")
        if number % 4 == 0:
            client.writer.write(frame(CLOSE, GOODBYE))
            assert str(frames(await client.read_to_end())[-1]) == "close 1000"
        await client.leave(by_reset=number % 4 > 1)
    await eventually(lambda: len(server.hub) == 0)


async def come_and_go(server: Server, at_once: int) -> None:
    """Connect clients, half of each transport; half of these leave by RST, the others cleanly."""
    clients = []
    for number in range(at_once):
        transport = ("websocket", "sse")[number % 2]
        client = await RawClient(server, transport).connect()
        await client.send(request(server, transport))
        clients.append(client)
    await eventually(lambda: len(server.hub) == at_once)
    for first in range(0, at_once, 4):
        closing, ending, *cut = clients[first : first + 4]
        await closing.send(frame(CLOSE, GOODBYE))
        ending.end()
        for client in cut:
            client.leave(by_reset=True)
    for first in range(0, at_once, 4):
        closing, ending = clients[first : first + 2]
        assert str(frames(await closing.read_to_end())[-1]) == "close 1000"
        await ending.read_to_end()
        closing.leave()
        ending.leave()
    await eventually(lambda: len(server.hub) == 0)


@pytest.mark.timeout(300)  # about 9 s on a quiet machine
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_10_000_clients_come_and_go(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """They leave no object, task, tick, timer or open file, over both transports, cleanly or not."""
    server = await start(real_time=True)
    await come_and_go(server, FIRST)
    before = footprint(server)
    for _ in range(COUNT // AT_ONCE):
        await come_and_go(server, AT_ONCE)
    assert await more_than(before, server) == {}
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.timeout(300)
@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
async def test_1_000_clients_come_and_go_over_tls(
    start: Start,
    server_context: SSLContext,
    client_context: SSLContext,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The same over TLS, where the transport holds more."""
    server = await start(real_time=True, ssl_context=server_context)
    await come_and_go_over_tls(server, client_context, FIRST)
    before = footprint(server)
    for _ in range(TLS_COUNT // AT_ONCE):
        await come_and_go_over_tls(server, client_context, AT_ONCE)
    assert await more_than(before, server) == {}
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
