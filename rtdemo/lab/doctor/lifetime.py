"""Examine how long a connection lasts: silent, and with messages."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import aiohttp

from rtdemo.lab.doctor.context import PROBE, Path
from rtdemo.lab.doctor.errors import FAULTS, NotTestedError, describe
from rtdemo.lab.doctor.streams import events
from rtdemo.lab.doctor.websocket import open_probe
from rtdemo.lab.server_clock import now
from rtdemo.plugin_system.checks import Finding
from rtdemo.protocol.client import Transport

PATIENCE = 5.0
"""Seconds by which what is expected after a silence may be late."""
PARTS = 8
"""Into how many parts a silence is split to find where a silent drop begins."""
SAME_AGE = 1.0
"""Seconds by which two connections that are cut by their age may differ in it."""
_NARROW = 1.2
"""How many times the heartbeat a limit has to be, not to hang on a late one."""
_ROUND_UP = 60

Silence = Callable[[Path, int], Awaitable[bool]]


class CutError(Exception):
    """Say that a silent connection was cut.

    Attributes:
        after: seconds of silence.
    """

    def __init__(self, after: float) -> None:
        super().__init__(after)
        self.after = after


async def _silent_events(path: Path, seconds: int) -> bool:
    """Return whether an event comes through behind a silence.

    Raises:
        CutError: where the stream ends before.
    """
    began = None
    stream = events(path.http, path.url(f"{PROBE}events?after={seconds}"))
    try:
        async with aclosing(stream), asyncio.timeout(seconds + PATIENCE):
            async for event in stream:
                if event is not None:
                    return True
                began = now()
    except TimeoutError:
        pass
    except FAULTS:
        if began is None:
            raise
        raise CutError((now() - began) / 1000) from None
    return False


async def _silent_socket(path: Path, seconds: int) -> bool:
    """Return whether a text comes back behind a silence.

    Raises:
        CutError: where the socket ends before.
    """
    async with open_probe(path) as (socket, _):
        began = now()
        try:
            frame = await socket.receive(seconds)
        except TimeoutError:
            await socket.send_str("after a silence")
            try:
                frame = await socket.receive(PATIENCE)
            except TimeoutError:
                return False
        if frame.type is aiohttp.WSMsgType.TEXT:
            return True
        raise CutError((now() - began) / 1000)


_SILENCES: dict[Transport, Silence] = {"sse": _silent_events, "websocket": _silent_socket}


async def idle(path: Path, transport: Transport) -> Finding:
    """Find after which silence the connection is cut, and whether the heartbeat comes before."""
    silence = _SILENCES[transport]
    try:
        if await silence(path, path.idle):
            if path.idle < path.heartbeat:
                seen = f"no cut in {path.idle} s, but rtdemo may be silent for {path.heartbeat:g} s"
                return Finding("warn", seen, f"look longer: --idle {math.ceil(path.heartbeat * 2)}")
            return Finding("ok", f"no cut in {path.idle} s of silence")
    except CutError as cut:
        watch = path.watches[transport]
        if watch.error and abs(watch.lived - cut.after) < SAME_AGE:
            seen = f"cut after {cut.after:.1f} s, as the stream with messages was: not by its silence"
            return Finding("warn", seen)
        return _judged(path, cut.after, f"cut after {cut.after:.1f} s of silence")
    passed, failed = await _bisect(path, silence)
    seen = f"dropped without a word between {passed} and {failed} s of silence"
    return _judged(path, passed, seen)


async def _bisect(path: Path, silence: Silence) -> tuple[int, int]:
    """Return the longest silence that something came through behind, and the shortest where not.

    All at once: one after the other, a silence of 75 s would take minutes.
    """
    tried = sorted({math.ceil(path.idle * part / PARTS) for part in range(1, PARTS)} - {path.idle})
    came = await asyncio.gather(*(silence(path, seconds) for seconds in tried), return_exceptions=True)
    passed = max((s for s, result in zip(tried, came, strict=True) if result is True), default=0)
    return passed, min((s for s in tried if s > passed), default=path.idle)


def _judged(path: Path, limit: float, seen: str) -> Finding:
    heartbeat = path.heartbeat
    seen += f"; rtdemo says something every {heartbeat:g} s"
    if limit >= heartbeat * _NARROW:
        return Finding("ok", seen)
    wanted = max(_ROUND_UP, math.ceil(heartbeat * 2))
    fix = path.fix("idle", limit=wanted, lower=max(1, math.floor(limit / 2)))
    return Finding("warn" if limit > heartbeat else "fail", seen, fix)


async def life(path: Path, transport: Transport) -> Finding:
    """Tell how long a normal stream lived; the run is over."""
    if transport == "websocket" and path.no_websocket:
        raise NotTestedError("no WebSocket can be opened")
    watch = path.watches[transport]
    if watch.opened is None:
        raise watch.error or NotTestedError("no message came")
    if watch.error is None:
        return Finding(
            "ok", f"lived the whole {watch.lived:.0f} s of this run, {watch.messages} messages"
        )
    quiet = (watch.ended - watch.heard) / 1000
    seen = f"{describe(watch.error)} after {watch.lived:.1f} s, {watch.messages} messages"
    return Finding("fail", f"{seen}; the last {quiet:.1f} s before", path.fix("life"))
