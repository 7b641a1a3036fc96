"""Measure the same thing under both names, many times: bench must call it equal, and name no winner.

    python -m tests.lab.bench.same_twice --times 20 -n 100 --seconds 3 --speed 20

`--of sse` connects by SSE for both names, `--of websocket` by WebSocket, and `--of swapped` exchanges
the two: whatever differs must then follow its transport. With `--later 1`, what the second name receives
passes a relay that delays it by 1 ms, and that of the first name one that does not: bench must find it.
Everything else is what `rtdemo bench` does, with a server of its own for all runs. Run it on a quiet
machine. Exit code 1 if more than one of 20 runs has another answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import msgspec

from rtdemo.lab.bench import machine, verdict
from rtdemo.lab.bench.advice import max_rounds
from rtdemo.lab.bench.comparison import MIN_ROUNDS
from rtdemo.lab.bench.metrics import other_cores
from rtdemo.lab.bench.processes import own_server
from rtdemo.lab.bench.progress import expected_round_s
from rtdemo.lab.bench.protocol import Plan
from rtdemo.lab.bench.result import Run, RunSettings
from rtdemo.lab.bench.run import measure
from rtdemo.lab.bench.target import Target
from rtdemo.protocol.address import Address
from rtdemo.protocol.client import TRANSPORTS, Transport
from tests.lab.bench.relay import relay

INSTEAD: Mapping[str, Mapping[Transport, Transport]] = {
    "sse": {"websocket": "sse", "sse": "sse"},
    "websocket": {"websocket": "websocket", "sse": "websocket"},
    "swapped": {"websocket": "sse", "sse": "websocket"},
}
"""By the value of --of: the transport that is measured under each name."""
ALLOWED_SHARE = 0.05
"""Of runs that may have another answer: the intervals are of 95 %."""


async def measure_as(
    instead: Mapping[Transport, Transport],
    ports: Mapping[Transport, int],
    address: Address,
    given: RunSettings,
) -> Run:
    """Return a run in which each name stands for another transport.

    Arguments:
        instead: the transport of each name.
        ports: of the relay of each name; the server's own without one.
        address: of the server.
        given: settings of the run.
    """
    real = Target.plans

    def plans(target: Target, transport: Transport, connections: int) -> list[Plan]:
        found = real(target, instead[transport], connections)
        there = f":{address.port}/", f":{ports.get(transport, address.port)}/"
        return [msgspec.structs.replace(one, url=one.url.replace(*there)) for one in found]

    at = datetime.now(UTC).isoformat(timespec="seconds")
    run = Run(at=at, target="own server", environment=machine.environment(""), settings=given)
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
    found["rounds"] = comparison.fewest_rounds
    found["otherCores"] = round(other_cores(run.rounds), 2)
    return found


async def repeat(options: argparse.Namespace, settings: RunSettings) -> list[dict[str, object]]:
    """Measure several times, and print what each run found, as a line of JSON."""
    lines = []
    async with own_server() as address:
        with ExitStack() as relays:
            delays_s = dict(zip(TRANSPORTS, (0.0, options.later / 1000), strict=True))
            ports = {
                name: relays.enter_context(relay(address.port, delay_s))
                for name, delay_s in (delays_s.items() if options.later else ())
            }
            for number in range(options.times):
                run = await measure_as(INSTEAD[options.of], ports, address, settings)
                if run.cut_short:
                    break
                lines.append(findings(run))
                print(json.dumps(lines[-1]), flush=True)
                if options.keep:
                    file = options.keep / f"{options.of}-{options.later:g}-{number}.json"
                    file.write_bytes(msgspec.json.encode(run))
    return lines


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--of", choices=INSTEAD, default="sse")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("-n", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, help="of each name; without it, as many as bench takes")
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument(
        "--later", type=float, default=0.0, metavar="MS", help="delay of the second name"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write each run to a file there")
    options = parser.parse_args()
    most = options.rounds or max_rounds(expected_round_s(options.seconds), len(TRANSPORTS))
    rounds = options.rounds or MIN_ROUNDS
    settings = RunSettings(options.n, options.seconds, rounds, options.speed, max_rounds=most)
    lines = asyncio.run(repeat(options, settings))
    codes = Counter(str(line["code"]) for line in lines)
    wanted = f"{TRANSPORTS[0]}-faster" if options.later else "equal"
    others = len(lines) - codes[wanted]
    print(json.dumps({"of": options.of, "later": options.later, "codes": codes, "others": others}))
    sys.exit(options.of != "swapped" and others > ALLOWED_SHARE * len(lines))


if __name__ == "__main__":
    main()
