"""Ask each way in turns, and conclude."""

from __future__ import annotations

import asyncio

from rtdemo.lab.busy import BusyWatch
from rtdemo.lab.token_stream import client
from rtdemo.lab.token_stream.hold_findings import reference_of
from rtdemo.lab.token_stream.holding import find_hold
from rtdemo.lab.token_stream.report import Report
from rtdemo.lab.token_stream.request import Request
from rtdemo.lab.token_stream.verdict import conclude
from rtdemo.lab.token_stream.way import Way

REQUESTS = 3
"""Requests on each way. They take turns, so that a busy minute of the server touches all ways."""


class Examination:
    """Asks for token streams on each way.

    Arguments:
        request: through the proxies.
        direct: to the server; None if its address is not known.
        report: gets what was seen, also after an interrupt.

    Attributes:
        state: what is being done, in words.
    """

    def __init__(self, request: Request, direct: Request | None, report: Report) -> None:
        self.state = "connecting"
        self._request, self._direct_request = request, direct
        self._report = report
        self._urls: list[Way] = []
        self._direct: Way | None = None

    async def run(self) -> None:
        """Ask, and put the conclusion into the report; an interrupt concludes from what there is."""
        started = asyncio.get_running_loop().time()
        busy = BusyWatch()
        try:
            await self._find_ways()
            await self._ask_in_turns()
            await self._ask_uncompressed()
        except client.UnreachableError as error:
            self._report.cannot_run(str(error))
        finally:
            busy.stop()
            self._report.seconds = round(asyncio.get_running_loop().time() - started, 1)
            if any(way.recordings for way in self._urls):
                conclusion = conclude(self._urls, self._direct, busy.is_busy)
                self._report.take(self._urls, self._direct, conclusion)

    @property
    def _ways(self) -> list[Way]:
        return [*self._urls, *([self._direct] if self._direct else [])]

    async def _find_ways(self) -> None:
        versions = await client.versions(self._request.address)
        if self._direct_request is not None:
            await client.versions(self._direct_request.address)
            self._direct = Way("direct", "1.1", self._direct_request)
        self._urls = [Way("url", version, self._request) for version in versions]

    async def _ask_in_turns(self) -> None:
        ways = self._ways
        total, done = REQUESTS * len(ways), 0
        for number in range(REQUESTS):
            for way in ways if number % 2 == 0 else reversed(ways):
                self.state = f"{done} of {total} answers"
                if not way.is_final:
                    way.recordings.append(await client.ask(way.request, way.version))
                done += 1

    async def _ask_uncompressed(self) -> None:
        """Ask once more without compression where compressed tokens seem to be held back."""
        reference = reference_of(self._direct)
        for way in self._ways:
            known = reference if way.name == "url" else None
            if way.coding and find_hold(way.figures, known) is not None:
                self.state = "asking without compression"
                request = way.request.without_compression()
                way.uncompressed = await client.ask(request, way.version)
