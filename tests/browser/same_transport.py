"""Compare a transport with itself on the real page: the right verdict names no side (A/A).

Both sides of the page get the same transport and the same producers. A stand-in replaces the other
transport's class in the browser before the sides connect; page and server are unchanged. Both sides
connect at the same moment, and from run to run they alternate in which one is first. A run ends with the
page's first verdict.

    python -m tests.browser.same_transport --runs 20 --rate 10
    python -m tests.browser.same_transport --runs 100 --rate 400 --transport sse --json runs.json
    python -m tests.browser.same_transport --engine firefox

Each line is one run: the latency of the side that connected first minus that of the other one, at the
median, with its 95 % interval by the page's own method; then the page's sentence. A positive difference
means that the second one was faster. The summary:

- `named`: runs whose sentence names a faster side. The exit code is 1 if there are any.
- `second faster`: runs with a positive difference: about half of them, without a bias. The probability
  is that of a fair coin to be at least as far from the half (two-sided sign test).
- `interval without 0`: about one run in twenty, if the interval holds.
- `sent apart`: by how much later the server stamped the messages of the side that connected second, by
  pairs of messages. `arrived apart`: the same for their arrival in the browser.

Run it on a quiet machine. Above 100 messages a second there are several producers, since none runs more
often.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.browser.engines.by_name import ENGINES
from tests.browser.engines.engine import Engine
from tests.cluster.process import Process, rtdemo

SIDES = ("websocket", "sse")
MAX_RATE = 100
"""Messages a second of one producer, at the most."""
WITHOUT = ("message", "status", "broadcast")
"""Built-in producers, which would add messages of their own."""
TIMEOUT_S = 60.0
"""Time for a page to connect, and then to reach its verdict."""
MAX_BROWSERS = 5
"""Browsers that are started one after the other: WebKitGTK's driver sometimes loses a command."""
SENTENCE = """document.querySelector('[data-part="verdict-sentence"]').textContent.trim()"""
BLOCK_MS = 400
"""Length of the bootstrap's blocks, as on the page."""
VERDICT = r"\d ms\b"
"""What every verdict has, and no sentence before it."""
NAMED = re.compile(r"^(WebSocket|SSE) is .* ms faster at")
"""A verdict that names a side."""

WATCH = """
globalThis.arrivals = { websocket: [], sse: [] };
const watch = (side, source) => source.addEventListener("message", ({ data }) =>
  arrivals[side].push({ at: performance.now(), data }));
const sameQuery = (address, scheme, path) => {
  const url = new URL(address);
  return `${location.protocol.replace("http", scheme)}//${location.host}${path}${url.search}`;
};
const { WebSocket: NativeSocket, EventSource: NativeSource } = globalThis;
"""
STAND_INS = {
    "websocket": """
globalThis.WebSocket = class extends NativeSocket {
  constructor(address) {
    super(address);
    watch("websocket", this);
  }
};
globalThis.EventSource = class extends NativeSocket {
  constructor(address) {
    super(sameQuery(address, "ws", "/ws"));
    watch("sse", this);
  }
};
""",
    "sse": """
globalThis.EventSource = class extends NativeSource {
  constructor(address) {
    super(address);
    watch("sse", this);
  }
};
globalThis.WebSocket = class extends NativeSource {
  constructor(address) {
    super(sameQuery(address, "http", "/api/sse"));
    watch("websocket", this);
  }
  send(body) {
    const { client } = JSON.parse(arrivals.websocket[0].data);
    fetch(`/api/messages?client=${client}`, { method: "POST", body });
  }
};
""",
}
"""By the transport that both sides have: a class with the interface of each one."""

