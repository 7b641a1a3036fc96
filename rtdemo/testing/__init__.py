"""Help authors test their plugins: time that does not wait, and a real server for one test.

`run_producer` runs one producer for a virtual while. `serve`, and the pytest fixture
`rtdemo_server` that is the same, starts the real server and connects clients of both transports.
"""

from __future__ import annotations

from rtdemo.testing.clock import VirtualClock, VirtualTimer
from rtdemo.testing.loop import TimeStandsStillError, VirtualTimeLoop
from rtdemo.testing.peers import EndedError, Peer
from rtdemo.testing.run import ProducerFailedError, Sent, run_producer
from rtdemo.testing.server import LiveServer, serve

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
