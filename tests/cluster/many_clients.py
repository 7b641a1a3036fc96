"""Many recording clients, a publisher, and a report on what all clients received."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp

from rtdemo.protocol.client import TRANSPORTS
from rtdemo.protocol.message import Position, parse_position
from tests.cluster.recording_client import NETWORK_ERRORS, RecordingClient

CONNECT_S = 5.0
"""Seconds in which a client must be connected, unless a test says otherwise."""
ADDRESSES = [f"127.0.0.{number}" for number in range(1, 9)] if sys.platform == "linux" else [None]
"""Addresses of the clients: a proxy may choose a client's server by its address. Linux has them all."""
AT_ONCE = 100
"""Clients that connect at the same time at the start: more would wait for each other too long."""


@dataclass
class DeliveryReport:
    """The sum of the delivery records of all clients of one transport.

    Attributes:
        clients: number of clients.
        received: messages received.
        connections: connections that received their welcome.
        failed_attempts: attempts to connect that received none.
        duplicates: messages received twice or out of order.
        missing: messages not received, without a loss notice.
        loss_notices: loss notices received.
        without_loss_notice: clients that received no loss notice.
        wrong: clients with another text at a position than was published there.
        unfinished: clients that did not reach the end of the log.
        reasons: why attempts failed, with their number.
    """

    clients: int = 0
    received: int = 0
    connections: int = 0
    failed_attempts: int = 0
    duplicates: int = 0
    missing: int = 0
    loss_notices: int = 0
    without_loss_notice: int = 0
    wrong: int = 0
    unfinished: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


class Publisher:
    """Publish numbered texts; retry each until it is accepted, with an idempotency key."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url
        self.published: dict[Position, str] = {}

    async def run(self, pause: float) -> None:
        """Publish until cancelled, with a pause in seconds after each text."""
        number = 0
        while True:
            number += 1
            await self.publish(f"published {number}")
            await asyncio.sleep(pause)

    async def publish(self, text: str) -> Position:
        """Publish one text and return its position."""
        while True:
            with suppress(*NETWORK_ERRORS):
                async with self.http.post(
                    f"{self.url}/api/publish",
                    json={"message": text},
                    headers={"Idempotency-Key": text},
                ) as response:
                    if response.status == 200:
                        position = parse_position((await response.json())["positions"][0])
                        assert position is not None
                        self.published[position] = text
                        return position
            await asyncio.sleep(0.1)


class ClientGroup:
    """Clients that follow the log of a deployment, and a publisher that writes to it."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        clients: list[RecordingClient],
        publisher: Publisher,
        pause: float,
    ) -> None:
        self.http = http
        self.clients = clients
        self.publisher = publisher
        self._publishing = asyncio.ensure_future(publisher.run(pause))

    async def stop_publishing(self) -> None:
        """Stop the publisher."""
        self._publishing.cancel()
        await asyncio.gather(self._publishing, return_exceptions=True)

    async def finish(self) -> dict[str, DeliveryReport]:
        """Publish a last text, wait until all clients have it; return a report for each transport."""
        await self.stop_publishing()
        end = await self.publisher.publish("the end")
        await wait_until_all_reach(self.clients, end)
        return summarize(self.clients, self.publisher.published, end)


@asynccontextmanager
async def connected_clients(
    url: str, publish_url: str, number: int, pause: float = 0.1, connect_s: float = CONNECT_S
) -> AsyncIterator[ClientGroup]:
    """Connect clients and publish while the block runs.

    Arguments:
        url: the server or proxy that the clients connect to.
        publish_url: the server to which messages are published.
        number: clients of each transport.
        pause: seconds from one published message to the next.
        connect_s: seconds in which a client must be connected; else the attempt has failed.
    """
    timeout = aiohttp.ClientTimeout(total=None, connect=connect_s)
    async with AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(
                aiohttp.ClientSession(connector=_connector_from(address), timeout=timeout)
            )
            for address in ADDRESSES
        ]
        clients = [
            RecordingClient(sessions[each % len(sessions)], url, transport)
            for transport in TRANSPORTS
            for each in range(number)
        ]
        running: list[asyncio.Future[None]] = []
        group = ClientGroup(sessions[0], clients, Publisher(sessions[0], publish_url), pause)
        try:
            for begin in range(0, len(clients), AT_ONCE):
                some = clients[begin : begin + AT_ONCE]
                running += [asyncio.ensure_future(client.run()) for client in some]
                await wait_until_all_connected(some)
            yield group
        finally:
            await group.stop_publishing()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def _connector_from(address: str | None) -> aiohttp.TCPConnector:
    local = None if address is None else (address, 0)
    return aiohttp.TCPConnector(limit=0, local_addr=local)


async def wait_until_all_connected(clients: list[RecordingClient]) -> None:
    """Wait until each client has received its welcome."""
    while not all(client.is_connected for client in clients):
        await asyncio.sleep(0.05)


async def wait_until_all_reach(
    clients: list[RecordingClient], end: Position, timeout_s: float = 30.0
) -> None:
    """Wait until all clients have received a position, or until the timeout."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while not all(client.record.has_reached(end) for client in clients):
                await asyncio.sleep(0.05)


def summarize(
    clients: list[RecordingClient], published: dict[Position, str], end: Position
) -> dict[str, DeliveryReport]:
    """Return the sum of the records for each transport, and compare their texts.

    Arguments:
        published: the texts that the publisher's server accepted, by position.
        end: the position that every client must reach.
    """
    # All clients must have the same text at a position, and the one that was published there.
    expected = {position: text for client in clients for position, text in client.record.texts.items()}
    expected |= published
    reports = {transport: DeliveryReport() for transport in TRANSPORTS}
    for client in clients:
        record, report = client.record, reports[client.transport]
        report.clients += 1
        report.received += len(record.texts)
        report.connections += record.connections
        report.failed_attempts += record.failed_attempts
        report.reasons += record.reasons
        report.duplicates += record.duplicates
        report.missing += record.missing
        report.loss_notices += record.loss_notices
        report.without_loss_notice += not record.loss_notices
        report.wrong += any(expected[position] != text for position, text in record.texts.items())
        report.unfinished += not record.has_reached(end)
    return {str(transport): report for transport, report in reports.items()}
