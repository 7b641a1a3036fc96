"""Name what request handlers find on the application."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from rtdemo.hub.hub import Hub
from rtdemo.settings.settings import Settings
from rtdemo.timing.loop_lag import LoopLag
from rtdemo.web.other_workers import CounterFiles, OtherWorkers


@dataclass
class Sites:
    """Hold the ports that are open, once they are.

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
    """Remember when the server started, in seconds on the loop's clock, and how late its loop was."""

    at: float = 0.0
    loop_lag: LoopLag = field(default_factory=LoopLag)


HUB = web.AppKey("HUB", Hub)
SETTINGS = web.AppKey("SETTINGS", Settings)
OTHER_WORKERS = web.AppKey("SIBLINGS", OtherWorkers)
SITES = web.AppKey("SITES", Sites)
STARTED = web.AppKey("STARTED", Started)
COUNTER_FILES = web.AppKey("TALLY", CounterFiles)
