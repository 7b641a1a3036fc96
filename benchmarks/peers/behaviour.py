"""What every server in Python here does, as the reference does.

A welcome, a message every 2 s, a status every 3 s (WebSocket) or 5 s (SSE), and an echo. `?speed=`
divides the periods. A client with `?producers=` has picked others, and gets only what is published.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

from benchmarks.workloads import LABELS, MESSAGE_PERIOD, STATUS_PERIOD, Transport

Send = Callable[[str], Awaitable[object]]

STATUSES: dict[Transport, tuple[str, ...]] = {
    "websocket": (
        "Real-time sync active",
        "WebSocket health: Excellent",
        "Low latency confirmed",
        "Bidirectional ready",
        "Connection stable",
        "Data stream flowing",
    ),
    "sse": (
        "Processing data...",
        "Server load: Normal",
        "Database sync completed",
        "Cache refreshed",
        "Monitoring active",
        "System health: Good",
    ),
}


def encode(message: str) -> str:
    """Return one message as JSON, sent now."""
    return json.dumps({"message": message, "sentAt": time.time_ns() // 1000 / 1000})


async def tick(send: Send, period: float, text: Callable[[], str]) -> None:
    """Send one message every period until the client is gone.

    Arguments:
        send: waits until the text is handed to the network.
        period: seconds between two messages.
        text: makes the next one.
    """
    while True:
        await asyncio.sleep(period)
        try:
            await send(encode(text()))
        except ConnectionError:
            return


def due_texts(transport: Transport, query: Mapping[str, str]) -> list[tuple[float, Callable[[], str]]]:
    """Return the period in seconds and the text of each periodic message that a client gets.

    Arguments:
        transport: has its own texts and periods.
        query: of the client's URL.
    """
    if "producers" in query:
        return []
    speed, statuses = float(query.get("speed", 1)), STATUSES[transport]
    return [
        (MESSAGE_PERIOD / speed, lambda: f"{LABELS[transport]} Message {random.randrange(1000)}"),
        (STATUS_PERIOD[transport] / speed, lambda: random.choice(statuses)),
    ]


def welcome(transport: Transport) -> str:
    """Return the first message, as JSON."""
    return encode(f"{LABELS[transport]} connection established")


def query_of(path: str) -> dict[str, str]:
    """Return the query of a request's path."""
    return dict(parse_qsl(urlsplit(path).query))


@asynccontextmanager
async def ticking(send: Send, transport: Transport, query: Mapping[str, str]) -> AsyncIterator[None]:
    """Welcome a client, and send its messages within the block.

    Arguments:
        send: waits until the text is handed to the network.
        transport: has its own texts and periods.
        query: of the client's URL.
    """
    await send(welcome(transport))
    tasks = [
        asyncio.create_task(tick(send, period, text)) for period, text in due_texts(transport, query)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
