"""The server that a bench run measures: its producers, its clock, its processes."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from rtdemo.client.failures import LOGIN_STATUSES, refusal_error, to_server_error
from rtdemo.errors import ServerError
from rtdemo.lab import server_clock
from rtdemo.lab.bench import machine
from rtdemo.lab.bench.protocol import Plan
from rtdemo.lab.bench.result import RunSettings
from rtdemo.lab.server_clock import Reading
from rtdemo.protocol.address import Address
from rtdemo.protocol.client import Transport
from rtdemo.protocol.connection_info import ConnectionInfo

MAX_OPENING = 100
"""Connections that all workers open at the same time: below 128, a common length of listen queues."""
MAX_SPREAD_S = 2.0
"""Longest time over which the connections open."""
API_TIMEOUT_S = 10.0
_NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)
_NOT_RTDEMO_ERRORS = (
    *(aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError),
    *(json.JSONDecodeError, UnicodeDecodeError, msgspec.ValidationError, KeyError, TypeError),
)
"""Errors that a request to rtdemo's API causes on another server."""


@dataclass
class Target:
    """The server that is measured.

    Arguments:
        address: where it is.
        server_info: what it reports about itself.
        settings: of the run.
        producers: to measure, separated by commas; empty for all.
        body: of the POST requests; None for GET requests.

    Attributes:
        clock: offset of its clock; None if it is unknown.
        pids: its process ids; empty if they are unknown.
        clock_is_assumed: True if it has no `/api/time`, so that this machine's clock is used for it.
        process_problem: why its processes are unknown although a local process listens on its port.
    """

    address: Address
    server_info: ServerInfo
    settings: RunSettings
    producers: str
    body: bytes | None = None
    clock: Reading | None = None
    pids: set[int] = field(default_factory=set)
    clock_is_assumed: bool = False
    process_problem: str = ""
    _has_no_time_api: bool = False

    def find_processes(self) -> None:
        """Find the server's processes if it is on this machine."""
        if self.address.is_loopback:
            self.pids = machine.listeners(self.address.port) - {os.getpid()}

    def check_processes(self, info: ConnectionInfo) -> None:
        """Drop the processes that listen if another process serves, such as behind a local proxy.

        Arguments:
            info: what the server reports about one connection.
        """
        if self.pids and info.process not in self.pids:
            port, listening = self.address.port, ", ".join(map(str, sorted(self.pids)))
            self.process_problem = (
                f"process {listening} listens on port {port}, but process {info.process} serves;"
                " is it a proxy?"
            )
            self.pids = set()

    async def update_clock(self) -> None:
        """Measure the server's clock; call it only while no messages are measured."""
        if not self._has_no_time_api:
            self.clock = await server_clock.measure(self.address, self.clock)
            self._has_no_time_api = self.clock is None
        if self._has_no_time_api and self.address.is_loopback:
            self.clock = server_clock.same_clock()
            self.clock_is_assumed = True

    def expected_messages(self, transport: Transport) -> float:
        """Return the number of messages that the listed producers send in a round; 0 if none are."""
        periods = self.plans(transport, self.settings.connections)[0].periods.values()
        each = sum(self.settings.seconds * 1000 / period for period in periods)
        return self.settings.connections * each

    def expected_in_all_rounds(self) -> tuple[float, float] | None:
        """Return how many messages the transport with fewer has on average, and at the most.

        None if the rate of a producer, or the clock, is unknown.
        """
        settings, chosen = self.settings, {*self.producers.split(",")}
        listed = map(self.server_info.periods, settings.transports)
        if self.clock is None or not all(chosen <= periods.keys() for periods in listed):
            return None
        expected = settings.rounds * min(map(self.expected_messages, settings.transports))
        # A round may begin just before a message is due, and end just after one.
        return expected, expected + settings.rounds * settings.connections * len(chosen)

    def unknown_producers(self) -> list[str]:
        """Return the names that --producers has and the server does not list."""
        known = {producer.name for producer in self.server_info.producers}
        wanted = self.settings.producers.split(",")
        return [name for name in wanted if name and known and name not in known]

    def usage(self) -> Usage:
        """Return the CPU seconds used until now."""
        own = sum(os.times()[:2])
        return Usage(machine.cpu_seconds(self.pids), own, machine.busy_seconds())

    def plans(self, transport: Transport, connections: int) -> list[Plan]:
        """Return the plan of each worker.

        The connections open over one period of the producers. A private producer runs from its
        connection's start. So messages are due all the time, as with visitors who come when they like;
        in bursts, a single stall of the machine would hit all of them or none.

        Arguments:
            transport: to measure.
            connections: number of all workers together.
        """
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
        spread_s = min(MAX_SPREAD_S, max(periods.values(), default=0.0) / 1000)
        headers = dict(self.address.headers)
        return [
            Plan(url, transport, share, at_once, spread_s, periods, headers, self.body, place, processes)
            for place, share in enumerate(split_connections(connections, processes))
        ]


