"""Examine event streams: first byte, buffering, compression, size, number."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing

from rtdemo.lab import server_clock
from rtdemo.lab.doctor.context import PROBE, Path
from rtdemo.lab.doctor.errors import TOO_MANY, check_status, decode
from rtdemo.lab.doctor.streams import AS_A_BROWSER, events
from rtdemo.lab.server_clock import Reading, now
from rtdemo.plugin_system.checks import Finding, Verdict
from rtdemo.protocol.message import MAX_MESSAGE_BYTES

SILENCE = 2
"""Seconds between a stream's first byte and its event."""
COUNT, EVERY = 5, 200
"""Events, and the ms between them."""
TRIES = 2
"""How often that is seen once more where it looks bad."""
HELD = 100.0
"""Milliseconds from which an event counts as held back: HAProxy does for 200 unless told otherwise."""
TABS = 7
"""One more than a browser opens streams to an origin over HTTP/1.1."""


async def first_byte(path: Path) -> Finding:
    """See whether a stream begins at once or only with its first event."""
    url = path.url(f"{PROBE}events?after={SILENCE}") if "probes" in path.there else None
    started = now()
    stream = events(path.http, url or path.address.stream("sse"))
    came = []
    async with aclosing(stream), asyncio.timeout(SILENCE + 10):
        async for _ in stream:
            came.append(now())
            if url is None or len(came) == 2:
                break
    began = came[0] - started
    if url is not None and came[1] - came[0] < SILENCE * 500:
        seen = f"held back: {began / 1000:.1f} s, with the first event, {SILENCE} s after it was sent"
        return Finding("fail", seen, path.fix("buffering"))
    return Finding("ok", f"{began:.1f} ms after the request")


async def buffering(path: Path) -> Finding:
    """See whether events come when they are sent."""
    path.clock = await server_clock.measure(path.address, path.clock)
    # A proxy that holds back does so each time; a machine that was busy elsewhere does not.
    tries = 0
    while max(late := lateness(await _arrivals(path), path.clock)) >= HELD and tries < TRIES:
        tries += 1
    sent = f"of {COUNT} events {EVERY} ms apart"
    if max(late) < HELD:
        alike = "" if path.clock else " longer than another; the clocks are not compared"
        return Finding("ok", f"{sent} none was held back{alike}")
    verdict: Verdict = "fail" if max(late) > 1.5 * EVERY else "warn"
    held = f"{sum(one >= HELD for one in late)} were held back, for up to {max(late):.0f} ms"
    return Finding(verdict, f"{sent} {held}", path.fix("buffering"))


async def _arrivals(path: Path) -> list[tuple[float, float]]:
    """Return when events came and were sent, each by its own clock, in ms."""
    url = path.url(f"{PROBE}events?count={COUNT}&every={EVERY}")
    found: list[tuple[float, float]] = []
    async with aclosing(events(path.http, url)) as stream, asyncio.timeout(15):
        async for event in stream:
            if event is not None:
                found.append((now(), decode(event.data.decode())["sentAt"]))
            if len(found) == COUNT:
                break
    return found


def lateness(arrivals: Sequence[tuple[float, float]], clock: Reading | None) -> list[float]:
    """Return for how many ms each event was held back at the least.

    By the server's clock, less its error, which is half a round trip: what the way takes is in that.
    Where the clock is not known, against the fastest event, so that what holds all alike is not seen.
    """
    if clock is None:
        fastest = min(came - sent for came, sent in arrivals)
        return [came - sent - fastest for came, sent in arrivals]
    return [came + clock.offset - sent - clock.error_at(came) for came, sent in arrivals]


async def compression(path: Path) -> Finding:
    """See whether something in between compresses the stream."""
    async with path.http.get(path.url(f"{PROBE}events"), headers=AS_A_BROWSER) as answer:
        await check_status(answer)
        coding = answer.headers.get("Content-Encoding")
        control = answer.headers.get("Cache-Control", "")
    if coding:
        seen = f"{coding}, which rtdemo does not do, in spite of Cache-Control: {control or 'none'}"
        return Finding("warn", seen, path.fix("compression"))
    return Finding("ok", "none")


async def large(path: Path) -> Finding:
    """Take an event of 64 KiB."""
    url = path.url(f"{PROBE}events?size={MAX_MESSAGE_BYTES}")
    async with aclosing(events(path.http, url)) as stream, asyncio.timeout(15):
        async for event in stream:
            if event is not None:
                size = len(decode(event.data.decode())["filling"])
                break
    if size != MAX_MESSAGE_BYTES:
        return Finding("fail", f"{size} of {MAX_MESSAGE_BYTES} bytes came", path.fix("large"))
    return Finding("ok", f"an event of {MAX_MESSAGE_BYTES} bytes came whole")


async def seven(path: Path) -> Finding:
    """Open as many streams as seven tabs do, and ask something beside them."""
    url = path.url(f"{PROBE}events?after=30")
    async with AsyncExitStack() as open_streams, asyncio.timeout(5):
        answers = await asyncio.gather(
            *(open_streams.enter_async_context(path.http.get(url)) for _ in range(TABS))
        )
        for answer in answers:
            if answer.status == TOO_MANY:
                await check_status(answer)
        refused = [str(answer.status) for answer in answers if answer.status != 200]
        async with path.http.get(path.url("/api/time")) as beside:
            await beside.read()
    if refused:
        seen = f"{len(refused)} of {TABS} streams were refused ({', '.join(sorted(set(refused)))})"
        return Finding("fail", seen, path.fix("streams"))
    seen = f"{TABS} at once are served, and a request beside them"
    if path.alpn == "h2":
        return Finding("ok", seen)
    seen += "; over HTTP/1.1 a browser opens 6, and a seventh tab waits"
    # Browsers speak HTTP/2 over TLS only, so without TLS there is nothing to offer.
    return Finding("ok", seen) if path.alpn is None else Finding("warn", seen, path.fix("http2"))
