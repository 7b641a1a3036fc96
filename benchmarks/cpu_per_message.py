"""Measure a server's CPU time per delivered message and the rate it keeps, rtdemo beside the plain way.

Each round starts every server anew, opens the connections, waits, and counts for the window, the
servers in turns. A window that other processes disturbed is measured again. The table shows medians
over the rounds; "times less" is the plain way's CPU time per message divided by rtdemo's.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from benchmarks.figures import HEADING, Comparison, Figures, compare, figures
from benchmarks.load import MAX_CONNECTIONS, MAX_SECONDS, NOISE_SHARE, OPENING_SECONDS, Result
from benchmarks.process import allow_open_files, wait_until_quiet
from benchmarks.servers import ROOT, SERVERS, Running, ServerName, running
from benchmarks.workload import MAX_SPEED, MIN_SPEED, TRANSPORTS, Transport

MAX_ROUNDS = 50
SPARE_FILES = 256
CLIENT_GRACE = 30.0
"""Seconds that the load client may take besides opening, settling and the window."""


def load(server: Running, transport: Transport, options: argparse.Namespace) -> Result:
    """Run the load client beside a server and return what it counted."""
    port, path = server.target(transport, options.speed)
    client = [sys.executable, "-m", "benchmarks.load", "--transport", transport]
    client += ["--port", str(port), "--path", path, "--connections", str(options.connections)]
    client += ["--seconds", str(options.seconds), "--settle", str(options.settle)]
    client += ["--server-group", str(server.group)]
    limit = OPENING_SECONDS + options.settle + options.seconds + CLIENT_GRACE
    done = subprocess.run(client, cwd=ROOT, stdout=subprocess.PIPE, timeout=limit, check=False)
    if done.returncode:
        raise RuntimeError(f"the load on {server.name} over {transport} failed: exit {done.returncode}")
    counted: dict[str, Any] = json.loads(done.stdout)
    counted.pop("client_core_share")
    return Result(**counted)


def measure(options: argparse.Namespace, windows: list[Figures]) -> None:
    """Add the figures of every window to a list, the servers in turns."""
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for transport in options.transport:
            for name in options.server:
                found = measure_one(name, transport, options)
                windows.append(found)


def measure_one(name: ServerName, transport: Transport, options: argparse.Namespace) -> Figures:
    """Return the figures of one window, the first one that other processes left alone, or the last.

    What decides is the CPU time of others, never the outcome.
    """
    for _ in range(1 + options.again):
        wait_until_quiet(NOISE_SHARE, options.quiet)
        with running(name) as server:
            found = figures(name, load(server, transport, options), options.speed)
        print(found, file=sys.stderr, flush=True)
        if found.other_core <= 100 * NOISE_SHARE:
            break
    return found


def report(
    options: argparse.Namespace, windows: list[Figures], comparisons: list[Comparison]
) -> dict[str, Any]:
    """Return everything that was measured, for JSON."""
    asked = {
        name: getattr(options, name)
        for name in ("connections", "speed", "seconds", "settle", "rounds", "quiet", "again")
    }
    return asked | {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "windows": [asdict(window) for window in windows],
        "comparisons": [asdict(one) | {"less": one.less, "reached": one.reached} for one in comparisons],
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cpu_per_message",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--connections", type=int, default=2000, metavar="N", help="open at once (default 2000)")
    add("--speed", type=float, default=10.0, help="10 is a message every 0.2 s (default 10)")
    add("--seconds", type=float, default=30.0, help="each window (default 30)")
    add("--settle", type=float, default=3.0, help="seconds before the window (default 3)")
    add("--rounds", type=int, default=3, metavar="N", help="each measures everything once (default 3)")
    add("--quiet", type=float, default=30.0, help="seconds to wait for a quiet machine (default 30)")
    add("--again", type=int, default=1, metavar="N", help="repeats of a disturbed window (default 1)")
    add("--transport", action="append", choices=TRANSPORTS, help="only this one (default both)")
    add("--server", action="append", choices=SERVERS, help="only this one (default both)")
    add("--json", action="store_true", help="print everything that was measured, not the table")
    add("--check", action="store_true", help="exit 1 where a goal is missed")
    options = parser.parse_args()
    options.transport = options.transport or TRANSPORTS
    options.server = options.server or SERVERS
    check_bounds(parser, options)
    return options


def check_bounds(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit 2 where a number is out of bounds: the load is bounded in count and time."""
    bounds = {
        "connections": (1, MAX_CONNECTIONS),
        "speed": (MIN_SPEED, MAX_SPEED),
        "seconds": (1, MAX_SECONDS),
        "settle": (0, MAX_SECONDS),
        "rounds": (1, MAX_ROUNDS),
        "quiet": (0, MAX_SECONDS),
        "again": (0, MAX_ROUNDS),
    }
    for name, (low, high) in bounds.items():
        given = getattr(options, name)
        if not low <= given <= high:
            parser.error(f"--{name}: {given:g} is not within {low:g} to {high:g}")


def leave(_signal: int, _frame: object) -> None:
    """Leave through every `finally`, so that no server outlives the measurement."""
    raise SystemExit(128 + signal.SIGTERM)


def main() -> None:
    """Measure, compare, print."""
    options = arguments()
    signal.signal(signal.SIGTERM, leave)
    allow_open_files(options.connections + SPARE_FILES)
    print(HEADING, file=sys.stderr)
    windows: list[Figures] = []
    failure = ""
    try:
        measure(options, windows)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        failure = str(error)
    comparisons = [compare(windows, transport) for transport in options.transport]
    if options.json:
        print(json.dumps(report(options, windows, comparisons), indent=2))
    else:
        print("\nmedians", HEADING, *comparisons, sep="\n")
    if failure:
        raise SystemExit(f"stopped early: {failure}")
    if options.check and not all(one.reached for one in comparisons):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
