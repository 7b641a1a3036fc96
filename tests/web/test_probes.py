"""Requests of `rtdemo doctor` and the page's comparison, and the bound of their rate."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from rtdemo.server.server import Server
from rtdemo.web import probe_usage
from tests.conftest import Connect, Start


async def get(server: Server, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        return await http.get(f"/api/probe/{path}", headers=headers)


async def test_request_is_shown_as_it_arrived(server: Server) -> None:
    """The answer has every header, those of proxies too, but no secret value."""
    secrets = {"Authorization": "Bearer x", "Cookie": "y=z", "X-Api-Key": "k3y"}
    answer = await get(server, "request?ticket=t1cket", **secrets, Accept="text/x", Via="1.1 box")
    seen: dict[str, Any] = answer.json()
    assert (seen["method"], seen["path"], seen["http"]) == ("GET", "/api/probe/request", "1.1")
    assert (seen["forwarding"], seen["heartbeat"]) == (["Via"], 25.0)
    shown = {name.title(): value for name, value in seen["headers"].items()}
    assert {shown[name] for name in secrets} == {"(not shown)"}
    assert (shown["Accept"], shown["Via"]) == ("text/x", "1.1 box")
    assert not any(secret in answer.text for secret in ("Bearer x", "y=z", "k3y", "t1cket"))


async def test_connection_shows_what_it_came_through(
    server: Server, connect: Connect, transport: str
) -> None:
    """Both transports are served alike: what the page compares is the same."""
    peer = await connect(server, transport)
    info = (await get(server, f"connection?client={peer.welcome['client']}")).json()
    assert info.pop("process") > 0
    assert info == {
        "server": "",
        "transport": transport,
        "http": "1.1",
        "tls": False,
        "noDelay": True,
        "compression": None,
        "forwarding": [],
        "remote": "127.0.0.1",
    }
    assert (await get(server, "connection?client=unknown")).status_code == 404


async def test_address_that_asks_too_often_is_429(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer has the seconds to wait; other paths still answer."""
    # However long a busy machine takes for the requests, none is given back meanwhile.
    monkeypatch.setattr(probe_usage, "REQUESTS_PER_SECOND", 0.001)
    server = await start()
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        statuses = [
            (await http.get("/api/probe/request")).status_code for _ in range(probe_usage.BURST + 3)
        ]
        answer = await http.get("/api/probe/request")
        assert (await http.get("/api/time")).status_code == 200
    assert statuses[: probe_usage.BURST] == [200] * probe_usage.BURST
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


async def test_network_of_64_bits_is_one_client(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """An IPv6 client has 2^64 addresses, and no more requests than a client with one."""
    monkeypatch.setattr(probe_usage, "BURST", 1)
    monkeypatch.setattr(probe_usage, "REQUESTS_PER_SECOND", 0.001)
    server = await start(trusted_proxies=("1",))

    async def probe(address: str) -> httpx.Response:
        return await get(server, "request", **{"X-Forwarded-For": address})

    assert (await probe("2001:db8::1")).status_code == 200
    refused = await probe("2001:db8::2")
    assert refused.status_code == 429
    assert "2001:db8::/64" in refused.text
    assert (await probe("2001:db8:0:1::1")).status_code == 200


@pytest.mark.parametrize("path", ["request", "connection?client=x"])
async def test_probes_can_be_switched_off(start: Start, path: str) -> None:
    """Then every probe answers 404."""
    answer = await get(await start(probes=False), path)
    assert answer.status_code == 404
    assert "--probes" in answer.text