@dataclass(frozen=True)
class Usage:
    """CPU seconds until an instant.

    Arguments:
        server: of the server's processes.
        own: of this process.
        machine: of all processes.
    """

    server: float
    own: float
    machine: float

    def since(self, earlier: Usage) -> Usage:
        """Return the CPU seconds used since an earlier instant."""
        return Usage(
            self.server - earlier.server, self.own - earlier.own, self.machine - earlier.machine
        )


def split_connections(connections: int, processes: int) -> list[int]:
    """Return how many connections each worker opens."""
    base, more = divmod(connections, processes)
    return [base + (number < more) for number in range(processes)]


class ProducerInfo(msgspec.Struct, frozen=True, rename="camel"):
    """A producer, as `GET /api/producers` lists it.

    Arguments:
        name: of the producer.
        transports: on which it runs.
        shared: whether it runs once for the deployment.
        stream: whether it is an async generator.
        period: seconds; None if it has none.
        state: such as `running` or `disabled`.
        runs: how often it ran; of an async generator, how many values it yielded.
        failures: how many runs failed.
        last_error: the last failure; None without one, or if the server does not show it.
    """

    name: str
    transports: tuple[Transport, ...]
    shared: bool
    stream: bool
    period: float | None
    state: str = "running"
    runs: int = 0
    failures: int = 0
    last_error: str | None = None


class ServerInfo(msgspec.Struct, frozen=True):
    """What a server reports about itself; the defaults are for a server other than rtdemo.

    Arguments:
        version: of rtdemo; empty for another server.
        workers: number of processes that serve.
        producers: all that it lists.
    """

    version: str = ""
    workers: int = 1
    producers: tuple[ProducerInfo, ...] = ()

    def periods(self, transport: Transport) -> dict[str, float]:
        """Return the periods in seconds of the private producers of a transport, by name."""
        return {
            producer.name: producer.period
            for producer in self.producers
            if transport in producer.transports
            and producer.period is not None
            and not (producer.shared or producer.stream)
        }

    def common(self, transports: Sequence[Transport]) -> list[str]:
        """Return the names of private producers that run on all transports with the same period."""
        first, *others = (self.periods(transport) for transport in transports)
        return [name for name, period in first.items() if all(o.get(name) == period for o in others)]


async def fetch_server_info(http: aiohttp.ClientSession, address: Address) -> ServerInfo:
    """Fetch what a server reports about itself.

    Raises:
        ServerError: if it cannot be reached.
    """
    try:
        found = await _fetch_json(http, address.url("/api/producers"))
        stats = await _fetch_json(http, address.url("/api/stats"))
        if found is None or stats is None:
            return ServerInfo()
        producers = msgspec.convert(found, tuple[ProducerInfo, ...])
        return ServerInfo(str(stats["version"]), int(stats["workers"]), producers)
    except _NOT_RTDEMO_ERRORS:
        return ServerInfo()
    except ServerError:
        # Another server may guard these paths: only a whole server has to be rtdemo.
        if address.is_whole:
            raise
        return ServerInfo()
    except _NETWORK_ERRORS as error:
        raise to_server_error(address.origin, error) from error


async def fetch_connection_info(
    http: aiohttp.ClientSession, address: Address, client: str
) -> ConnectionInfo | None:
    """Fetch what the server reports about a connection; None if it reports nothing.

    Arguments:
        http: makes the request.
        address: of the server.
        client: client id of the connection.
    """
    try:
        found = await _fetch_json(http, address.url(f"/api/probe/connection?client={client}"))
        return None if found is None else msgspec.convert(found, ConnectionInfo)
    except (*_NETWORK_ERRORS, *_NOT_RTDEMO_ERRORS):
        return None


async def _fetch_json(http: aiohttp.ClientSession, url: str) -> Any:
    """Return the JSON at a URL; None if there is none."""
    async with asyncio.timeout(API_TIMEOUT_S), http.get(url) as answer:
        if answer.status in LOGIN_STATUSES:
            raise refusal_error(url, answer.status, await answer.text(), answer.headers)
        if answer.status != 200 or "json" not in answer.content_type:
            return None
        return await answer.json()


def choose_producers(
    server_info: ServerInfo, transports: Sequence[Transport], wanted: str, url: str
) -> str:
    """Return the producers to measure, separated by commas; empty for all.

    Arguments:
        server_info: what the server reports.
        transports: to measure.
        wanted: the user's choice, separated by commas; empty for none.
        url: of the server, for errors.

    Raises:
        ServerError: if no producer runs on all transports with the same period.
    """
    if wanted or not server_info.version:
        return wanted
    common = server_info.common(transports)
    if not common:
        problem = "has no private producer with the same period on every transport"
        raise ServerError(url, problem, "name the producers to measure with --producers")
    return ",".join(common)


def left_out_producers(
    server_info: ServerInfo, transports: Iterable[Transport], chosen: str
) -> list[str]:
    """Return the names of periodic private producers that are not measured.

    Arguments:
        server_info: what the server reports.
        transports: to measure.
        chosen: producers to measure, separated by commas.
    """
    names: Mapping[str, None] = {
        name: None for transport in transports for name in server_info.periods(transport)
    }
    return [name for name in names if name not in chosen.split(",")]
