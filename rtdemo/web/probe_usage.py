"""Bound what probes cost: requests of an address, open streams of an address, and of all."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web

from rtdemo.errors import Refused
from rtdemo.timing.token_bucket import TokenBuckets
from rtdemo.web.app_keys import HUB, SETTINGS
from rtdemo.web.client_address import client_address

BURST, REQUESTS_PER_SECOND = 120, 2.0
"""Requests that an address may make at once, and that it may make each second in the long run."""
MAX_STREAMS = 96
"""Streams and sockets open at once, of all addresses."""
MAX_STREAMS_OF_ADDRESS = 40
"""Streams and sockets of one address, or of all clients behind one proxy; doctor needs up to 34."""


@dataclass
class ProbeUsage:
    """Count what probes use, to bound it.

    Arguments:
        requests: the rate of each address.
        streams: open streams and sockets by address, without those that have none.
    """

    requests: TokenBuckets = field(default_factory=lambda: TokenBuckets(REQUESTS_PER_SECOND, BURST))
    streams: Counter[str] = field(default_factory=Counter)

    def check_room(self, address: str) -> None:
        """Admit another stream of an address.

        Raises:
            Refused: 429 where too many are open.
        """
        if self.streams.total() >= MAX_STREAMS or self.streams[address] >= MAX_STREAMS_OF_ADDRESS:
            # Reading the counter adds no address to it.
            sentence = f"{self.streams[address]} probes of {address} are open; try again later"
            raise Refused(429, sentence, {"Retry-After": "5"})

    def closed(self, address: str) -> None:
        """Count a stream no more."""
        self.streams[address] -= 1
        # Drop addresses with no stream: the counter must not grow with all that ever asked.
        if self.streams[address] <= 0:
            del self.streams[address]


USAGE = web.AppKey("USAGE", ProbeUsage)


def check_probe(request: web.Request) -> str:
    """Admit a probe; return what counts as its client's address.

    Raises:
        Refused: 404 while probes are off; 429 for an address that asks too often.
    """
    if not request.app[SETTINGS].probes:
        raise Refused(404, "the probes are off; start the server with --probes")
    # Unlike other limits, those of probes exempt nobody.
    remote = client_address(request)
    address, now = request.app[HUB].limits.address(remote) or remote, time.monotonic()
    bucket = request.app[USAGE].requests.of(address, now)
    if not bucket.take(now):
        later = {"Retry-After": str(int(bucket.wait(now)) + 1)}
        raise Refused(429, f"too many probes from {address}; try again later", later)
    return address
