"""Check that a client receives what it missed after its connection was cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from rtdemo.lab.doctor.context import Context
from rtdemo.lab.doctor.errors import NotTestedError, StreamError
from rtdemo.lab.doctor.streams import StreamMonitor, decode_message, position_of, texts
from rtdemo.lab.doctor.websocket import require_websocket
from rtdemo.plugin_system.checks import Finding
from rtdemo.protocol.client import Transport
from rtdemo.protocol.message import Message, Position

MISSED_MESSAGE_TIMEOUT_S = 6.0
"""Seconds to wait for a shared message: the built-in broadcast sends one every 5 s."""
REPLAY_TIMEOUT_S = 10.0
"""Seconds for a stream to open and for the missed messages to arrive."""


class ResumeError(Exception):
    """Report why the server treated a reconnecting client as a new one.

    Attributes:
        symptom: a key of `fixes.FIXES`.
    """

    def __init__(self, seen: str, symptom: str) -> None:
        super().__init__(seen)
        self.symptom = symptom


async def resume(context: Context, transport: Transport) -> Finding:
    """Cut one client, wait for a shared message that it misses, reconnect, and compare.

    Another client stays connected, and shows which messages were missed.
    """
    if transport == "websocket":
        require_websocket(context)
    position = await _connect_and_cut(context, transport)
    try:
        async with asyncio.timeout(MISSED_MESSAGE_TIMEOUT_S):
            missed = list(await _connected_monitor(context).wait_for_shared_after(position))
    except TimeoutError:
        missed = []
    try:
        async with asyncio.timeout(REPLAY_TIMEOUT_S):
            replayed = await _reconnect(context, transport, position, len(missed))
    except ResumeError as error:
        return Finding("fail", str(error), context.fix(error.symptom))
    if not missed:
        seen = f"position accepted; no shared message was sent in {MISSED_MESSAGE_TIMEOUT_S:g} s"
        return Finding("warn", f"{seen}, so nothing was missed")
    if replayed != missed:
        seen = f"missed messages {_offsets(missed)}; received {_offsets(replayed)}"
        return Finding("fail", seen, context.fix("resume"))
    return Finding("ok", f"missed {len(missed)} while disconnected, and received exactly those")


def _connected_monitor(context: Context) -> StreamMonitor:
    for monitor in context.monitors.values():
        if monitor.opened_at is not None and monitor.error is None:
            return monitor
    raise NotTestedError("no other stream stayed open for comparison")


async def _connect_and_cut(context: Context, transport: Transport) -> Position:
    """Connect, then disconnect without a close frame; return the position in the welcome."""
    # In a session of its own: closing the session sends no close frame.
    async with context.open_session() as http:
        stream = texts(http, transport, context.address.stream(transport))
        async with asyncio.timeout(REPLAY_TIMEOUT_S):
            position = position_of(await _next_message(stream))
        await http.close()
        await stream.aclose()
    if position is None:
        raise NotTestedError("the welcome has no position")
    return position


async def _reconnect(
    context: Context, transport: Transport, position: Position, count: int
) -> list[Position]:
    """Reconnect; return the positions of as many shared messages as were missed.

    Raises:
        ResumeError: if the server does not resume after the position.
    """
    stream = texts(context.http, transport, context.address.stream(transport), str(position))
    async with aclosing(stream):
        welcome = await _next_message(stream)
        # A server without this position in its log sends a message with `lost` at once.
        if position_of(welcome) != position and (await _next_message(stream)).lost:
            raise ResumeError(
                "reconnected to a server that does not have the position in its log", "log"
            )
        if position_of(welcome) != position:
            raise ResumeError("treated as a new client: the position did not arrive", "resume")
        replayed: list[Position] = []
        while len(replayed) < count:
            found = position_of(await _next_message(stream))
            if found is not None:
                replayed.append(found)
    return replayed


async def _next_message(stream: AsyncGenerator[str, None]) -> Message:
    message = decode_message(await anext(stream))
    if message is None:
        raise StreamError("does not send rtdemo messages")
    return message


def _offsets(positions: list[Position]) -> str:
    return ", ".join(str(position.offset) for position in positions) or "nothing"
