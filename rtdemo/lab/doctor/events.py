"""Check that messages arrive when they are sent: over each transport, and each version of HTTP."""

from __future__ import annotations

import asyncio
import math
from typing import NamedTuple

from rtdemo.lab.busy import BusyWatch
from rtdemo.lab.content_coding import BROWSER_CODINGS, Decoder
from rtdemo.lab.doctor import clock, fixes
from rtdemo.lab.doctor.context import Context, Key, ok
from rtdemo.lab.doctor.delivery import (
    NO_END,
    SLOW_BYTES_PER_S,
    Judgement,
    Recording,
    is_continuous,
    judge,
    record_socket,
    record_stream,
)
from rtdemo.lab.doctor.errors import (
    NETWORK_ERRORS,
    AnswerError,
    Diagnosis,
    NotJudgedError,
    NotTestedError,
    StreamError,
    describe,
)
from rtdemo.lab.doctor.monitor import StreamMonitor
from rtdemo.lab.doctor.websocket_client import RefusedError

SIZES = (100, 100, 6 * 1024, 64 * 1024, 100)
"""Bytes of the messages: an ordinary one, one that fills a proxy's small buffer, and the largest. The
second one shows whether one message releases the one before, the last one whether it is stuck."""
SILENCE_S = 2
"""Seconds of silence after each: longer than any flush timer that is set on purpose."""
MAX_SILENCE_S = 8
"""The same on a slow line, which takes longer for the largest message."""
TRIES = 3
"""Recordings until one shows no accidental delay: a busy machine delays some messages, not all."""
BUSY_FACTOR = 4
"""A delay that is this many times as long as those of this machine's own timers is not of its making."""
SAME_AGE_S = 1.5
"""Seconds by which the ages of two connections may differ if both were cut because of their age."""


class Delivery(NamedTuple):
    """What is known about one transport over one version of HTTP.

    Arguments:
        recording: the best one.
        judgement: of this recording.
        coding: content coding of the answer; empty for none.
        is_compression: whether the compression alone holds messages back.
    """

    recording: Recording
    judgement: Judgement
    coding: str = ""
    is_compression: bool = False


Found = Delivery | Diagnosis | Exception


async def examine(context: Context) -> None:
    """Record and judge each transport over each version; the checks below report it."""
    context.clock = await clock.measure(context)
    keys: list[Key] = [("sse", version) for version in context.versions]
    if "websocket" in context.available:
        keys += [("websocket", version) for version in context.websocket_versions]
    keys = [key for key in keys if key not in context.causes]  # without an upgrade, no WebSocket
    silence = max(SILENCE_S, math.ceil(4 * context.round_trip / 1000))
    for number in range(TRIES):
        wanted = [key for key in keys if _is_unclear(context.deliveries.get(key), number)]
        if not wanted:
            break
        busy = BusyWatch()
        try:
            found = await asyncio.gather(*(_record(context, key, silence) for key in wanted))
        finally:
            busy.stop()
        late = busy.usual_delay_s * 1000
        context.lateness = late if context.lateness is None else min(context.lateness, late)
        for key, recorded in zip(wanted, found, strict=True):
            _keep_better(context, key, recorded)
        slow = [d.judgement.rate for d in context.deliveries.values() if isinstance(d, Delivery)]
        if rate := min(filter(None, slow), default=0.0):
            silence = min(MAX_SILENCE_S, max(silence, math.ceil(2 * max(SIZES) / rate)))
    for key, delivery in list(context.deliveries.items()):
        if isinstance(delivery, Delivery) and delivery.coding and delivery.judgement.kind != "ok":
            context.deliveries[key] = await _without_compression(context, key, delivery, silence)
    for (transport, version), delivery in context.deliveries.items():
        name = "SSE events" if transport == "sse" else "WebSocket events"
        if not isinstance(delivery, Delivery) or delivery.judgement.kind in _BLOCKING:
            context.causes.setdefault((transport, version), name)
    context.delivered.set()


_BLOCKING = ("until next", "until end", "until size", "incomplete")
"""Kinds of faults that make other checks of the same transport meaningless."""
_UNCLEAR = ((*_BLOCKING, "cut", "clumped", "slow"), ("clumped",))
"""By the number of recordings, less one: kinds that a further one may show to be an accident. What two
have alike is none, except a short delay of each message."""


def _is_unclear(found: Found | None, tries: int) -> bool:
    """Return whether another recording may differ.

    Arguments:
        found: the best one; None if there is none yet.
        tries: number of recordings.
    """
    if found is None:
        return True
    return isinstance(found, Delivery) and found.judgement.kind in _UNCLEAR[tries - 1]


async def _record(context: Context, key: Key, silence: int) -> Found:
    """Return what one recording shows."""
    transport, version = key
    try:
        if transport == "sse":
            # Browsers offer the last two only over TLS, other clients always.
            recording = await record_stream(context, version, SIZES, silence, BROWSER_CODINGS)
            if not Decoder(recording.coding).is_known:
                return await _record_unknown_coding(context, version, recording, silence)
        else:
            recording = await record_socket(context, version, SIZES, silence)
    except AnswerError as error:
        return error.diagnosis
    except (NotTestedError, RefusedError) as error:
        return error
    except NETWORK_ERRORS as error:
        return error
    return _judged(context, key, recording)


