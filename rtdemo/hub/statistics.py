"""Counters of one server, in a form in which those of several workers can be added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from rtdemo.plugin_system.supervisor import STATES, Supervisor
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.publisher.waiting import PublishCounts, total
from rtdemo.timing.histogram import Histogram

PUBLISHED = "published"
"""State of a name that has no producer here: programs publish under it, or plugins reply."""


class Traffic(msgspec.Struct):
    """Count messages, bytes and drops of one transport since the start.

    Arguments:
        messages: messages written.
        bytes: bytes of these messages with their framing.
        drops: periodic messages dropped because a client's outbox was full.
        received: texts received from clients.
        too_slow: connections ended because their outbox stayed full.
        resumes: connections that resumed at a position in the log.
        lost: reports to clients that messages are lost to them.
    """

    messages: int = 0
    bytes: int = 0
    drops: int = 0
    received: int = 0
    too_slow: int = 0
    resumes: int = 0
    lost: int = 0

    def add(self, other: Traffic) -> None:
        """Add the counters of another worker."""
        for name in COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


COUNTERS = Traffic.__struct_fields__
JSON_KEYS = {counter: counter for counter in COUNTERS} | {"too_slow": "tooSlow"}
"""Key of each counter in /api/stats."""


class ProducerStatistics(msgspec.Struct, rename="camel"):
    """Hold the description, state and counters of a producer, as /api/producers shows them.

    Arguments:
        plugin: name of its plugin; empty for a name under which messages are published from outside.
        always: whether it is also sent to clients that did not pick it.
        stream: whether it is an async generator.
        period: seconds between two runs; None where it has no period.
        state: one of `rtdemo.plugin_system.supervisor.STATES`, or `PUBLISHED`.
        runs: how often it ran; of an async generator, how many messages it yielded; of a published name,
            how many messages it had.
        failures: runs that raised an error, returned a wrong type, or took too long.
        blocked: runs that blocked the event loop for over 100 ms.
        last_error: one line about the last failure.
        users: names of the users that receive it; None for everyone. /api/producers leaves it out.
        title, unit, low, high: how it describes itself; empty or None where it does not.
        nulls: NaNs and infinities in its values, which were sent as null.
        sent_at: when its newest message was sent, in milliseconds since the Unix epoch; None for a
            private producer, and where the log has no message of it.
    """

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
    users: frozenset[str] | None = None
    title: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    nulls: int = 0
    sent_at: float | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What identifies the producer among those of all workers."""
        return (self.name, self.plugin, self.transports, self.users)

    def add(self, other: ProducerStatistics) -> None:
        """Add the counters of the same producer in another worker; keep the worse state of the two."""
        self.runs += other.runs
        self.failures += other.failures
        self.blocked += other.blocked
        self.nulls += other.nulls
        self.state = max(self.state, other.state, key=STATES.index)
        self.last_error = self.last_error or other.last_error


def of_producer(supervisor: Supervisor) -> ProducerStatistics:
    """Return the statistics of a supervisor's producer."""
    producer = supervisor.producer
    return ProducerStatistics(
        name=producer.name,
        plugin=supervisor.plugin,
        transports=tuple(producer.transports),
        shared=producer.shared,
        always=producer.always,
        stream=producer.is_stream,
        period=producer.every,
        state=supervisor.state,
        runs=supervisor.runs,
        failures=supervisor.failures,
        blocked=supervisor.blocked,
        last_error=supervisor.last_error,
        users=producer.admitted_users,
        title=producer.title,
        unit=producer.unit,
        low=producer.low,
        high=producer.high,
        nulls=supervisor.nulls,
    )


class Statistics(msgspec.Struct, kw_only=True):
    """Hold the counters of one server since its start, and what is open now.

    Arguments:
        worker: process id.
        uptime: seconds since the start; for several workers, since their parent's start.
        cpu: seconds of CPU time.
        tasks: asyncio tasks.
        timers: ticks in the schedule.
        skipped: ticks skipped because they were late by whole periods.
        unpublished: shared messages that the engine did not take.
        leading: whether the shared producers run here.
        connections: open connections by transport.
        traffic: counters by transport.
        refused: requests, connections and texts that a limit refused, by the name of the limit.
        published_here: what became of messages that code in the server gave to `rtdemo.publish`.
        tick_lag: seconds by which producers' ticks ran late.
        loop_lag: seconds by which the event loop was late.
        publish: seconds from a publication to its position.
        producers: statistics of each producer.
        servers: open connections by transport, by the server's name in the engine.
        workers: number of workers that were added up.
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
    producers: list[ProducerStatistics]
    servers: dict[str, Any]
    refused: dict[str, int] = msgspec.field(default_factory=dict)
    published_here: PublishCounts = msgspec.field(default_factory=PublishCounts)
    workers: int = 1

    def past(self) -> Statistics:
        """Return the counters of a worker that has exited or does not answer, without what is open."""
        for producer in self.producers:
            producer.state, producer.last_error = STATES[0], None
        none_open: dict[Transport, int] = dict.fromkeys(TRANSPORTS, 0)
        return msgspec.structs.replace(
            self,
            uptime=0.0,
            tasks=0,
            timers=0,
            leading=False,
            connections=none_open,
            published_here=replace(self.published_here, waiting=0),
            servers={},
            workers=0,
        )

    def add(self, other: Statistics) -> None:
        """Add the statistics of another worker."""
        self.uptime = max(self.uptime, other.uptime)
        self.leading = self.leading or other.leading
        for name in ("cpu", "tasks", "timers", "skipped", "unpublished", "workers"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for transport in TRANSPORTS:
            self.connections[transport] += other.connections[transport]
            self.traffic[transport].add(other.traffic[transport])
        self.published_here = total((self.published_here, other.published_here))
        self.refused = dict(Counter(self.refused) + Counter(other.refused))
        self.tick_lag.add(other.tick_lag)
        self.loop_lag.add(other.loop_lag)
        self.publish.add(other.publish)
        self.servers |= other.servers
        self._add_producers(other.producers)

    def _add_producers(self, others: Iterable[ProducerStatistics]) -> None:
        known = {producer.key: producer for producer in self.producers}
        for other in others:
            same = known.get(other.key)
            if same is None:
                self.producers.append(other)
            else:
                same.add(other)


def read(text: bytes) -> Statistics:
    """Return statistics from their JSON.

    Raises:
        msgspec.DecodeError: it is no statistics of this version.
    """
    return msgspec.json.decode(text, type=Statistics)