FIGURES = """
const m = await import("/static/compare/bootstrap.js");
const [first, second] = %(order)s.map((side) => arrivals[side]
  .map(({ at, data }) => ({ at, ...JSON.parse(data) }))
  .filter(({ producer }) => /^steady/.test(producer)));
const sentAt = first[0].sentAt;
const block = ({ at }) => Math.floor(at / %(block)s);
const known = new Set(second.map(block));
const common = [...new Set(first.map(block))].filter((number) => known.has(number));
const sorted = (side) => {
  const kept = side.filter((each) => common.includes(block(each)));
  return m.sortSamples(
    kept.map((each) => each.at - (each.sentAt - sentAt)),
    kept.map((each) => common.indexOf(block(each))),
  );
};
const work = m.quantileDifference(sorted(first), sorted(second), common.length, 0.5);
let step = work.next();
while (!step.done) step = work.next();
// A message's partner is the nearest one of its producer: a busy server skips some.
const nearest = (message, others) =>
  others.reduce((best, each) => (distance(each, message) < distance(best, message) ? each : best));
const distance = (one, other) => Math.abs(one.sentAt - other.sentAt);
const pairs = [];
for (let from = 0, index = 0; index < first.length; index += 1) {
  const message = first[index];
  while (from < second.length && second[from].sentAt < message.sentAt - %(half)s) from += 1;
  let to = from;
  while (to < second.length && second[to].sentAt <= message.sentAt + %(half)s) to += 1;
  const others = second.slice(from, to).filter(({ producer }) => producer === message.producer);
  if (others.length > 0) pairs.push([message, nearest(message, others)]);
}
const apart = (name) => {
  const gaps = pairs.map(([one, other]) => other[name] - one[name]).sort((one, other) => one - other);
  return [0.1, 0.5, 0.9].map((share) => gaps[Math.floor(gaps.length * share)]);
};
return { ...step.value, messages: first.length, sent: apart("sentAt"), arrived: apart("at") };
"""


