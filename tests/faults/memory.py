"""Clients that read nothing, and what the server keeps for them."""

from __future__ import annotations

import asyncio

from tests.faults.attack import Figures
from tests.faults.peers import streams
from tests.faults.target import Setup

CLIENTS = 200
RECEIVE_BUFFER_BYTES = 4096
FILL_S = 6.0
FILL = """
from rtdemo import producer

def fill(size):
    return lambda: "x" * size
"""


def _producers(sizes: tuple[int, ...], shared: bool) -> str:
    """Return a plugin with enough producers to fill every buffer within seconds."""
    lines = []
    for size in sizes:
        # 40 KiB a second of small messages, at the least: the buffers hold some hundreds.
        number, every = (20, 0.01) if size < 1000 else (2, 0.05)
        lines += [
            f"p{size}_{n} = producer(every={every}, name='p{size}-{n}', shared={shared})(fill({size}))"
            for n in range(1 if shared else number)
        ]
    return FILL + "\n".join(lines)


async def unread(setup: Setup, sizes: tuple[int, ...], shared: bool, transport: str) -> Figures:
    """Open 200 connections that read nothing while messages are sent to them.

    Arguments:
        setup: starts the server.
        sizes: of the messages, in bytes.
        shared: whether everyone gets the same ones.
        transport: websocket or sse.
    """
    plugin = setup.folder / "filler.py"
    plugin.write_text(_producers(sizes, shared))
    without = ("--without", "broadcast,message,status", "--history-bytes", "1048576")
    async with setup.server(str(plugin), *without) as target:
        # One that leaves again: the first connection costs more than the others.
        async with streams(target, transport, 1):
            await asyncio.sleep(0.2)
        before = target.rss_mib()
        target.forget_peak()
        async with streams(target, transport, CLIENTS, receive_buffer=RECEIVE_BUFFER_BYTES):
            await asyncio.sleep(setup.seconds(FILL_S))
            growth = target.peak_rss_mib() - before
        return {"RSS": growth, "RSS of a client": growth / CLIENTS}
