"""Ask a server what it will send, and how a connection reached it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from rtdemo.client import Transport
from rtdemo.errors import ServerError
from rtdemo.lab.address import Address
from rtdemo.lab.following import explain
from rtdemo.route import Route

TIMEOUT = aiohttp.ClientTimeout(total=10)
_FAULTS = (aiohttp.ClientError, OSError, TimeoutError)
_FOREIGN = (
    *(aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError),
    *(json.JSONDecodeError, UnicodeDecodeError, msgspec.ValidationError, KeyError, TypeError),
)
"""What a server answers that is no rtdemo, to whom the question means nothing."""


class Offer(msgspec.Struct, frozen=True):
    """Hold of a producer of the server what a schedule is made of."""

    name: str
    transports: tuple[Transport, ...]
    shared: bool
    stream: bool
    period: float | None


class Offers(msgspec.Struct, frozen=True):
    """Hold what a server has; nothing where it is no rtdemo.

    Arguments:
        version: of rtdemo; empty where it is none.
        workers: processes that serve.
        producers: each producer on each transport.
    """

    version: str = ""
    workers: int = 1
    producers: tuple[Offer, ...] = ()

    def periods(self, transport: Transport) -> dict[str, float]:
        """Return the periods of private producers on a transport, in seconds."""
        return {
            offer.name: offer.period
            for offer in self.producers
            if transport in offer.transports
            and offer.period is not None
            and not (offer.shared or offer.stream)
        }

    def common(self, transports: Sequence[Transport]) -> list[str]:
        """Return the private producers that all of these transports have with one period."""
        first, *others = (self.periods(transport) for transport in transports)
        return [name for name, period in first.items() if all(o.get(name) == period for o in others)]


async def offers(http: aiohttp.ClientSession, address: Address) -> Offers:
    """Ask a server what it has.

    Raises:
        ServerError: where there is none.
    """
    try:
        found = await _get(http, f"{address.origin}/api/producers")
        stats = await _get(http, f"{address.origin}/api/stats")
        if found is None or stats is None:
            return Offers()
        producers = msgspec.convert(found, tuple[Offer, ...])
        return Offers(str(stats["version"]), int(stats["workers"]), producers)
    except _FOREIGN:
        return Offers()
    except _FAULTS as error:
        raise explain(address.origin, error) from error


async def _get(http: aiohttp.ClientSession, url: str) -> Any:
    """Return the JSON under a URL; None where there is no such thing."""
    async with http.get(url, timeout=TIMEOUT) as answer:
        if answer.status != 200 or "json" not in answer.content_type:
            return None
        return await answer.json()


async def route(http: aiohttp.ClientSession, address: Address, client: str) -> Route | None:
    """Ask through what a client's connection came; None where the server does not tell."""
    try:
        found = await _get(http, f"{address.origin}/api/probe/connection?client={client}")
        return None if found is None else msgspec.convert(found, Route)
    except (*_FAULTS, *_FOREIGN):
        return None


def choose(offered: Offers, transports: Sequence[Transport], wanted: str, target: str) -> str:
    """Return the producers to measure, separated by commas; nothing for all that is sent.

    Raises:
        ServerError: where there are none that the transports have in common.
    """
    if wanted or not offered.version:
        return wanted
    common = offered.common(transports)
    if not common:
        problem = "has no private producer with one period on every transport"
        raise ServerError(target, problem, "name what to measure with --producers")
    return ",".join(common)


def left_out(offered: Offers, transports: Iterable[Transport], chosen: str) -> list[str]:
    """Return the names of periodic private producers that were not chosen."""
    names: Mapping[str, None] = {
        name: None for transport in transports for name in offered.periods(transport)
    }
    return [name for name in names if name not in chosen.split(",")]
