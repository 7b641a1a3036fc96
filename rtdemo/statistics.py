"""Take what a server counts at one moment, in a form in which several workers' can be added up."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from typing import Any

import msgspec

from rtdemo.client import TRANSPORTS, Transport
from rtdemo.histogram import Histogram
from rtdemo.hub import Hub
from rtdemo.supervisor import STATES, Supervisor
from rtdemo.traffic import Traffic


class Account(msgspec.Struct, rename="camel"):
    """Hold what is known of a producer, as /api/producers shows it."""

    name: str
    plugin: str
    transports: tuple[Transport, ...]
    shared: bool
    always: bool
    stream: bool
    period: float | None
    state: str
    runs: int
    failures: int = 0
    blocked: int = 0
    last_error: str | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What tells a producer from others."""
        return (self.name, self.plugin, self.transports)

    def add(self, other: Account) -> None:
        """Count what another worker's account of the same producer has; the worst state is shown."""
        self.runs += other.runs
        self.failures += other.failures
        self.blocked += other.blocked
        self.state = max(self.state, other.state, key=STATES.index)
        self.last_error = self.last_error or other.last_error


class Statistics(msgspec.Struct, kw_only=True):
    """Hold counters since the start and what is open now.

    Arguments:
        worker: its process.
        uptime: seconds; of several workers, their parent's.
        cpu: seconds of CPU time.
        timers: ticks that stand in the schedule.
        skipped: ticks left out, late by whole periods.
        unpublished: shared messages that the engine did not take.
        leading: whether the shared producers run here.
        publish: from a publication to its position.
        servers: open connections by the name that a server has in the engine.
        workers: how many were added up.
    """

    worker: int
    uptime: float
    cpu: float
    tasks: int
    timers: int
    skipped: int
    unpublished: int
    leading: bool
    connections: dict[Transport, int]
    traffic: dict[Transport, Traffic]
    tick_lag: Histogram
    loop_lag: Histogram
    publish: Histogram
    producers: list[Account]
    servers: dict[str, Any]
    workers: int = 1

    def past(self) -> Statistics:
        """Return what was counted, of one that is gone or does not answer, without what is open."""
        for account in self.producers:
            account.state, account.last_error = STATES[0], None
        nothing: dict[Transport, int] = dict.fromkeys(TRANSPORTS, 0)
        return msgspec.structs.replace(
            self,
            uptime=0.0,
            tasks=0,
            timers=0,
            leading=False,
            connections=nothing,
            servers={},
            workers=0,
        )

    def add(self, other: Statistics) -> None:
        """Count what another worker has counted, too."""
        self.uptime = max(self.uptime, other.uptime)
        self.leading = self.leading or other.leading
        for name in ("cpu", "tasks", "timers", "skipped", "unpublished", "workers"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for transport in TRANSPORTS:
            self.connections[transport] += other.connections[transport]
            self.traffic[transport].add(other.traffic[transport])
        self.tick_lag.add(other.tick_lag)
        self.loop_lag.add(other.loop_lag)
        self.publish.add(other.publish)
        self.servers |= other.servers
        self._add_producers(other.producers)

    def _add_producers(self, others: Iterable[Account]) -> None:
        known = {account.key: account for account in self.producers}
        for other in others:
            mine = known.get(other.key)
            if mine is None:
                self.producers.append(other)
            else:
                mine.add(other)


def take(hub: Hub, uptime: float, loop_lag: Histogram) -> Statistics:
    """Return a server's own statistics: a copy, to which others' can be added."""
    connections = {name: hub.count(name) for name in TRANSPORTS}
    counted = Statistics(
        worker=os.getpid(),
        uptime=uptime,
        cpu=time.process_time(),
        tasks=len(asyncio.all_tasks()),
        timers=hub.schedule.ticks,
        skipped=hub.schedule.skipped,
        unpublished=hub.shared.unpublished,
        leading=hub.shared.leading,
        connections=connections,
        traffic=hub.traffic,
        tick_lag=hub.schedule.lag,
        loop_lag=loop_lag,
        publish=hub.publish_latency,
        producers=[shown(account) for account in hub.plugins.roster.accounts],
        servers={hub.engine.server or str(os.getpid()): connections},
    )
    return read(msgspec.json.encode(counted))


def read(text: bytes) -> Statistics:
    """Read the JSON of statistics."""
    return msgspec.json.decode(text, type=Statistics)


def shown(account: Supervisor) -> Account:
    """Return a producer's account as it is shown."""
    producer = account.producer
    return Account(
        name=producer.name,
        plugin=account.plugin,
        transports=tuple(producer.transports),
        shared=producer.shared,
        always=producer.always,
        stream=producer.is_stream,
        period=producer.every,
        state=account.state,
        runs=account.runs,
        failures=account.failures,
        blocked=account.blocked,
        last_error=account.last_error,
    )
