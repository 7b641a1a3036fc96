"""Hold the server that is measured: its clock, its processes, what it offers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from rtdemo.errors import ServerError
from rtdemo.lab import server_clock
from rtdemo.lab.address import Address
from rtdemo.lab.bench import machine
from rtdemo.lab.bench.protocol import Plan, shares
from rtdemo.lab.bench.result import RunSettings
from rtdemo.lab.follow import explain
from rtdemo.lab.server_clock import Reading
from rtdemo.protocol.client import Transport
from rtdemo.protocol.connection_info import ConnectionInfo

MAX_OPENING = 100
"""Openings in flight, of all processes: under the 128 that many servers let wait."""


@dataclass(frozen=True)
class Usage:
    """Hold CPU seconds at an instant: of the server, of this process, of the machine."""

    server: float
    own: float
    machine: float

    def since(self, earlier: Usage) -> Usage:
        """Return what was used in between."""
        return Usage(
            self.server - earlier.server, self.own - earlier.own, self.machine - earlier.machine
        )


@dataclass
class Target:
    """Hold a server and how it is asked.

    Arguments:
        producers: that are picked, separated by commas; empty for all.

    Attributes:
        clock: how its clock stands to this one's; None where nobody knows.
        pids: its processes, where they are on this machine.
        clock_is_assumed: whether nobody told its time, and this machine's stands for it.
        why_untold: why nothing is told of its processes, though some listen here.
    """

    address: Address
    server_info: ServerInfo
    settings: RunSettings
    producers: str
    clock: Reading | None = None
    pids: set[int] = field(default_factory=set)
    clock_is_assumed: bool = False
    process_problem: str = ""
    _has_no_time_api: bool = False

    def find_processes(self) -> None:
        """Look for the server among this machine's processes."""
        if self.address.is_loopback:
            self.pids = machine.listeners(self.address.port) - {os.getpid()}

    def check_processes(self, route: ConnectionInfo) -> None:
        """Let go of the processes where they only pass on what another one serves."""
        if self.pids and route.process not in self.pids:
            port, listening = self.address.port, ", ".join(map(str, sorted(self.pids)))
            self.process_problem = (
                f"another program listens on port {port} (process {listening}) than serves (process"
                f" {route.process})"
            )
            self.pids = set()

    async def update_clock(self) -> None:
        """Measure the clock, now that nothing else is done here."""
        if not self._has_no_time_api:
            self.clock = await server_clock.measure(self.address, self.clock)
            self._has_no_time_api = self.clock is None
        if self._has_no_time_api and self.address.is_loopback:
            self.clock = server_clock.same_clock()
            self.clock_is_assumed = True

    def usage(self) -> Usage:
        """Return what was used until now."""
        own = sum(os.times()[:2])
        return Usage(machine.cpu_seconds(self.pids), own, machine.busy_seconds())

    def plans(self, transport: Transport, connections: int) -> list[Plan]:
        """Return what each process is told."""
        speed = self.settings.speed
        query = {
            "producers": self.producers or None,
            "speed": f"{speed:g}" if speed != 1 else None,
        }
        url = self.address.stream(transport, query)
        picked = self.producers.split(",")
        periods = {
            name: seconds * 1000 / speed
            for name, seconds in self.server_info.periods(transport).items()
            if not self.producers or name in picked
        }
        processes = min(self.settings.processes, connections)
        at_once = max(1, MAX_OPENING // processes)
        return [
            Plan(url, transport, share, at_once, periods) for share in shares(connections, processes)
        ]


TIMEOUT = aiohttp.ClientTimeout(total=10)
_FAULTS = (aiohttp.ClientError, OSError, TimeoutError)
_FOREIGN = (
    *(aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError),
    *(json.JSONDecodeError, UnicodeDecodeError, msgspec.ValidationError, KeyError, TypeError),
)
"""What a server answers that is no rtdemo, to whom the question means nothing."""


class ProducerInfo(msgspec.Struct, frozen=True):
    """Hold of a producer of the server what a schedule is made of."""

    name: str
    transports: tuple[Transport, ...]
    shared: bool
    stream: bool
    period: float | None


class ServerInfo(msgspec.Struct, frozen=True):
    """Hold what a server has; nothing where it is no rtdemo.

    Arguments:
        version: of rtdemo; empty where it is none.
        workers: processes that serve.
        producers: each producer on each transport.
    """

    version: str = ""
    workers: int = 1
    producers: tuple[ProducerInfo, ...] = ()

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


async def fetch_server_info(http: aiohttp.ClientSession, address: Address) -> ServerInfo:
    """Ask a server what it has.

    Raises:
        ServerError: where there is none.
    """
    try:
        found = await _get(http, f"{address.origin}/api/producers")
        stats = await _get(http, f"{address.origin}/api/stats")
        if found is None or stats is None:
            return ServerInfo()
        producers = msgspec.convert(found, tuple[ProducerInfo, ...])
        return ServerInfo(str(stats["version"]), int(stats["workers"]), producers)
    except _FOREIGN:
        return ServerInfo()
    except _FAULTS as error:
        raise explain(address.origin, error) from error


async def _get(http: aiohttp.ClientSession, url: str) -> Any:
    """Return the JSON under a URL; None where there is no such thing."""
    async with http.get(url, timeout=TIMEOUT) as answer:
        if answer.status != 200 or "json" not in answer.content_type:
            return None
        return await answer.json()


async def route(http: aiohttp.ClientSession, address: Address, client: str) -> ConnectionInfo | None:
    """Ask through what a client's connection came; None where the server does not tell."""
    try:
        found = await _get(http, f"{address.origin}/api/probe/connection?client={client}")
        return None if found is None else msgspec.convert(found, ConnectionInfo)
    except (*_FAULTS, *_FOREIGN):
        return None


def choose(server_info: ServerInfo, transports: Sequence[Transport], wanted: str, target: str) -> str:
    """Return the producers to measure, separated by commas; nothing for all that is sent.

    Raises:
        ServerError: where there are none that the transports have in common.
    """
    if wanted or not server_info.version:
        return wanted
    common = server_info.common(transports)
    if not common:
        problem = "has no private producer with one period on every transport"
        raise ServerError(target, problem, "name what to measure with --producers")
    return ",".join(common)


def left_out(server_info: ServerInfo, transports: Iterable[Transport], chosen: str) -> list[str]:
    """Return the names of periodic private producers that were not chosen."""
    names: Mapping[str, None] = {
        name: None for transport in transports for name in server_info.periods(transport)
    }
    return [name for name in names if name not in chosen.split(",")]
