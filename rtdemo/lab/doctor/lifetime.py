"""Check how long a connection lasts: while it is silent, and while it carries messages."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import aiohttp

from rtdemo.lab.doctor.context import PROBE_PREFIX, Context
from rtdemo.lab.doctor.errors import NETWORK_ERRORS, NotTestedError, describe
from rtdemo.lab.doctor.streams import events
from rtdemo.lab.doctor.websocket import open_echo, require_websocket
from rtdemo.lab.server_clock import now
from rtdemo.plugin_system.checks import Finding
from rtdemo.protocol.client import Transport

DELIVERY_TIMEOUT_S = 5.0
"""Seconds after a silence in which the message that ends it must arrive."""
SILENCE_STEPS = 8
"""Shorter silences are tested in steps of this fraction, to find where a silent drop begins."""
SAME_AGE_S = 1.0
"""Seconds by which the ages of two connections may differ if both were cut because of their age."""
_HEARTBEAT_MARGIN = 1.2
"""A limit must be this many times the heartbeat, so that a late heartbeat is still in time."""
_MIN_SUGGESTED_LIMIT_S = 60

SilenceTest = Callable[[Context, int], Awaitable[bool]]


class CutError(Exception):
    """Report that a silent connection was cut.

    Attributes:
        after: seconds of silence.
    """

    def __init__(self, after: float) -> None:
        super().__init__(after)
        self.after = after


async def idle(context: Context, transport: Transport) -> Finding:
    """Find after how much silence a connection is cut, and whether the heartbeat prevents it."""
    survives = _SILENCE_TESTS[transport]
    try:
        if await survives(context, context.idle):
            if context.idle < context.heartbeat:
                seen = (
                    f"no cut in {context.idle} s, but a heartbeat comes only every "
                    f"{context.heartbeat:g} s"
                )
                longer = math.ceil(context.heartbeat * 2)
                return Finding("warn", seen, f"test a longer silence: --idle {longer}")
            return Finding("ok", f"no cut in {context.idle} s of silence")
    except CutError as cut:
        monitor = context.monitors[transport]
        if monitor.error and abs(monitor.lifetime - cut.after) < SAME_AGE_S:
            seen = f"cut after {cut.after:.1f} s, at the same age as the stream with messages"
            return Finding("warn", f"{seen}: silence is not the cause")
        return _judge_limit(context, cut.after, f"cut after {cut.after:.1f} s of silence")
    passed, failed = await _narrow_down(context, survives)
    seen = f"dropped without notice after {passed} to {failed} s of silence"
    return _judge_limit(context, passed, seen)


async def _stream_survives(context: Context, seconds: int) -> bool:
    """Return whether an event arrives after a silence.

    Raises:
        CutError: if the stream ends before.
    """
    began = None
    stream = events(context.http, context.url(f"{PROBE_PREFIX}events?after={seconds}"))
    try:
        async with aclosing(stream), asyncio.timeout(seconds + DELIVERY_TIMEOUT_S):
            async for event in stream:
                if event is not None:
                    return True
                began = now()
    except TimeoutError:
        pass
    except NETWORK_ERRORS:
        if began is None:
            raise
        raise CutError((now() - began) / 1000) from None
    return False


async def _socket_survives(context: Context, seconds: int) -> bool:
    """Return whether a text is echoed after a silence.

    Raises:
        CutError: if the socket ends before.
    """
    async with open_echo(context) as (socket, _):
        began = now()
        try:
            frame = await socket.receive(seconds)
        except TimeoutError:
            await socket.send_str("after a silence")
            try:
                frame = await socket.receive(DELIVERY_TIMEOUT_S)
            except TimeoutError:
                return False
        if frame.type is aiohttp.WSMsgType.TEXT:
            return True
        raise CutError((now() - began) / 1000)


_SILENCE_TESTS: dict[Transport, SilenceTest] = {"sse": _stream_survives, "websocket": _socket_survives}


async def _narrow_down(context: Context, survives: SilenceTest) -> tuple[int, int]:
    """Return the longest silence that a connection survives, and the shortest that it does not.

    In whole seconds. All silences are tested at once: one after the other would take minutes.
    """
    steps = {math.ceil(context.idle * step / SILENCE_STEPS) for step in range(1, SILENCE_STEPS)}
    tested = sorted(steps - {context.idle})
    results = await asyncio.gather(
        *(survives(context, seconds) for seconds in tested), return_exceptions=True
    )
    passed = max((s for s, result in zip(tested, results, strict=True) if result is True), default=0)
    return passed, min((s for s in tested if s > passed), default=context.idle)


def _judge_limit(context: Context, limit: float, seen: str) -> Finding:
    """Compare an idle limit, in seconds, with the heartbeat."""
    heartbeat = context.heartbeat
    seen += f"; rtdemo sends a heartbeat every {heartbeat:g} s"
    if limit >= heartbeat * _HEARTBEAT_MARGIN:
        return Finding("ok", seen)
    suggested = max(_MIN_SUGGESTED_LIMIT_S, math.ceil(heartbeat * 2))
    fix = context.fix("idle", limit=suggested, lower=max(1, math.floor(limit / 2)))
    return Finding("warn" if limit > heartbeat else "fail", seen, fix)


async def life(context: Context, transport: Transport) -> Finding:
    """Report how long a normal stream stayed open; call this at the end of the run."""
    if transport == "websocket":
        require_websocket(context)
    monitor = context.monitors[transport]
    if monitor.opened_at is None:
        raise monitor.error or NotTestedError("no message arrived")
    if monitor.error is None:
        seen = f"open for the whole run of {monitor.lifetime:.0f} s, {monitor.messages} messages"
        return Finding("ok", seen)
    silence = (monitor.ended_at - monitor.last_message_at) / 1000
    seen = f"{describe(monitor.error)} after {monitor.lifetime:.1f} s, {monitor.messages} messages"
    return Finding("fail", f"{seen}; the last came {silence:.1f} s earlier", context.fix("life"))
