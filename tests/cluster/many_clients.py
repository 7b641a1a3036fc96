"""Many clients that keep ledgers, somebody who publishes to them, and what the ledgers say together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp

from rtdemo.protocol.client import TRANSPORTS
from rtdemo.protocol.message import Position, parse_position
from tests.cluster.ledger import FAULTS, Client


@dataclass
class Report:
    """What all clients' ledgers say together, for one transport.

    Attributes:
        wrong: clients that hold another text at a position than was published there.
        unfinished: clients that did not reach the end.
        untold: clients that were never told of a loss.
    """

    clients: int = 0
    received: int = 0
    connects: int = 0
    refused: int = 0
    repeated: int = 0
    missing: int = 0
    told: int = 0
    untold: int = 0
    wrong: int = 0
    unfinished: int = 0


class Publisher:
    """Publish numbered texts, each until it is taken, with an idempotency key."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url
        self.taken: dict[Position, str] = {}

    async def run(self, pause: float = 0.1) -> None:
        """Publish until cancelled."""
        number = 0
        while True:
            number += 1
            await self.publish(f"published {number}")
            await asyncio.sleep(pause)

    async def publish(self, text: str) -> Position:
        """Publish one text and return its position."""
        while True:
            with suppress(*FAULTS):
                async with self.http.post(
                    f"{self.url}/api/publish",
                    json={"message": text},
                    headers={"Idempotency-Key": text},
                ) as answer:
                    if answer.status == 200:
                        position = parse_position((await answer.json())["positions"][0])
                        assert position is not None
                        self.taken[position] = text
                        return position
            await asyncio.sleep(0.1)


class Watch:
    """Hold clients that follow the log of a deployment, and somebody who publishes into it."""

    def __init__(self, http: aiohttp.ClientSession, clients: list[Client], publisher: Publisher) -> None:
        self.http = http
        self.clients = clients
        self.publisher = publisher
        self._publishing = asyncio.ensure_future(publisher.run())

    async def stop(self) -> None:
        """Publish no more."""
        self._publishing.cancel()
        await asyncio.gather(self._publishing, return_exceptions=True)

    async def finish(self) -> dict[str, Report]:
        """Wait until all have got to the end; return what their ledgers say, by transport."""
        await self.stop()
        end = await self.publisher.publish("the end")
        await reached(self.clients, end)
        return report(self.clients, self.publisher.taken, end)


@asynccontextmanager
async def watch(url: str, publish_to: str, number: int) -> AsyncIterator[Watch]:
    """Connect so many clients of each transport for the block, and publish."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None, connect=5)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        clients = [Client(http, url, transport) for transport in TRANSPORTS for _ in range(number)]
        running = [asyncio.ensure_future(client.run()) for client in clients]
        watching = Watch(http, clients, Publisher(http, publish_to))
        try:
            await all_connected(clients)
            yield watching
        finally:
            await watching.stop()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def all_connected(clients: list[Client]) -> None:
    """Wait until each has its welcome."""
    while not all(client.is_connected for client in clients):
        await asyncio.sleep(0.05)


async def reached(clients: list[Client], end: Position, patience: float = 30.0) -> None:
    """Wait until all have got to the end, or patience has."""
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while not all(client.ledger.has_reached(end) for client in clients):
                await asyncio.sleep(0.05)


def report(clients: list[Client], taken: dict[Position, str], end: Position) -> dict[str, Report]:
    """Add the ledgers up, by transport, and compare what stands where."""
    # What stands where, by the word of those who have it: all must agree, and with the publisher.
    agreed = {position: text for client in clients for position, text in client.ledger.texts.items()}
    agreed |= taken
    reports = {transport: Report() for transport in TRANSPORTS}
    for client in clients:
        ledger, report = client.ledger, reports[client.transport]
        report.clients += 1
        report.received += len(ledger.texts)
        report.connects += ledger.connects
        report.refused += ledger.refused
        report.repeated += ledger.repeated
        report.missing += ledger.missing
        report.told += ledger.told
        report.untold += not ledger.told
        report.wrong += any(agreed[position] != text for position, text in ledger.texts.items())
        report.unfinished += not ledger.has_reached(end)
    return {str(transport): report for transport, report in reports.items()}