async def _record_unknown_coding(
    context: Context, version: str, unknown: Recording, silence: int
) -> Delivery:
    """Return what two recordings show: one with a coding that is not decoded here, one without."""
    plain = await record_stream(context, version, SIZES, silence, "identity")
    found = _judged(context, ("sse", version), plain)
    if not isinstance(found, Delivery):
        raise StreamError("ended without a message")
    is_held = not is_continuous(unknown)
    judgement = found.judgement
    if is_held and judgement.kind == "ok":
        judgement = Judgement("until size", unknown.silence, tuple(SIZES))
        return Delivery(plain, judgement, unknown.coding, is_compression=True)
    return Delivery(plain, judgement, unknown.coding)


def _judged(context: Context, key: Key, recording: Recording) -> Found:
    if not recording.arrivals:
        return _nothing_arrived(context, key, recording)
    context.received_on[key] = recording.hello
    for arrival in recording.arrivals:
        if arrival.size < 2000:
            context.note_delay(arrival.last - arrival.sent)
    # The first message was sent after the request: a bound by one clock. It holds where the servers of
    # several recordings have clocks that differ.
    least = recording.asked_at - (recording.welcomed[0] or recording.arrivals[0].sent)
    fastest = least if context.fastest is None else max(context.fastest, least)
    return Delivery(recording, judge(recording, fastest, context.round_trip), recording.coding)


def _nothing_arrived(context: Context, key: Key, recording: Recording) -> Diagnosis:
    code = "sse-not-open" if key[0] == "sse" else "ws-not-open"
    how = recording.error or "ended"
    if key[0] == "sse" and not recording.error and recording.chunks:
        return context.fault("not-rtdemo", "the stream has no message of a probe: another server?")
    status = recording.answer.status if recording.answer else 0
    return context.fault(
        code, f"answered {status}, then {how} without a message", figures={"status": status}
    )


def _keep_better(context: Context, key: Key, found: Found) -> None:
    kept = context.deliveries.get(key)
    if not isinstance(kept, Delivery) or (isinstance(found, Delivery) and is_better(found, kept)):
        context.deliveries[key] = found


def is_better(new: Delivery, kept: Delivery) -> bool:
    """Return whether a further recording shows the path better than the one that is kept.

    One that was cut shows only what came before the cut, so its delays are no better for being shorter.
    """
    is_whole, was_whole = (_is_whole(each.recording) for each in (new, kept))
    if is_whole != was_whole:
        return is_whole
    return new.judgement.kind in ("ok", "slow") or new.judgement.delay < kept.judgement.delay


def _is_whole(recording: Recording) -> bool:
    return recording.is_complete or recording.error == NO_END


async def _without_compression(context: Context, key: Key, delivery: Delivery, silence: int) -> Delivery:
    """Return the delivery with the answer whether it is the compression that holds messages back."""
    if delivery.is_compression:
        return delivery
    try:
        plain = await record_stream(context, key[1], SIZES, silence, "identity")
    except (*NETWORK_ERRORS, AnswerError, NotTestedError):
        return delivery
    found = _judged(context, key, plain)
    is_fine = isinstance(found, Delivery) and not plain.coding and found.judgement.kind == "ok"
    return delivery._replace(is_compression=is_fine)


async def sse(context: Context, version: str) -> Diagnosis:
    """Report whether the events of a stream arrive when they are sent."""
    return _report(context, ("sse", version))


async def websocket(context: Context, version: str) -> Diagnosis:
    """Report whether the texts of a WebSocket arrive when they are sent."""
    if ("websocket", version) not in context.deliveries:
        context.require("websocket", version)
    return _report(context, ("websocket", version))


async def compression(context: Context, version: str) -> Diagnosis:
    """Report whether a proxy compresses the stream; rtdemo itself never does."""
    found = context.deliveries.get(("sse", version))
    if not isinstance(found, Delivery):
        context.require("sse", version)
        raise NotTestedError("the stream did not open")
    if not found.coding:
        return ok("none")
    context.require("sse", version)
    seen = f"a proxy compresses with {found.coding}, despite Cache-Control: no-transform"
    return context.warning("sse-compressed", f"{seen}; the events arrive at once", "compression")


def _report(context: Context, key: Key) -> Diagnosis:
    found = context.deliveries.get(key)
    if isinstance(found, Diagnosis):
        return found
    if isinstance(found, (NotTestedError, RefusedError)):
        raise found
    if isinstance(found, Exception):
        code = "sse-not-open" if key[0] == "sse" else "ws-not-open"
        return context.fault(code, f"the stream {describe(found)}", "no answer")
    if found is None:
        raise NotTestedError("it was not recorded")
    return _diagnose(context, key, found)


