"""Published names in `GET /api/producers`: right at once if they are few, cheap if they are many."""

from __future__ import annotations

from typing import Any

import httpx

from rtdemo.engine.interface import Draft
from rtdemo.protocol.message import Message
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from rtdemo.web.published_names import FEW_NAMES, MAX_AGE_S


async def publish(server: Server, *names: str) -> None:
    for at in range(0, len(names), 100):
        await server.hub.publish([Draft(Message("x"), name) for name in names[at : at + 100]])


async def listed(server: Server) -> dict[str, dict[str, Any]]:
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        return {entry["name"]: entry for entry in (await http.get("/api/producers")).json()}


async def test_few_names_are_listed_at_once(server: Server) -> None:
    """Programs publish and read at once; so do tests."""
    names = [f"name {number}" for number in range(FEW_NAMES - 10)]
    await publish(server, *names)
    assert {*names} <= (await listed(server)).keys()
    await publish(server, "new", "name 0")
    found = await listed(server)
    assert (found["new"]["runs"], found["name 0"]["runs"]) == (1, 2)


async def test_many_names_are_read_again_after_a_while(server: Server, clock: VirtualClock) -> None:
    """A request took 47 ms with 10,000 names: strangers kept a core busy."""
    names = [f"name {number}" for number in range(FEW_NAMES + 1)]
    await publish(server, *names)
    first = await listed(server)
    assert {*names} <= first.keys()
    await publish(server, "new", "name 0")
    assert await listed(server) == first
    clock.advance(MAX_AGE_S)
    found = await listed(server)
    assert (found["new"]["runs"], found["name 0"]["runs"]) == (1, 2)
