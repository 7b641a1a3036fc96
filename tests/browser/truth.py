"""Check the page's figures against what is known on one machine: outages, clocks, its own words.

    python -m tests.browser.truth
    python -m tests.browser.truth --engine firefox --row 1 --row 4

It prints a line for each check, and exits with 1 if one does not hold:

1. An outage is not latency: messages of an outage are in no figure.
2. 32 readings of the server's clock: each one is within the error that it claims.
3. Both sides are back after an outage, and nothing is lost.
4. A server's clock that is set changes no average.
6. No contradictions: the sentence, the figures and the differences are of the same messages.

For 5, the same transport under both names, there is `python -m tests.browser.same_transport`.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import aiohttp

from tests.browser import outages
from tests.browser.engines.by_name import ENGINES
from tests.browser.engines.engine import Engine, text
from tests.browser.figures import NUMBER, number
from tests.browser.outages import OUTAGES, SIDES
from tests.cluster.process import rtdemo

BEFORE_S, AFTER_S = 8.0, 12.0
"""Time that both sides are connected before an outage, and after it."""
INTERRUPTIONS = (("reset and refused", 12.0), ("browser stopped", 20.0))
HEALED = (
    ("half open", 20.0),
    ("browser offline", 20.0),
    ("reset and refused", 3.0),
    ("reset and refused", 15.0),
)
EDGE_S = 0.25
"""Messages so near to the ends of an outage may be of either time."""
MAX_MEAN_MS = 50.0
FLAGS = ("hidden", "broken", "untimed", "caughtUp")
"""Columns of a saved sample, each a reason why it is in no figure."""
ROUNDED_MS = 0.01
"""The page saves latencies to the microsecond."""
READINGS = 32
ECHOES = 400
"""Before the readings, and after them: their own times bound the true offset."""
NO_LIMIT = ("--texts-per-connection", "0")
SLEW_MS = 0.01
"""How much the system may adjust its clock meanwhile."""
STEP_MS = -50
STEPPED_S = 20.0
"""Time after the step, and between its beginning and it."""
MAX_OFF_MS = 25.0
WHOLE_MS = 1.0
"""The browser's time of day is rounded down to whole milliseconds: half of one is added to it."""
LOOKS = 80
LOOK_S = 0.25
"""How often the page is read while it compares: for twenty seconds, five beyond the verdict."""
UNLIKE, LEAST_UNLIKE = 0.1, 3
"""Share of the messages, and messages, by which two sets of one schedule may differ: a busy server skips
some of one connection. `status`, which has two schedules, makes them differ by 16 %."""
ROUNDING_MS = 0.1
"""The page shows tenths of a millisecond."""

CLOCK = f"""
    const {{ probe }} = await import("/static/measure/server_clock.js");
    const {{ measureTick }} = await import("/static/measure/tick.js");
    const tick = measureTick();
    const socket = new WebSocket(`ws://${{location.host}}/ws?producers=echo`);
    const next = () => new Promise((resolve) => {{
        socket.onmessage = ({{ data }}) => resolve([performance.now(), JSON.parse(data).sentAt]);
    }});
    await next();
    let [low, high] = [-Infinity, Infinity];
    const bound = async () => {{
        for (let count = 0; count < {ECHOES}; count += 1) {{
            const before = performance.now();
            socket.send("now");
            const [after, sentAt] = await next();
            low = Math.max(low, sentAt - after - tick);
            high = Math.min(high, sentAt - before + tick);
        }}
    }};
    await bound();
    const readings = [];
    while (readings.length < {READINGS}) readings.push(await probe("/api/time", tick));
    await bound();
    socket.close();
    return {{ low, high, tick, readings, isolated: crossOriginIsolated }};
"""
"""Echoes bound the true offset: the server sends each one after its text was sent, before it arrives."""

SET = """
import time

from rtdemo import hookimpl, producer

real, shift = time.time_ns, 0
time.time_ns = lambda: real() + shift


@producer(every=0.1)
def tenth(client):
    return client.transport


@hookimpl
def receive(client, text):
    global shift
    if text.startswith("set "):
        shift += int(text[4:]) * 1_000_000
"""
"""A server's clock that a client's text sets by so many milliseconds."""

HEAR = """
    globalThis.heard = { websocket: [], sse: [] };
    const { parse } = JSON;
    JSON.parse = (text) => {
        const value = parse(text);
        if (value?.producer === "tenth") {
            const at = (performance.timeOrigin + performance.now()) / 1000;
            heard[value.message].push([at, Date.now() + 0.5 - value.sentAt]);
        }
        return value;
    };
"""
"""Arrivals and latencies by the time of day, which page and server share before the step."""

