"""examples/sensor.py: a dict with a title and a unit."""

from __future__ import annotations

import httpx

from rtdemo.testing import VirtualClock
from tests.conftest import Connect
from tests.examples.conftest import Serve


async def test_both_temperatures_are_in_one_message(
    serve: Serve, connect: Connect, clock: VirtualClock
) -> None:
    """A late client gets the newest one; `/api/producers` has what the card needs."""
    server = await serve("sensor")
    clock.advance(1)
    peer = await connect(server, "sse", "producers=sensor&latest=1")
    assert set((await peer.receive())["value"]) == {"air", "soil"}
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        (found,) = (p for p in (await http.get("/api/producers")).json() if p["name"] == "sensor")
    assert (found["title"], found["unit"]) == ("Greenhouse", "°C")
