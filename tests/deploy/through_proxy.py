"""Use two servers through proxies of deploy/: both transports, texts, publishing, `rtdemo doctor`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import httpx
import httpx_sse
import websockets

from tests.cluster.deployment import deployment
from tests.lab.doctor.doctor_run import examine

TOKEN = "a-token-of-the-test"
SETTINGS = ("--production", "--trusted-proxies", "1", "--publish-token", TOKEN)
"""As docs/deploy.md says for servers behind one proxy."""
UNLIMITED = ("--connects-per-address", "0")
"""All clients here have one address."""
HEARTBEAT_S = 25
"""The default of `--heartbeat`."""
TEXTS = 4
"""Texts that each client sends: each must reach the server that has the client's stream."""


async def faults(
    folder: Path, proxies: Sequence[str], idle_s: int, heartbeat_s: int = HEARTBEAT_S
) -> list[str]:
    """Return what does not work through proxies, in words; nothing if all does.

    Arguments:
        folder: existing and empty.
        proxies: names in `PROXIES`.
        idle_s: seconds of silence in which doctor looks for a cut.
        heartbeat_s: seconds between the servers' heartbeats.
    """
    settings = (*SETTINGS, *UNLIMITED, "--heartbeat", str(heartbeat_s))
    async with deployment(folder, proxies, settings) as parts:
        found = await asyncio.gather(
            *(_faults(name, proxy.url, idle_s) for name, proxy in parts.proxies.items())
        )
    return [fault for each in found for fault in each]


async def _faults(name: str, url: str, idle_s: int) -> list[str]:
    await talk_over_websocket(url)
    await talk_over_sse(url)
    await publish(url)
    report = await examine(url, idle_s)
    return [
        f"{name}: {found.check}: {found.verdict} {found.code}: {found.seen}" for found in report.faults
    ]


async def talk_over_websocket(url: str) -> None:
    """The welcome arrives at once, and an echo follows each text."""
    async with websockets.connect(f"{url.replace('http', 'ws')}/ws?producers=echo") as socket:
        assert json.loads(await socket.recv())["message"] == "WebSocket connection established"
        for number in range(TEXTS):
            await socket.send(str(number))
            assert json.loads(await socket.recv())["message"] == f"Echo: {number}"


async def talk_over_sse(url: str) -> None:
    """The same, with texts that are posted."""
    async with (
        httpx.AsyncClient(base_url=url) as http,
        httpx_sse.aconnect_sse(http, "GET", "/api/sse?producers=echo") as stream,
    ):
        events = stream.aiter_sse()
        welcome = (await anext(events)).json()
        assert welcome["message"] == "SSE connection established"
        for number in range(TEXTS):
            answer = await http.post(f"/api/messages?client={welcome['client']}", content=str(number))
            assert answer.status_code == 202
            assert (await anext(events)).json()["message"] == f"Echo: {number}"


async def publish(url: str) -> None:
    """Whoever has the token may publish, and nobody else may."""
    async with httpx.AsyncClient(base_url=url) as http:
        body = {"message": "to everyone", "producer": "news"}
        assert (await http.post("/api/publish", json=body)).status_code == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert (await http.post("/api/publish", json=body, headers=bearer)).status_code == 200
