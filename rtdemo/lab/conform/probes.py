"""The requests of the suite, by name, and those that are more than one request on one connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from rtdemo.errors import network_reason
from rtdemo.lab.conform.checks import connections, headers, methods, negotiation, requests, resume
from rtdemo.lab.conform.exchange import Connection, Exchange, Reading, Request, Target

REQUESTS: Mapping[str, Request] = {
    **requests.PROBES,
    **negotiation.PROBES,
    **methods.PROBES,
    **headers.PROBES,
    **resume.PROBES,
    **connections.PROBES,
}
"""Each is made on a connection of its own, some at the same time."""
INVALID: Mapping[str, Request] = requests.INVALID
SECOND_S = 3.0
"""Seconds for the answer to the second request of a connection."""
_HEAD = Request("", method="HEAD")
_HEAD_TWICE = Request("", method="HEAD", count=2)


async def _keep_alive(target: Target) -> Exchange:
    """Make a second request on a connection, after the first response."""
    reading = Reading("HEAD, and HEAD again on the same connection", ["HEAD", "HEAD"])

    async def run(connection: Connection) -> None:
        connection.write(_HEAD.encode(target))
        await reading.run(connection, "responses", SECOND_S, wanted=1)
        if reading.exchange.response.head_at is not None and reading.exchange.closed_at is None:
            connection.write(_HEAD.encode(target))
            await reading.run(connection, "responses", SECOND_S, head_s=SECOND_S, wanted=2)

    return await _on_connection(target, reading, run)


async def _pipeline(target: Target) -> Exchange:
    """Send two requests in one segment."""
    reading = Reading("two HEAD requests in one segment", ["HEAD", "HEAD"])

    async def run(connection: Connection) -> None:
        connection.write(_HEAD_TWICE.encode(target))
        await reading.run(connection, "responses", SECOND_S, wanted=2)

    return await _on_connection(target, reading, run)


async def _expect_continue(target: Target) -> Exchange:
    """Hold the content back until the server asks for it."""
    request = Request("", lines=("Expect: 100-continue",), has_content=True)
    reading = Reading("with Expect: 100-continue, and the content held back", [target.method])

    async def run(connection: Connection) -> None:
        whole = request.encode(target)
        connection.write(whole[: len(whole) - len(target.content)])
        await reading.run(connection, "interim", 0, head_s=connections.CONTINUE_S)
        if reading.exchange.closed_at is None and reading.exchange.response.head_at is None:
            connection.write(target.content)
            await reading.run(connection, "head", 1.0)

    return await _on_connection(target, reading, run)


async def _on_connection(
    target: Target, reading: Reading, run: Callable[[Connection], Awaitable[None]]
) -> Exchange:
    connection = Connection(target)
    try:
        await connection.open()
        await run(connection)
    except OSError as error:
        reading.exchange.error = network_reason(error)
    finally:
        connection.close()
    return reading.exchange


EXPERIMENTS: Mapping[str, Callable[[Target], Awaitable[Exchange]]] = {
    connections.KEEP_ALIVE: _keep_alive,
    connections.PIPELINE: _pipeline,
    connections.EXPECT: _expect_continue,
}
"""Several requests on one connection, or a request in two parts."""
