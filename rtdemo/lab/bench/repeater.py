"""Repeat POST requests: each connection sends its request again when its response is complete."""

from __future__ import annotations

import asyncio
from collections import Counter

from rtdemo.lab.bench.connection import Connection, Endpoint
from rtdemo.lab.bench.opening import add_steps, describe, open_connection
from rtdemo.timing.histogram import Latencies

MIN_INTERVAL_S = 0.05
"""Between two requests of one connection, so that empty responses do not become a flood."""


class Repeater:
    """Open a new connection for each that ends with a complete response, until stopped.

    Arguments:
        endpoint: where to connect.
        opened: connections to begin with.

    Attributes:
        connections: the latest of each, in the same order.
        repeats: number of requests that were repeated.
        problems: number of connections that could not be opened again, by reason.
        steps: durations by step of the repeated requests.
    """

    def __init__(self, endpoint: Endpoint, opened: list[Connection]) -> None:
        self.connections = list(opened)
        self.repeats = 0
        self.problems: Counter[str] = Counter()
        self.steps: dict[str, Latencies] = {}
        self._endpoint = endpoint
        self._tasks = [asyncio.ensure_future(self._repeat(place)) for place in range(len(opened))]

    def stop(self) -> None:
        """Stop repeating; the latest connections stay as they are."""
        for task in self._tasks:
            task.cancel()

    async def _repeat(self, place: int) -> None:
        while True:
            connection = self.connections[place]
            await asyncio.gather(connection.closed, asyncio.sleep(MIN_INTERVAL_S))
            if not connection.is_complete:
                return
            arrivals = connection.arrivals
            arrivals.begin_response()
            try:
                connection = await open_connection(self._endpoint, arrivals)
            except OSError as error:
                self.problems[describe(error)] += 1
                return
            self.connections[place] = connection
            self.repeats += 1
            await asyncio.wait({connection.welcomed, connection.closed}, return_when="FIRST_COMPLETED")
            add_steps(self.steps, connection)
