"""Measure the same thing under both names, many times: bench must call it equal, and name no winner.

    python -m tests.lab.bench.same_twice --times 20 -n 100 --seconds 2 --rounds 8 --speed 20

`--of sse` connects by SSE for both names, `--of websocket` by WebSocket, and `--of swapped` exchanges
the two: whatever differs must then follow its transport. Everything else is what `rtdemo bench` does,
with a server of its own for all runs. Run it on a quiet machine. Exit code 1 if more than one of 20 runs
names a winner.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping
from unittest.mock import patch

from rtdemo.lab.bench import machine, verdict
from rtdemo.lab.bench.metrics import other_cores
from rtdemo.lab.bench.processes import own_server
from rtdemo.lab.bench.protocol import Plan
from rtdemo.lab.bench.result import Run, RunSettings
from rtdemo.lab.bench.run import measure
from rtdemo.lab.bench.target import Target
from rtdemo.protocol.address import Address
from rtdemo.protocol.client import Transport

INSTEAD: Mapping[str, Mapping[Transport, Transport]] = {
    "sse": {"websocket": "sse", "sse": "sse"},
    "websocket": {"websocket": "websocket", "sse": "websocket"},
    "swapped": {"websocket": "sse", "sse": "websocket"},
}
"""By the value of --of: the transport that is measured under each name."""
ALLOWED_SHARE = 0.05
"""Of runs that may name a winner: the intervals are of 95 %."""


async def measure_as(
    instead: Mapping[Transport, Transport], address: Address, given: RunSettings
) -> Run:
    """Return a run in which each name stands for another transport."""
    real = Target.plans

    def plans(target: Target, transport: Transport, connections: int) -> list[Plan]:
        return real(target, instead[transport], connections)

    run = Run(at="", target="own server", environment=machine.environment(""), settings=given)
    with patch.object(Target, "plans", plans):
        await measure(run, address, lambda _what, _number, _of: None)
    return run


def findings(run: Run) -> dict[str, object]:
    """Return the headline, the intervals of both percentiles, and what disturbed the run."""
    comparison = verdict.transport_comparison(run)
    assert comparison is not None
    first = verdict.compare_transports(run, comparison)
    found: dict[str, object] = {"code": first.code, "headline": first.sentence}
    for name in ("p50", "p99"):
        if (one := comparison.difference(name)) is not None:
            found[name] = one.outcome
            found[f"{name}Ms"] = [round(one.first, 3), round(one.second, 3)]
            found[f"{name}IntervalMs"] = [round(one.low, 3), round(one.high, 3)]
    found["otherCores"] = round(other_cores(run.rounds), 2)
    return found


async def repeat(of: str, times: int, settings: RunSettings) -> list[dict[str, object]]:
    """Measure several times, and print what each run found, as a line of JSON."""
    lines = []
    async with own_server() as address:
        for _ in range(times):
            run = await measure_as(INSTEAD[of], address, settings)
            if run.cut_short:
                break
            lines.append(findings(run))
            print(json.dumps(lines[-1]), flush=True)
    return lines


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--of", choices=INSTEAD, default="sse")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("-n", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--speed", type=float, default=20.0)
    given = parser.parse_args()
    settings = RunSettings(given.n, given.seconds, given.rounds, given.speed)
    lines = asyncio.run(repeat(given.of, given.times, settings))
    codes = Counter(str(line["code"]) for line in lines)
    named = sum(count for code, count in codes.items() if code.endswith("-faster"))
    print(json.dumps({"of": given.of, "codes": codes, "winners": named}))
    sys.exit(given.of != "swapped" and named > ALLOWED_SHARE * len(lines))


if __name__ == "__main__":
    main()
