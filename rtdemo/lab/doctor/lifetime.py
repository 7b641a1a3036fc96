"""Check how long a connection lasts: while it is silent, and while it carries messages."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from rtdemo.lab.doctor.context import Context, ok
from rtdemo.lab.doctor.errors import (
    Diagnosis,
    EndedError,
    NotJudgedError,
    NotTestedError,
    StreamError,
    describe,
)
from rtdemo.lab.doctor.events import SAME_AGE_S
from rtdemo.lab.doctor.monitor import STREAM_ERRORS, StreamMonitor, texts
from rtdemo.lab.doctor.websocket_client import ClosedError, open_socket
from rtdemo.lab.server_clock import now
from rtdemo.protocol.client import Transport

SILENCE_STEPS = 8
"""Shorter silences are tested in steps of this fraction, to find where a silent drop begins."""
CHATS = 25
"""Texts that a busy WebSocket sends in the time of the idle test."""
_HEARTBEAT_MARGIN = 1.2
"""A limit must be this many times the heartbeat, so that a late heartbeat is still in time."""
_MIN_SUGGESTED_LIMIT_S = 60
_MIN_STREAM_S = 1.0
"""Seconds for which a stream lasts at least that a server ends on purpose."""

_OWN_CLOSE_CODES = {
    1008: "a limit, or a token that has expired",
    1011: "an internal error",
    1013: "the client received too slowly",
}
"""Close codes that only the server has a reason for; a proxy cuts, or sends 1001."""

_AGE: dict[Transport, str] = {"sse": "SSE age", "websocket": "WebSocket age"}
"""The checks of `life`."""

SilenceTest = Callable[[Context, str, int], Awaitable[bool]]


class CutError(Exception):
    """Report that a silent connection was cut.

    Attributes:
        after: seconds since its last byte.
        age: seconds since it opened.
        how: such as `was cut`.
    """

    def __init__(self, after: float, age: float, how: str) -> None:
        super().__init__(after)
        self.after, self.age, self.how = after, age, how


async def idle(context: Context, version: str, transport: Transport) -> Diagnosis:
    """Find after how much silence a connection is cut, and whether the heartbeat prevents it."""
    if transport == "websocket":
        context.require(transport, version)  # the upgrade
    survives = _SILENCE_TESTS[transport]
    heartbeat = context.heartbeat(transport)
    try:
        if await survives(context, version, context.idle):
            seen = f"no cut in {context.idle} s of silence"
            if context.idle < heartbeat:
                seen += f", but a heartbeat comes only every {heartbeat:g} s"
                longer = math.ceil(heartbeat * 2)
                return Diagnosis("warn", seen, f"test a longer silence: --idle {longer}", "idle-unknown")
            return ok(seen, silenceS=context.idle)
    except CutError as cut:
        return await _judge_cut(context, transport, version, cut)
    except STREAM_ERRORS:
        await context.delivered.wait()
        context.require(transport, version)
        raise
    await context.delivered.wait()
    # Where events are held back, one that does not arrive proves nothing about silence.
    context.require(transport, version)
    passed, failed = await _narrow_down(context, version, survives)
    if not passed and failed <= 1:
        raise NotTestedError("no message arrived after any silence")
    seen = f"dropped without notice after {passed} to {failed} s of silence"
    return _judge_limit(context, transport, passed, seen, "silent drop")


async def _judge_cut(context: Context, transport: Transport, version: str, cut: CutError) -> Diagnosis:
    """Return whether the silence or the age was the cause of a cut."""
    monitor = context.monitors.get((transport, version))
    if monitor is not None and await _ended_at_age(monitor, cut.age):
        if transport == "websocket" and await _survives_busy(context, version, cut.age):
            seen = f"cut after {cut.age:.1f} s in which the client sent nothing, although the server did"
            figures = {"afterS": round(cut.age, 1)}
            context.needs_client = True
            lower = max(1, math.floor(cut.age / 2))
            return context.fault("ws-client-idle-cut", seen, "short heartbeat", figures, lower=lower)
        raise NotJudgedError(_AGE[transport])
    # The limit of a time for writing shows only at the next message: that of this test, at its end.
    is_at_message = abs(cut.after - context.idle) < SAME_AGE_S
    if is_at_message and monitor is not None and monitor.error and monitor.lifetime < cut.age:
        raise NotJudgedError(_AGE[transport])
    context.silences[transport, version] = cut.after
    return _judge_limit(context, transport, cut.after, f"cut after {cut.after:.1f} s of silence")


async def _ended_at_age(monitor: StreamMonitor, age: float) -> bool:
    """Return whether a stream with messages ends at an age, in seconds."""
    rest = age + SAME_AGE_S - monitor.lifetime
    if monitor.error is None and rest > 0:
        await asyncio.sleep(rest)
    return monitor.error is not None and abs(monitor.lifetime - age) < SAME_AGE_S


async def _survives_busy(context: Context, version: str, age: float) -> bool:
    """Return whether a WebSocket on which both sides send lives longer than an age, in seconds."""
    url = context.probe("websocket", "", math.ceil(age) + 30)
    try:
        async with (
            asyncio.timeout(age + 2 * SAME_AGE_S + context.patience),
            open_socket(context, url, version=version) as socket,
        ):
            await socket.receive()
            began = now()
            while now() - began < (age + SAME_AGE_S) * 1000:
                await socket.send("busy")
                await socket.receive()
                await asyncio.sleep(max(0.2, age / CHATS))
    except STREAM_ERRORS:
        return False
    return True


async def _stream_survives(context: Context, version: str, seconds: int) -> bool:
    """Return whether an event arrives after a silence.

    Raises:
        CutError: if the stream ends before.
    """
    began = last = None
    stream = texts(context, "sse", version, url=context.probe("sse", "100", seconds))
    messages = 0
    try:
        async with aclosing(stream), asyncio.timeout(seconds + 2 * context.patience):
            async for arrived in stream:
                last = arrived.at
                began = began or last
                if arrived.text is not None:
                    messages += 1
                # The welcome and the request as it arrived come first.
                if messages > 2:
                    return True
    except TimeoutError:
        if began is None:
            raise StreamError("did not begin") from None
        return False
    except STREAM_ERRORS as error:
        if began is None or last is None:
            raise
        silence = (now() - last) / 1000
        if silence >= 2 * seconds - 1:
            return False  # the server has ended it as planned, and the message did not arrive
        raise CutError(silence, (now() - began) / 1000, describe(error)) from None
    return False


async def _socket_survives(context: Context, version: str, seconds: int) -> bool:
    """Return whether a text of the client is answered after a silence in both directions.

    Raises:
        CutError: if the socket ends before.
    """
    url = context.probe("websocket", "", min(600, seconds + 60))
    async with (
        asyncio.timeout(seconds + 3 * context.patience),
        open_socket(context, url, version=version) as socket,
    ):
        began = last = now()
        is_asked = False
        while True:
            left = (began + seconds * 1000 - now()) / 1000
            try:
                async with asyncio.timeout(context.patience if is_asked else max(0.0, left)):
                    text = await socket.receive()
            except TimeoutError:
                if is_asked:
                    return False
                is_asked = True
                await socket.send("after a silence")
                continue
            except STREAM_ERRORS as error:
                if is_asked:
                    return False
                raise CutError((now() - last) / 1000, (now() - began) / 1000, describe(error)) from None
            if is_asked and "after a silence" in text.text:
                return True
            last = text.last


_SILENCE_TESTS: dict[Transport, SilenceTest] = {"sse": _stream_survives, "websocket": _socket_survives}


async def _narrow_down(context: Context, version: str, survives: SilenceTest) -> tuple[int, int]:
    """Return the longest silence that a connection survives, and the shortest that it does not.

    In whole seconds. All silences are tested at once: one after the other would take minutes.
    """
    steps = {math.ceil(context.idle * step / SILENCE_STEPS) for step in range(1, SILENCE_STEPS)}
    tested = sorted(steps - {context.idle})
    results = await asyncio.gather(
        *(survives(context, version, seconds) for seconds in tested), return_exceptions=True
    )
    passed = max((s for s, result in zip(tested, results, strict=True) if result is True), default=0)
    return passed, min((s for s in tested if s > passed), default=context.idle)


def _judge_limit(
    context: Context, transport: Transport, limit: float, seen: str, symptom: str = "idle"
) -> Diagnosis:
    """Compare an idle limit, in seconds, with the heartbeat."""
    heartbeat = context.heartbeat(transport)
    kind = "comment" if transport == "sse" else "ping"
    seen += f"; rtdemo sends a {kind} every {heartbeat:g} s"
    figures = {"afterS": round(limit, 1), "heartbeatS": heartbeat}
    if limit >= heartbeat * _HEARTBEAT_MARGIN:
        return ok(seen, **figures)
    suggested = max(_MIN_SUGGESTED_LIMIT_S, math.ceil(heartbeat * 2))
    lower = max(1, math.floor(limit / 2))
    code = "sse-idle-cut" if transport == "sse" else "ws-idle-cut"
    report = context.warning if limit > heartbeat else context.fault
    return report(code, seen, symptom, figures, limit=suggested, lower=lower)


async def life(context: Context, version: str, transport: Transport) -> Diagnosis:
    """Report how long a normal stream stayed open; call this at the end of the run."""
    monitor = context.monitors.get((transport, version))
    if monitor is None:
        context.require(transport, version)
        raise NotTestedError("no stream was opened")
    if monitor.opened_at is None:
        context.require(transport, version)
        raise monitor.error or NotTestedError("no message arrived")
    figures = {"ageS": round(monitor.lifetime, 1), "messages": monitor.messages}
    if monitor.error is None:
        seen = f"open for the whole run of {monitor.lifetime:.0f} s, {monitor.messages} messages"
        return ok(seen, **figures)
    if transport == "websocket" and context.needs_client:
        raise NotJudgedError("WebSocket idle")
    if transport == "websocket":
        # Where frames are held back, rtdemo gets no answer to its pings, and ends the connection.
        context.require(transport, version)
    silence = (monitor.ended_at - monitor.last_message_at) / 1000
    if silence > context.heartbeat(transport):
        context.require(transport, version)
    limit = context.silences.get((transport, version))
    if limit is not None and silence > limit - SAME_AGE_S / 2:
        # It was not busy enough: a busy machine sends late, and rtdemo may have little to send.
        raise NotJudgedError("SSE idle" if transport == "sse" else "WebSocket idle")
    seen = f"a busy connection {describe(monitor.error)} at the age of {monitor.lifetime:.1f} s"
    figures["afterS"] = round(monitor.lifetime, 1)
    if isinstance(monitor.error, ClosedError) and monitor.error.code in _OWN_CLOSE_CODES:
        seen += f": {_OWN_CLOSE_CODES[monitor.error.code]}"
        return context.fault("ws-cut", seen, "closed by the server", figures)
    seen += f", {silence:.1f} s after its last message"
    is_in_order = isinstance(monitor.error, EndedError) and monitor.lifetime > _MIN_STREAM_S
    if is_in_order and not context.address.is_whole:
        seen += "; this is no fault if the server ends its streams so"
        return context.warning("age-cut", seen, "age", figures)
    return context.fault("age-cut", seen, "age", figures)