SAVED = """
    const { createObjectURL } = URL;
    const { click } = HTMLAnchorElement.prototype;
    try {
        HTMLAnchorElement.prototype.click = () => {};
        const blob = await new Promise((resolve) => {
            URL.createObjectURL = (blob) => {
                resolve(blob);
                return "#";
            };
            document.querySelector('[data-part="json"]').click();
        });
        return JSON.parse(await blob.text());
    } finally {
        URL.createObjectURL = createObjectURL;
        HTMLAnchorElement.prototype.click = click;
    }
"""
"""The run as the page saves it, without a download."""

SHOWN = """
    const names = ["verdict-sentence", "verdict-note"];
    for (const column of ["websocket", "difference", "sse"]) {
        for (const row of ["p50", "p99", "bytes"]) names.push(`${column}-${row}`);
    }
    const read = (name) => document.querySelector(`[data-part="${name}"]`).textContent.trim();
    const received = [...document.querySelectorAll('[data-side] [data-part="received"]')];
    return {
        ...Object.fromEntries(names.map((name) => [name, read(name)])),
        received: received.map(({ textContent }) => Number(textContent.replaceAll(",", ""))),
    };
"""
PERCENTILES = ("p50", "p99")
FASTER = {"WebSocket": -1, "SSE": 1}
"""The sign of the difference, WebSocket minus SSE, if this side is faster."""


@dataclass(frozen=True)
class Finding:
    """What a check has found.

    Attributes:
        check: its name.
        figures: as one line.
        holds: whether the page is right.
    """

    check: str
    figures: str
    holds: bool

    def __str__(self) -> str:
        return f"{self.check}: {self.figures}: {'holds' if self.holds else 'FAILED'}"


@dataclass(frozen=True)
class Sample:
    """A message as the page saves it.

    Attributes:
        sent: by the page's clock, seconds since the epoch.
        latency_ms: its latency.
    """

    sent: float
    latency_ms: float


