"""Tools for tests of plugins: virtual time, one producer alone, or a real server with clients.

`run_producer` runs one producer for some virtual seconds and returns its messages. `serve` starts the
real server and connects clients over both transports; the pytest fixture `rtdemo_server` returns it.
"""

from __future__ import annotations

from rtdemo.testing.clients import EndedError, Peer
from rtdemo.testing.run_producer import ProducerFailedError, Sent, run_producer
from rtdemo.testing.server import LiveServer, serve
from rtdemo.testing.virtual_time import TimeStandsStillError, VirtualClock, VirtualTimeLoop, VirtualTimer

__all__ = [
    "EndedError",
    "LiveServer",
    "Peer",
    "ProducerFailedError",
    "Sent",
    "TimeStandsStillError",
    "VirtualClock",
    "VirtualTimeLoop",
    "VirtualTimer",
    "run_producer",
    "serve",
]