def _diagnose(context: Context, key: Key, found: Delivery) -> Diagnosis:
    """Return the finding for what a recording shows."""
    judgement, recording = found.judgement, found.recording
    is_sse = key[0] == "sse"
    noun = "events" if is_sse else "texts"
    delay = max(0.0, judgement.delay)
    figures: dict[str, object] = {"delayMs": round(delay, 1)}
    if judgement.held:
        figures["sizeBytes"] = min(judgement.held)
    kind = judgement.kind
    if kind in ("ok", "late"):
        seen = f"{noun} of 100 B, 6 KiB and 64 KiB arrive when they are sent (within {_time(delay)})"
        return ok(seen, **figures)
    if kind in ("cut", "incomplete"):
        return _diagnose_cut(context, key, recording, figures)
    if kind in ("slow", "clumped") and delay < BUSY_FACTOR * (context.lateness or 0.0):
        late = f"its own timers are {_time(context.lateness or 0.0)} late"
        raise NotTestedError(f"this machine is too busy, {late}; run doctor on a quiet one")
    if kind == "slow":
        if not is_sse and _is_slow(context):
            raise NotJudgedError("SSE events")
        rate = judgement.rate
        seen = (
            f"a slow line, about {rate / 1024:.0f} KiB/s: a message of 64 KiB takes {65536 / rate:.1f} s"
        )
        figures["bytesPerSecond"] = round(rate)
        if rate > SLOW_BYTES_PER_S:
            return ok(f"{noun} arrive when they are sent; {seen[2:]}", **figures)
        return context.warning("sse-slow" if is_sse else "ws-slow", seen, "slow", figures)
    if kind == "clumped":
        seen = f"each small message arrives {_time(delay)} late, also on its own"
        # The others do so only if they are told to.
        proxies = ["HAProxy"] if "HAProxy" in context.proxies else context.proxies
        fix = fixes.fix("clumped", proxies)
        return Diagnosis("warn", seen, fix, "sse-clumped" if is_sse else "ws-clumped", figures)
    return _diagnose_held(context, is_sse, found, figures)


def _is_slow(context: Context) -> bool:
    """Return whether the event streams show that the line is slow."""
    kinds = (
        d.judgement.kind
        for (t, _), d in context.deliveries.items()
        if t == "sse" and isinstance(d, Delivery)
    )
    return "slow" in kinds


def _diagnose_cut(
    context: Context, key: Key, recording: Recording, figures: dict[str, object]
) -> Diagnosis:
    is_sse = key[0] == "sse"
    arrived, how = len(recording.arrivals) - 1, recording.error or "ended"
    missing = recording.sizes[arrived] if arrived < len(recording.sizes) else 0
    seconds = ((recording.ended_at or 0.0) - (recording.opened_at or 0.0)) / 1000
    began, last = recording.opened_at or 0.0, recording.arrivals[-1].last
    if _is_cut_of(context.monitors.get(key), (last - began) / 1000, seconds):
        raise NotJudgedError("SSE age" if is_sse else "WebSocket age")
    if missing == max(recording.sizes):
        seen = f"the stream {how} at a message of 64 KiB; smaller ones arrive"
        return context.fault("size-limit", seen, "large", figures | {"sizeBytes": missing})
    seen = f"the stream {how} after {seconds:.1f} s and {arrived} of {len(recording.sizes)} messages"
    figures["afterS"] = round(seconds, 1)
    return context.fault("sse-cut" if is_sse else "ws-cut", seen, "no answer", figures)


def _is_cut_of(monitor: StreamMonitor | None, last: float, end: float) -> bool:
    """Return whether a normal stream and a recording may have been cut at the same age.

    A cut may show only at the next message, so the age is between a stream's last message and its end.

    Arguments:
        monitor: of the normal stream.
        last: seconds from the recording's opening to its last message.
        end: seconds to its end.
    """
    if monitor is None or not monitor.error or monitor.opened_at is None:
        return False
    monitor_last = (monitor.last_message_at - monitor.opened_at) / 1000
    return last < monitor.lifetime + SAME_AGE_S and monitor_last < end + SAME_AGE_S


def _diagnose_held(
    context: Context, is_sse: bool, found: Delivery, figures: dict[str, object]
) -> Diagnosis:
    judgement = found.judgement
    noun = "events" if is_sse else "texts"
    smallest = min(judgement.held)
    which = f"all {noun}" if smallest < 1000 else f"{noun} of {_size(smallest)} or more"
    until = {
        "until next": "until the next one is sent",
        "until end": "until the stream ends",
        "until size": f"until more bytes follow: {_size(judgement.waiting)} waited"
        if judgement.waiting
        else "until more bytes follow",
    }[judgement.kind]
    figures["waitingBytes"] = judgement.waiting
    seen = f"{which} are held back {until}"
    if not is_sse:
        return context.fault("ws-held", seen, "clumped", figures)
    if found.coding:
        figures["coding"] = found.coding
        symptom = "compression" if found.is_compression else "held and compressed"
        return context.fault(
            "sse-compressed", f"compressed with {found.coding}, and {seen}", symptom, figures
        )
    code = f"sse-held-{judgement.kind.replace(' ', '-')}"
    return context.fault(code, seen, "held and cached" if context.time_is_cached else "held", figures)


def _size(count: int) -> str:
    return f"{count / 1024:.0f} KiB" if count >= 1024 else f"{count} B"


def _time(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"
