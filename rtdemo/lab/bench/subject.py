"""Hold the server that is measured: its clock, its processes, what it offers."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from rtdemo.client import Transport
from rtdemo.lab import server_clock
from rtdemo.lab.address import Address
from rtdemo.lab.bench import machine
from rtdemo.lab.bench.inspection import Offers
from rtdemo.lab.bench.plan import Plan, RunSettings, shares
from rtdemo.lab.server_clock import Reading
from rtdemo.route import Route

AT_ONCE = 100
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
class Subject:
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
    offered: Offers
    settings: RunSettings
    producers: str
    clock: Reading | None = None
    pids: set[int] = field(default_factory=set)
    clock_is_assumed: bool = False
    why_untold: str = ""
    _is_mute: bool = False

    def find_processes(self) -> None:
        """Look for the server among this machine's processes."""
        if self.address.is_loopback:
            self.pids = machine.listeners(self.address.port) - {os.getpid()}

    def check_processes(self, route: Route) -> None:
        """Let go of the processes where they only pass on what another one serves."""
        if self.pids and route.process not in self.pids:
            port, listening = self.address.port, ", ".join(map(str, sorted(self.pids)))
            self.why_untold = (
                f"another program listens on port {port} (process {listening}) than serves (process"
                f" {route.process})"
            )
            self.pids = set()

    async def look_at_clock(self) -> None:
        """Measure the clock, now that nothing else is done here."""
        if not self._is_mute:
            self.clock = await server_clock.measure(self.address, self.clock)
            self._is_mute = self.clock is None
        if self._is_mute and self.address.is_loopback:
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
            for name, seconds in self.offered.periods(transport).items()
            if not self.producers or name in picked
        }
        processes = min(self.settings.processes, connections)
        at_once = max(1, AT_ONCE // processes)
        return [
            Plan(url, transport, share, at_once, periods) for share in shares(connections, processes)
        ]
