"""Check that a client receives what it missed after its connection was cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from rtdemo.lab.doctor.context import Context, ok
from rtdemo.lab.doctor.errors import (
    Diagnosis,
    NotJudgedError,
    NotTestedError,
    StreamError,
    UnansweredError,
)
from rtdemo.lab.doctor.monitor import Arrived, StreamMonitor, decode_message, position_of, texts
from rtdemo.protocol.client import Transport
from rtdemo.protocol.message import Message, Position

MISSED_MESSAGE_TIMEOUT_S = 6.0
"""Seconds to wait for a shared message: the built-in broadcast sends one every 5 s."""


class ResumeError(Exception):
    """Report why the server treated a reconnecting client as a new one.

    Attributes:
        code: of the finding.
        symptom: a key of `fixes.FIXES`.
    """

    def __init__(self, seen: str, code: str, symptom: str) -> None:
        super().__init__(seen)
        self.code, self.symptom = code, symptom


async def resume(context: Context, version: str, transport: Transport) -> Diagnosis:
    """Cut one client, wait for a shared message that it misses, reconnect, and compare.

    Another client stays connected, and shows which messages were missed.
    """
    await context.delivered.wait()
    context.require(transport, version)
    position = await _connect_and_cut(context, transport, version)
    try:
        async with asyncio.timeout(MISSED_MESSAGE_TIMEOUT_S):
            missed = list(await _connected_monitor(context).wait_for_shared_after(position))
    except TimeoutError:
        missed = []
    try:
        async with asyncio.timeout(2 * context.patience):
            replayed = await _reconnect(context, transport, version, position, len(missed))
    except ResumeError as error:
        return context.fault(error.code, str(error), error.symptom)
    except TimeoutError as error:
        raise UnansweredError("has not sent what was missed") from error
    if not missed:
        seen = f"position accepted; no shared message was sent in {MISSED_MESSAGE_TIMEOUT_S:g} s"
        return context.warning("nothing-missed", f"{seen}, so nothing was missed")
    if replayed != missed:
        seen = f"missed messages {_offsets(missed)}; received {_offsets(replayed)}"
        return context.fault("resume-wrong", seen, "resume")
    return ok(f"missed {len(missed)} while disconnected, and received exactly those", missed=len(missed))


def _connected_monitor(context: Context) -> StreamMonitor:
    for monitor in context.monitors.values():
        if monitor.opened_at is not None and monitor.error is None:
            return monitor
    if any(monitor.messages for monitor in context.monitors.values()):
        raise NotJudgedError("SSE age")
    raise NotTestedError("no other stream stayed open for comparison")


async def _connect_and_cut(context: Context, transport: Transport, version: str) -> Position:
    """Connect, then disconnect without a close frame; return the position in the welcome."""
    async with aclosing(texts(context, transport, version)) as stream:
        async with asyncio.timeout(2 * context.patience):
            position = position_of(await _next_message(stream))
    if position is None:
        raise NotTestedError("the welcome has no position")
    return position


async def _reconnect(
    context: Context, transport: Transport, version: str, position: Position, count: int
) -> list[Position]:
    """Reconnect; return the positions of as many shared messages as were missed.

    Raises:
        ResumeError: if the server does not resume after the position.
    """
    async with aclosing(texts(context, transport, version, str(position))) as stream:
        welcome = await _next_message(stream)
        # A server without this position in its log sends a message with `lost` at once.
        if position_of(welcome) != position and (await _next_message(stream)).lost:
            seen = "reconnected to a server that does not have the position in its log"
            raise ResumeError(seen, "separate-logs", "log")
        if position_of(welcome) != position:
            seen = "treated as a new client: the position did not arrive"
            raise ResumeError(seen, "last-event-id-removed", "resume")
        replayed: list[Position] = []
        while len(replayed) < count:
            found = position_of(await _next_message(stream))
            if found is not None:
                replayed.append(found)
    return replayed


async def _next_message(stream: AsyncGenerator[Arrived, None]) -> Message:
    text = None
    while text is None:
        text = (await anext(stream)).text
    message = decode_message(text)
    if message is None:
        raise StreamError("does not send rtdemo messages")
    return message


def _offsets(positions: list[Position]) -> str:
    return ", ".join(str(position.offset) for position in positions) or "nothing"
