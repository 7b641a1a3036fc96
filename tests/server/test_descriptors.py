"""Idle connections are closed before no file descriptor is free."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from rtdemo.hub.hub import Hub
from rtdemo.server import server as server_module
from rtdemo.server.descriptors import COUNT_INTERVAL_S, Descriptors
from rtdemo.testing import VirtualClock
from rtdemo.timing.schedule import Clock
from tests.conftest import Start

LIMIT = 64


async def test_each_shortage_is_reported_once_and_so_is_its_end(
    start: Start, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A line for each closed connection would fill the log."""

    def limited(runner: web.BaseRunner, hub: Hub, _clock: Clock, _limit: int) -> Descriptors:
        return Descriptors(runner, hub, clock, LIMIT, count=lambda: 0)

    monkeypatch.setattr(server_module, "Descriptors", limited)
    server = await start(single_site=True)
    port = urlsplit(server.web_url).port
    caplog.clear()
    with ExitStack() as silent:
        for shortage in (1, 2):
            for _ in range(LIMIT):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                silent.enter_context(closing(writer))
            # It is accepted after all the others.
            async with aiohttp.ClientSession() as http, http.get(f"{server.web_url}/healthz") as answer:
                assert answer.status == 200
            assert caplog.text.count("are short") == shortage
            clock.advance(COUNT_INTERVAL_S)
            assert caplog.text.count("suffice again") == shortage - 1
            clock.advance(COUNT_INTERVAL_S)
            assert caplog.text.count("suffice again") == shortage
    assert len(caplog.records) == 4
