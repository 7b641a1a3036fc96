"""Help authors test their plugins: time that does not wait, and a real server for one test.

`run_producer` runs one producer for a virtual while. `serve`, and the pytest fixture
`rtdemo_server` that is the same, starts the real server and connects clients of both transports.
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