def saved(side: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the samples of a saved side, each with its columns' names."""
    samples = side["samples"]
    return [dict(zip(samples["columns"], row, strict=True)) for row in samples["rows"]]


def counts(row: Mapping[str, Any]) -> bool:
    """Return whether a sample is in the figures."""
    return row["latency"] is not None and not any(row[flag] for flag in FLAGS)


def counted(side: Mapping[str, Any]) -> list[Sample]:
    """Return the samples of a saved side that are in its figures."""
    rows = filter(counts, saved(side))
    return [Sample((row["at"] - row["latency"]) / 1000, row["latency"]) for row in rows]


def within(samples: Sequence[Sample], begin: float, end: float) -> list[Sample]:
    """Return the samples that were sent in an outage: between two times, seconds since the epoch."""
    return [sample for sample in samples if begin + EDGE_S < sample.sent < end - EDGE_S]


async def _interruption(engine: Engine, name: str, seconds: float) -> Finding:
    check = f"{name}, {seconds:g} s"
    outage = OUTAGES[name]
    with tempfile.TemporaryDirectory() as folder:
        async with outages.place(engine, Path(folder)) as place:
            await asyncio.sleep(BEFORE_S)
            await outage.begin(place)
            begin = time.time()
            await asyncio.sleep(seconds)
            end = time.time()
            await outage.end(place)
            await asyncio.sleep(AFTER_S)
            run = await engine.run(SAVED)
            left = await place.figures("left-out")
    parts, holds = [], True
    for side, words in zip(SIDES, left, strict=True):
        figures, samples = run[side]["figures"], counted(run[side])
        inside = within(samples, begin, end)
        mean, most = figures["mean"], max(sample.latency_ms for sample in samples)
        parts.append(
            f"{side} average {mean:.1f} ± {figures['error']:.1f}, largest {most:.1f} ms"
            f" of {len(samples)} messages, {len(inside)} of them of the outage; not counted: {words}"
        )
        is_of_these = abs(mean - fmean(sample.latency_ms for sample in samples)) < ROUNDED_MS
        holds = holds and is_of_these and mean < MAX_MEAN_MS and inside == []
    return Finding(check, " | ".join(parts), holds)


async def outage_is_no_latency(engine: Engine) -> AsyncIterator[Finding]:
    """Interrupt the path, then the browser."""
    for name, seconds in INTERRUPTIONS:
        yield await _interruption(engine, name, seconds)


def outside(found: Mapping[str, Any]) -> list[Mapping[str, float]]:
    """Return the readings whose claim excludes the whole range of the true offset.

    Arguments:
        found: by `CLOCK`.
    """
    low, high = found["low"] - SLEW_MS, found["high"] + SLEW_MS
    return [
        each
        for each in found["readings"]
        if each["offset"] + each["error"] < low or each["offset"] - each["error"] > high
    ]


async def clock_is_within_its_error(engine: Engine) -> AsyncIterator[Finding]:
    """Read the clock as the page does."""
    with tempfile.TemporaryDirectory() as folder:
        server = rtdemo(Path(folder), "clock", *NO_LIMIT)
        await server.start()
        try:
            await engine.open(f"{server.url}/")
            found = await engine.run(CLOCK)
        finally:
            await server.kill()
    wrong, errors = outside(found), [reading["error"] for reading in found["readings"]]
    figures = (
        f"{len(wrong)} of {len(errors)} readings outside of their claim, ± {min(errors):.2f} to"
        f" {max(errors):.2f} ms; the truth is known to {found['high'] - found['low']:.2f} ms,"
        f" the tick is {found['tick'] * 1000:.0f} µs"
    )
    is_known = found["low"] <= found["high"] + SLEW_MS
    yield Finding("clock", figures, is_known and found["isolated"] and wrong == [])


async def back_after_an_outage(engine: Engine) -> AsyncIterator[Finding]:
    """Interrupt the path in more ways; the outages print their own lines."""
    for name, seconds in HEALED:
        line, holds = await outages.run(engine, name, seconds)
        yield Finding(f"{name}, {seconds:g} s", line, holds)


async def stepped_clock_changes_no_average(engine: Engine) -> AsyncIterator[Finding]:
    """Set the server's clock back while both sides are connected."""
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder) / "settable.py"
        plugin.write_text(SET)
        server = rtdemo(Path(folder), "settable", str(plugin))
        await server.start()
        try:
            await engine.open(f"{server.url}/?producers=tenth")
            await engine.until("/known to/.test(document.body.textContent)")
            await engine.run(HEAR)
            await engine.connect(*SIDES)
            await asyncio.sleep(STEPPED_S)
            async with aiohttp.ClientSession() as http, http.ws_connect(f"{server.url}/ws") as socket:
                step = time.time()
                await socket.send_str(f"set {STEP_MS}")
                await socket.receive()
                await asyncio.sleep(STEPPED_S)
            run = await engine.run(SAVED)
            heard = await engine.run("return heard")
        finally:
            await server.kill()
    parts, holds = [], True
    for side in SIDES:
        figures = run[side]["figures"]
        compared, truth = means(saved(run[side]), heard[side], step)
        parts.append(
            f"{side} average {figures['mean']:.1f} ± {figures['error']:.1f} ms, of the compared messages"
            f" {compared:.1f} ms, in truth {truth:.1f} ms; {figures['leftOut']['untimed']} untimed"
        )
        off = abs(compared - truth)
        holds = holds and off < MAX_OFF_MS and off <= figures["error"] + WHOLE_MS
    yield Finding(f"clock set by {STEP_MS} ms", " | ".join(parts), holds)


def means(
    rows: Sequence[Mapping[str, Any]], heard: Sequence[tuple[float, float]], step: float
) -> tuple[float, float]:
    """Return the average latency of the messages that count, by the page and in truth.

    Arguments:
        rows: of a side, as saved.
        heard: arrivals and latencies of the same messages, by `HEAR`.
        step: when the server's clock was set.
    """
    ticks = [row for row in rows if row["producer"] == "tenth"]
    pairs = [
        # The page takes the time of arrival before it parses.
        (row["latency"], naive - (at - row["at"] / 1000) * 1000 + (STEP_MS if at > step else 0))
        for row, (at, naive) in zip(ticks, heard, strict=False)
        if counts(row)
    ]
    return fmean(one for one, _ in pairs), fmean(other for _, other in pairs)


def contradictions(shown: Mapping[str, Any]) -> list[str]:
    """Return what contradicts itself on a page that has a verdict.

    Arguments:
        shown: texts of the scoreboard, by `SHOWN`.
    """
    found = [*_of_messages(shown), *_of_the_sentence(shown)]
    for percentile in PERCENTILES:
        found += _of_values(shown, percentile)
    one, other = (number(shown[f"{side}-bytes"]) for side in SIDES)
    if abs(one - other) != number(shown["difference-bytes"].replace("the same", "0")):
        found.append(f"bytes: {one:g} and {other:g} beside {shown['difference-bytes']!r}")
    return found


