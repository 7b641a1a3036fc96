"""Check event streams: first byte, buffering, compression, size, and number of streams."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing

from rtdemo.lab import server_clock
from rtdemo.lab.doctor.context import PROBE_PREFIX, Context
from rtdemo.lab.doctor.errors import TOO_MANY_REQUESTS, check_status, decode_json
from rtdemo.lab.doctor.streams import BROWSER_HEADERS, events
from rtdemo.lab.server_clock import Reading, now
from rtdemo.plugin_system.checks import Finding, Verdict
from rtdemo.protocol.message import MAX_MESSAGE_BYTES

FIRST_EVENT_DELAY_S = 2
"""Seconds between a stream's first byte and its first event."""
EVENT_COUNT = 5
"""Events with which buffering is tested."""
EVENT_INTERVAL_MS = 200
"""Milliseconds between two of them."""
BUFFERING_TRIES = 3
"""Runs of the buffering test, until one has no event that is held back."""
HELD_BACK_MS = 100.0
"""Milliseconds of delay from which an event counts as held back: by default HAProxy delays by 200 ms."""
STREAM_COUNT = 7
"""Streams opened at once: one more than a browser opens to one origin over HTTP/1.1."""


async def first_byte(context: Context) -> Finding:
    """Check that a stream begins at once, and not only with its first event."""
    has_probes = "probes" in context.available
    probe = context.url(f"{PROBE_PREFIX}events?after={FIRST_EVENT_DELAY_S}")
    started = now()
    stream = events(context.http, probe if has_probes else context.address.stream("sse"))
    arrived = []
    async with aclosing(stream), asyncio.timeout(FIRST_EVENT_DELAY_S + 10):
        async for _ in stream:
            arrived.append(now())
            if not has_probes or len(arrived) == 2:
                break
    delay = arrived[0] - started
    if has_probes and arrived[1] - arrived[0] < FIRST_EVENT_DELAY_S * 500:
        seen = f"held back for {delay / 1000:.1f} s, until the first event"
        return Finding("fail", seen, context.fix("buffering"))
    return Finding("ok", f"{delay:.1f} ms after the request")


async def buffering(context: Context) -> Finding:
    """Check that events arrive when they are sent."""
    context.clock = await server_clock.measure(context.address, context.clock)
    # A proxy that buffers does so each time, and a busy machine not as much: the best run counts.
    delays = [math.inf]
    for _ in range(BUFFERING_TRIES):
        delays = min(delays, lateness(await _arrivals(context), context.clock), key=max)
        if max(delays) < HELD_BACK_MS:
            break
    sent = f"of {EVENT_COUNT} events sent {EVENT_INTERVAL_MS} ms apart,"
    if max(delays) < HELD_BACK_MS:
        limit = "" if context.clock else " longer than another; the clocks could not be compared"
        return Finding("ok", f"{sent} none was held back{limit}")
    verdict: Verdict = "fail" if max(delays) > 1.5 * EVENT_INTERVAL_MS else "warn"
    count = sum(delay >= HELD_BACK_MS for delay in delays)
    held_back = f"{count} were held back, for up to {max(delays):.0f} ms"
    return Finding(verdict, f"{sent} {held_back}", context.fix("buffering"))


async def _arrivals(context: Context) -> list[tuple[float, float]]:
    """Return when each event arrived, by the local clock, and was sent, by the server's, in ms."""
    url = context.url(f"{PROBE_PREFIX}events?count={EVENT_COUNT}&every={EVENT_INTERVAL_MS}")
    found: list[tuple[float, float]] = []
    async with aclosing(events(context.http, url)) as stream, asyncio.timeout(15):
        async for event in stream:
            if event is not None:
                found.append((now(), decode_json(event.data.decode())["sentAt"]))
            if len(found) == EVENT_COUNT:
                break
    return found


def lateness(arrivals: Sequence[tuple[float, float]], clock: Reading | None) -> list[float]:
    """Return the least delay of each event, in ms.

    With a clock reading, the delay is arrival minus sending, less the reading's error. The error is
    half a round trip, so it covers the time on the network. Without one, each event is compared with
    the fastest: a delay that all events share stays invisible.

    Arguments:
        arrivals: of each event, when it arrived by the local clock and was sent by the server's, in ms.
        clock: offset of the server's clock; None if unknown.
    """
    if clock is None:
        fastest = min(arrived - sent for arrived, sent in arrivals)
        return [arrived - sent - fastest for arrived, sent in arrivals]
    return [arrived + clock.offset - sent - clock.error_at(arrived) for arrived, sent in arrivals]


async def compression(context: Context) -> Finding:
    """Check that no proxy compresses the stream."""
    url = context.url(f"{PROBE_PREFIX}events")
    async with context.http.get(url, headers=BROWSER_HEADERS) as response:
        await check_status(response)
        coding = response.headers.get("Content-Encoding")
        cache_control = response.headers.get("Cache-Control", "")
    if coding:
        # rtdemo itself never compresses event streams.
        seen = f"a proxy compresses with {coding}, despite Cache-Control: {cache_control or 'none'}"
        return Finding("warn", seen, context.fix("compression"))
    return Finding("ok", "none")


async def large(context: Context) -> Finding:
    """Receive an event of the largest size that rtdemo sends."""
    url = context.url(f"{PROBE_PREFIX}events?size={MAX_MESSAGE_BYTES}")
    async with aclosing(events(context.http, url)) as stream, asyncio.timeout(15):
        async for event in stream:
            if event is not None:
                size = len(decode_json(event.data.decode())["filling"])
                break
    if size != MAX_MESSAGE_BYTES:
        return Finding("fail", f"received {size} of {MAX_MESSAGE_BYTES} bytes", context.fix("large"))
    return Finding("ok", f"received an event of {MAX_MESSAGE_BYTES} bytes")


async def seven_streams(context: Context) -> Finding:
    """Open as many streams as seven browser tabs do, and send another request beside them."""
    url = context.url(f"{PROBE_PREFIX}events?after=30")
    async with AsyncExitStack() as stack, asyncio.timeout(5):
        responses = await asyncio.gather(
            *(stack.enter_async_context(context.http.get(url)) for _ in range(STREAM_COUNT))
        )
        for response in responses:
            if response.status == TOO_MANY_REQUESTS:
                await check_status(response)
        refused = [str(response.status) for response in responses if response.status != 200]
        async with context.http.get(context.url("/api/time")) as other:
            await other.read()
    if refused:
        statuses = ", ".join(sorted(set(refused)))
        seen = f"{len(refused)} of {STREAM_COUNT} streams were refused ({statuses})"
        return Finding("fail", seen, context.fix("streams"))
    seen = f"{STREAM_COUNT} at once work, and another request beside them"
    if context.alpn == "h2":
        return Finding("ok", seen)
    seen += "; over HTTP/1.1 a browser opens only 6, and a seventh tab waits"
    # Browsers use HTTP/2 over TLS only, so without TLS there is nothing to offer.
    return Finding("ok", seen) if context.alpn is None else Finding("warn", seen, context.fix("http2"))
