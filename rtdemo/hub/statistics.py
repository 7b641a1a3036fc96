"""Take what a server counts at one moment, in a form in which several workers' can be added up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from rtdemo.plugin_system.supervisor import STATES, Supervisor
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.timing.histogram import Histogram


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


class Traffic(msgspec.Struct):
    """Add up messages, bytes and drops of one transport since the start.

    Arguments:
        messages: messages written.
        bytes: bytes of these messages with their framing.
        drops: periodic messages left out because a client's outbox was full.
        received: texts that came from clients.
        too_slow: connections ended because their outbox stayed full.
        resumes: connections that went on behind a place in the log.
        lost: how often a client was told that messages are lost to it.
    """

    messages: int = 0
    bytes: int = 0
    drops: int = 0
    received: int = 0
    too_slow: int = 0
    resumes: int = 0
    lost: int = 0

    def add(self, other: Traffic) -> None:
        """Count what another one has counted, too."""
        for name in COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


COUNTERS = Traffic.__struct_fields__