def _of_messages(shown: Mapping[str, Any]) -> list[str]:
    counts = [
        number(each) for each in re.findall(r"[\d,]+(?= and)|(?<=and )[\d,]+", shown["verdict-note"])
    ]
    if len(counts) != len(SIDES):
        return [f"no numbers of messages: {shown['verdict-note']!r}"]
    if any(few > all_ for few, all_ in zip(counts, shown["received"], strict=True)):
        return [f"{counts} compared of {shown['received']} received"]
    alike = abs(counts[0] - counts[1]) <= max(LEAST_UNLIKE, UNLIKE * max(counts))
    return [] if alike else [f"unlike sets: {counts}"]


def _of_the_sentence(shown: Mapping[str, Any]) -> list[str]:
    """Return whether sentence and differences name the same sides and the same bound."""
    sentence = shown["verdict-sentence"]
    cells = {percentile: shown[f"difference-{percentile}"] for percentile in PERCENTILES}
    said = {
        at: name
        for name, at in re.findall(r"(WebSocket|SSE) is [\d., to]+ ms faster at (p\d+)", sentence)
    }
    # If one side is faster at both percentiles, the sentence has the first only.
    named = {percentile: _named(cell) for percentile, cell in cells.items() if _named(cell) is not None}
    is_same = said.items() <= named.items() and bool(said) == bool(named)
    bound = re.search(rf"\(difference under {NUMBER} ms\)", sentence)
    if bound is not None:
        bounds = [number(cell) for cell in cells.values() if cell.startswith("under")]
        is_same = is_same and bounds != [] and number(bound[1]) == max(bounds)
    return [] if is_same else [f"{cells} beside {sentence!r}"]


def _of_values(shown: Mapping[str, Any], percentile: str) -> list[str]:
    """Return whether the difference of the two values is the one that is shown."""
    cell = shown[f"difference-{percentile}"]
    bounds = [number(each) for each in re.findall(NUMBER, cell)]
    if not bounds:
        return []
    one, other = (number(shown[f"{side}-{percentile}"]) for side in SIDES)
    name = _named(cell)
    difference = abs(one - other) if name is None else (one - other) * FASTER[name]
    low = 0.0 if name is None else bounds[0]
    if low - 2 * ROUNDING_MS <= difference <= bounds[-1] + 2 * ROUNDING_MS:
        return []
    return [f"{percentile}: {one:g} and {other:g} beside {cell!r}"]


def _named(cell: str) -> str | None:
    """Return the side that a difference names."""
    return next((name for name in FASTER if cell.startswith(name)), None)


async def no_contradictions(engine: Engine) -> AsyncIterator[Finding]:
    """Press Compare, and read the page until some seconds after its verdict."""
    with tempfile.TemporaryDirectory() as folder:
        server = rtdemo(Path(folder), "compared")
        await server.start()
        looks, found = 0, set()
        try:
            await engine.open(f"{server.url}/")
            await engine.press("compare")
            await engine.until(f"{text('compare')} === 'Compare again'")
            for _ in range(LOOKS):
                shown = await engine.run(SHOWN)
                looks += 1
                found |= set(contradictions(shown))
                await asyncio.sleep(LOOK_S)
        finally:
            await server.kill()
    note, sentence = shown["verdict-note"].partition(" so far")[0], shown["verdict-sentence"]
    figures = f"{len(found)} in {looks} looks; {note}; {sentence}"
    yield Finding("contradictions", " / ".join([figures, *sorted(found)]), not found)


ROWS: Mapping[int, Callable[[Engine], AsyncIterator[Finding]]] = {
    1: outage_is_no_latency,
    2: clock_is_within_its_error,
    3: back_after_an_outage,
    4: stepped_clock_changes_no_average,
    6: no_contradictions,
}


async def main() -> int:
    """Check the rows, and print a line for each check; return 1 if one does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.browser.truth", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--engine", choices=ENGINES, default="chromium", help="browser")
    parser.add_argument(
        "--row", type=int, choices=ROWS, action="append", help="row of the list; all if none"
    )
    given = parser.parse_args()
    holds = True
    async with ENGINES[given.engine]() as engine:
        for row in given.row or ROWS:
            async for finding in ROWS[row](engine):
                print(f"{row}  {finding}", flush=True)
                holds = holds and finding.holds
    return int(not holds)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
