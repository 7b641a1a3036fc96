"""Keys of the state that request handlers find on the application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from rtdemo.hub.hub import Hub
from rtdemo.publisher.waiting import PublishCounts
from rtdemo.settings.settings import Settings
from rtdemo.timing.loop_lag import LoopLag
from rtdemo.timing.schedule import Schedule
from rtdemo.web.other_workers import CounterFiles, OtherWorkers


@dataclass
class Sites:
    """Hold the ports of the sites; set once the sites are open.

    Arguments:
        web: the web site's port.
        websocket: the WebSocket site's port; None with a single site.
    """

    web: int = 0
    websocket: int | None = None

    @property
    def ports(self) -> set[int]:
        """Every open port."""
        return {self.web} | ({self.websocket} if self.websocket is not None else set())


@dataclass
class Started:
    """Hold when the server started, and measure what it does besides serving the hub.

    Arguments:
        at: seconds on the event loop's clock.
        loop_lag: measures the event loop since then.
        published_here: returns what became of messages that code in the server has published.
    """

    at: float = 0.0
    loop_lag: LoopLag = field(default_factory=LoopLag)
    published_here: Callable[[], PublishCounts] = PublishCounts


HUB = web.AppKey("HUB", Hub)
SETTINGS = web.AppKey("SETTINGS", Settings)
OTHER_WORKERS = web.AppKey("OTHER_WORKERS", OtherWorkers)
SITES = web.AppKey("SITES", Sites)
STARTED = web.AppKey("STARTED", Started)
COUNTER_FILES = web.AppKey("COUNTER_FILES", CounterFiles)
HEARTBEATS = web.AppKey("HEARTBEATS", Schedule)
"""Keeps the connections alive, in real time also where a test moves the producers' time."""
READ_BUFFER = web.AppKey("READ_BUFFER", memoryview)
"""Where the transports of all WebSockets write what they read, one after another."""
STREAM_HEADS: web.AppKey[dict[tuple[object, ...], tuple[int, bytes]]] = web.AppKey("STREAM_HEADS", dict)
"""Heads of answers that open an event stream, by their kind, each with the second of its date."""