@dataclass(frozen=True)
class Run:
    """One comparison of a transport with itself.

    Attributes:
        first: the side that connected first.
        sentence: the page's verdict.
        difference, low, high: latency of the first side minus that of the second at the median, in
            milliseconds, and its 95 % interval.
        messages: of the first side.
        sent, arrived: by how many milliseconds the second side's messages were sent and arrived later
            than the nearest ones of the first side: the 10th, 50th and 90th percentile.
    """

    first: str
    sentence: str
    difference: float
    low: float
    high: float
    messages: int
    sent: Sequence[float]
    arrived: Sequence[float]

    @property
    def is_named(self) -> bool:
        """Whether the page names a faster side."""
        return NAMED.match(self.sentence) is not None

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval says that the sides differ."""
        return not self.low <= 0.0 <= self.high

    def line(self) -> str:
        """Return the run as one line of text."""
        interval = f"{self.difference:+.3f} ms ({self.low:+.3f} to {self.high:+.3f})"
        apart = f"sent apart {_three(self.sent)}, arrived apart {_three(self.arrived)}"
        return f"{self.first:9} first: {interval}; {self.messages} messages; {apart}; {self.sentence}"


def summary(runs: Sequence[Run]) -> str:
    """Return what the runs show, as lines of text."""
    differences = [run.difference for run in runs]
    spread = statistics.stdev(differences) if len(runs) > 1 else math.nan
    largest = max(differences, key=abs)
    second = sum(value > 0 for value in differences)
    rows = {
        "named": f"{sum(run.is_named for run in runs)} of {len(runs)}",
        "second faster": f"{second} of {len(runs)}, probability {sign_test(second, len(runs)):.2f}",
        "interval without 0": f"{sum(run.excludes_zero for run in runs)} of {len(runs)}",
        "difference": f"mean {statistics.fmean(differences):+.3f}, standard deviation {spread:.3f},"
        f" largest {largest:+.3f} ms",
        "half an interval": f"median {statistics.median((r.high - r.low) / 2 for r in runs):.3f} ms",
        "sent apart": f"median {statistics.median(run.sent[1] for run in runs):+.3f} ms",
        "arrived apart": f"median {statistics.median(run.arrived[1] for run in runs):+.3f} ms",
    }
    return "\n".join(f"{name:20}{figures}" for name, figures in rows.items())


def sign_test(heads: int, tosses: int) -> float:
    """Return the probability that a fair coin is at least as far from the half, on either side."""
    tail = min(heads, tosses - heads)
    ways = sum(math.comb(tosses, count) for count in range(tail + 1))
    return min(1.0, ways / 2.0 ** (tosses - 1))


def _three(values: Sequence[float]) -> str:
    return " ".join(f"{value:+.2f}" for value in values)


def producers(rate: float) -> str:
    """Return a plugin that sends so many messages a second to each connection."""
    number = math.ceil(rate / MAX_RATE)
    heads = (f"@producer(every={number / rate!r})\ndef steady_{each}():\n" for each in range(number))
    return "from rtdemo import producer\n\n" + "\n".join(
        f'{head}    return "steady"\n' for head in heads
    )


def stand_in(transport: str) -> str:
    """Return a script that gives both sides of the page one transport, and notes what arrives."""
    return WATCH + STAND_INS[transport]


async def open_page(engine: Engine, url: str, transport: str, query: str = "") -> None:
    """Open the page, without what an earlier run has left, and prepare it for one transport.

    Arguments:
        engine: opens the page.
        url: of the server.
        transport: that both sides get.
        query: of the page's address.
    """
    await engine.open(f"{url}/healthz")
    await engine.run("sessionStorage.clear()")
    await engine.open(f"{url}/{query}")
    await engine.run(stand_in(transport))
    # The page finds the server's clock in its first second, and until then no message counts.
    await engine.until("/known to/.test(document.body.textContent)", TIMEOUT_S)


async def compare(
    engine: Engine, url: str, rate: float, transport: str, first: str, seconds: float, query: str = ""
) -> Run:
    """Open the page, connect both sides over one transport, and wait for the verdict.

    Arguments:
        engine: opens the page.
        url: of the server.
        rate: messages a second of each side.
        transport: of both sides.
        first: the side that connects first.
        seconds: for which the run lasts at least.
        query: of the page's address.
    """
    await open_page(engine, url, transport, query)
    order = sorted(SIDES, key=lambda side: side != first)
    await engine.connect(*order)
    await asyncio.sleep(seconds)
    sentence = str(await engine.until(f"/{VERDICT}/.test({SENTENCE}) && {SENTENCE}", TIMEOUT_S))
    return Run(first, sentence, **await _figures(engine, order, rate))


async def _figures(engine: Engine, order: Sequence[str], rate: float) -> dict[str, Any]:
    period = 1000 / min(rate, MAX_RATE)
    filled = FIGURES % {"order": json.dumps(order), "block": max(BLOCK_MS, period), "half": period / 2}
    found = await engine.run(filled)
    found["difference"] = found.pop("middle")
    return dict(found)


async def compare_repeatedly(
    folder: Path, engine: str, runs: int, rate: float, transport: str, seconds: float
) -> list[Run]:
    """Start a server and a browser, and return one comparison after another: fewer if the browser hangs.

    Arguments:
        folder: for the plugin and the server's log.
        engine: the browser's name.
        runs: number of comparisons.
        rate: messages a second of each side.
        transport: of both sides.
        seconds: for which each one lasts at least.
    """
    plugin = folder / "steady.py"
    plugin.write_text(producers(rate))
    without = [word for name in WITHOUT for word in ("--without", name)]
    server: Process = rtdemo(folder, "same_transport", *without, str(plugin))
    await server.start()
    found: list[Run] = []
    try:
        for _ in range(MAX_BROWSERS):
            try:
                async with ENGINES[engine]() as browser:
                    while len(found) < runs:
                        first = SIDES[len(found) % 2]
                        found.append(await compare(browser, server.url, rate, transport, first, seconds))
                        print(f"{len(found):3} {found[-1].line()}", flush=True)
                break
            except TimeoutError:
                print("the browser does not answer its driver; another one is started", flush=True)
    finally:
        await server.kill()
    return found


def main() -> None:
    """Run the comparisons, print them, and exit with 1 if one names a side."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.browser.same_transport",
        description="Compare a transport with itself on the page.",
    )
    parser.add_argument("--engine", choices=ENGINES, default="chromium", help="browser")
    parser.add_argument("--runs", type=int, default=20, help="comparisons")
    parser.add_argument("--rate", type=float, default=10.0, help="messages a second of each side")
    parser.add_argument("--transport", choices=SIDES, default="websocket", help="of both sides")
    parser.add_argument("--seconds", type=float, default=0.0, help="least length of a run")
    parser.add_argument("--json", type=Path, help="file for the runs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        how = (given.engine, given.runs, given.rate, given.transport, given.seconds)
        found = asyncio.run(compare_repeatedly(Path(folder), *how))
    print(summary(found))
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")
    sys.exit(any(each.is_named for each in found))


if __name__ == "__main__":
    main()
