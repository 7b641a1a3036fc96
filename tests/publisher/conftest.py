"""Publishers of these tests end with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rtdemo.publisher.background import BackgroundPublisher


@pytest.fixture(autouse=True)
async def ended_publishers(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Stop every publisher of a test, which would try again for ever.

    A server of another test may get the port of its server, and with it what still waits.
    """
    publishers: list[BackgroundPublisher] = []
    init = BackgroundPublisher.__init__

    def noted(self: BackgroundPublisher, *arguments: Any, **named: Any) -> None:
        init(self, *arguments, **named)
        publishers.append(self)

    monkeypatch.setattr(BackgroundPublisher, "__init__", noted)
    yield
    for publisher in publishers:
        publisher._has_warned = True  # no line in the log of the next test
        publisher._sender.stop()
        counts = await asyncio.to_thread(publisher.flush, 60)
        assert counts.waiting == 0
