"""Measure servers under the same loads with the same client, in turns, rtdemo beside the others.

Each window has a new server. A window that other processes disturbed is measured again. The tables
show medians over the rounds. A ratio is a server's figure divided by that of Node's `ws` (WebSocket) or
node:http (SSE) in the same round; rtdemo's lines are followed by its goals.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import growth, report
from benchmarks.environment import environment
from benchmarks.figures import Figures, Measured, Results, figures
from benchmarks.process import allow_open_files, wait_until_quiet
from benchmarks.servers import PATHS, ROOT, SERVERS, Server, build, rtdemo, running
from benchmarks.window import Plan, Window
from benchmarks.workloads import (
    GROWTH_CONNECTIONS,
    LABELS,
    TRANSPORTS,
    WORKLOADS,
    Transport,
    Workload,
)

MAX_CONNECTIONS, MAX_SECONDS, MAX_ROUNDS = 30_000, 300.0, 50
SPARE_FILES = 512
"""Files that connections leave: a server of rtdemo keeps 256 free, and has some 30 open."""
NOISE_SHARE = 0.25
"""Share of one core that other processes may use in a window."""
CLIENT_SHARE = 0.85
"""Share of one core above which the client is the bottleneck."""
CLIENT_TIMEOUT = 300.0
"""Seconds that the client may take besides settling and the window."""
PLOT = ROOT / "docs" / "performance-growth.svg"


class Run:
    """One call of the command: what it measures, and what it found."""

    def __init__(self, options: argparse.Namespace, servers: Sequence[Server], scratch: Path) -> None:
        self.results = Results()
        self.failures: list[str] = []
        self._options = options
        self._servers = servers
        self._scratch = scratch

    def measure(self, workloads: Sequence[Workload]) -> None:
        """Measure every workload with every server, in rounds, each in the reverse order of the last."""
        for number in range(1, self._options.rounds + 1):
            servers = self._servers if number % 2 else list(reversed(self._servers))
            for workload in workloads:
                print(f"round {number} of {self._options.rounds}: {workload.name}", file=sys.stderr)
                for transport in [one for one in workload.transports if one in self._options.transport]:
                    print(report.heading(transport), file=sys.stderr)
                    for server in servers:
                        if server.runs(workload, transport):
                            self._measure_one(server, workload, transport, number)

    def _measure_one(
        self, server: Server, workload: Workload, transport: Transport, number: int
    ) -> None:
        """Add one window: the first that other processes left alone, or the last that may be repeated.

        What decides is the CPU time of others, never the outcome.
        """
        for _ in range(1 + self._options.again):
            wait_until_quiet(NOISE_SHARE, self._options.quiet)
            try:
                window = self._window(server, workload, transport)
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                failure = f"{server.name}, {LABELS[transport]}, {workload.name}: {error}"
                self.failures.append(failure)
                print(f"failed: {failure}", file=sys.stderr)
                return
            found = figures(window, workload, transport)
            print(report.row(server.name, found, None) + doubts(found), file=sys.stderr, flush=True)
            if (found.other_core or 0) <= 100 * NOISE_SHARE:
                break
        one = Measured(
            server.name, transport, workload.name, number, workload.connections, window, found
        )
        self.results.windows.append(one)

    def _window(self, server: Server, workload: Workload, transport: Transport) -> Window:
        with running(server, self._scratch, workload.plugins) as started:
            plan = Plan(
                kind=workload.kind,
                framing="sse" if transport == "sse" else server.framing,
                port=started.port,
                publish_port=started.publish_port,
                path=f"{PATHS[transport]}?{workload.query}{server.query}",
                connections=workload.connections,
                seconds=workload.seconds,
                settle=self._options.settle,
                group=started.group,
            )
            client = subprocess.run(
                [sys.executable, "-m", "benchmarks.client", json.dumps(asdict(plan))],
                cwd=ROOT,
                capture_output=True,
                timeout=CLIENT_TIMEOUT + plan.settle + plan.seconds,
                check=False,
            )
        if client.returncode:
            raise RuntimeError(
                client.stderr.decode().strip() or f"the client's exit is {client.returncode}"
            )
        return msgspec.json.decode(client.stdout, type=Window)


def doubts(found: Figures) -> str:
    """Return what makes a window doubtful."""
    doubt = ""
    if (found.client_core or 0) > 100 * CLIENT_SHARE:
        doubt += "  the client was the bottleneck"
    if (found.other_core or 0) > 100 * NOISE_SHARE:
        doubt += "  disturbed"
    return doubt


def arguments() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    names = [one.name for one in WORKLOADS], [one.name for one in SERVERS]
    add("--workload", action="append", choices=names[0], help="only this one; may be repeated")
    add("--server", action="append", choices=names[1], help="only this one; may be repeated")
    add("--transport", action="append", choices=TRANSPORTS, help="only this one")
    add(
        "--rtdemo-at",
        action="append",
        type=Path,
        default=[],
        metavar="DIR",
        help="measure the rtdemo in this folder too; may be repeated",
    )
    add("--rounds", type=int, default=3, metavar="N", help="each measures everything once (default 3)")
    add("--seconds", type=float, metavar="S", help="length of each window (default: the workload's)")
    add("--connections", type=int, metavar="N", help="open at once (default: the workload's)")
    add("--settle", type=float, default=2.0, metavar="S", help="before each window (default 2)")
    add(
        "--quiet",
        type=float,
        default=30.0,
        metavar="S",
        help="wait so long for a quiet machine (default 30)",
    )
    add("--again", type=int, default=1, metavar="N", help="repeats of a disturbed window (default 1)")
    add("--json", action="store_true", help="print everything that was measured, not the tables")
    add(
        "--growth",
        nargs="?",
        type=counts,
        const=GROWTH_CONNECTIONS,
        metavar="N,N,...",
        help="measure with these numbers of connections, and draw the plot",
    )
    add("--plot", type=Path, default=PLOT, metavar="FILE", help="where --growth draws (default docs/)")
    return parser


def counts(text: str) -> tuple[int, ...]:
    """Return the numbers of a list in ascending order; ValueError where one is no number."""
    return tuple(sorted({int(one) for one in text.split(",")}))


def check_bounds(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit 2 where a number is out of bounds: the load is bounded in count and time."""
    bounds = {
        "connections": (1, MAX_CONNECTIONS),
        "seconds": (1, MAX_SECONDS),
        "settle": (0, MAX_SECONDS),
        "rounds": (1, MAX_ROUNDS),
        "quiet": (0, MAX_SECONDS),
        "again": (0, MAX_ROUNDS),
    }
    given = [(name, getattr(options, name)) for name in bounds]
    given += [("connections", count) for count in options.growth or ()]
    for name, value in given:
        low, high = bounds[name]
        if value is not None and not low <= value <= high:
            parser.error(f"--{name}: {value:g} is not within {low:g} to {high:g}")


def chosen_workloads(options: argparse.Namespace, most: int) -> list[Workload]:
    """Return the workloads of a run, with no more connections than files may be open."""
    if options.growth:
        options.growth = tuple(sorted({min(count, most) for count in options.growth}))
        found = [growth.workload(count) for count in options.growth]
    else:
        found = [one for one in WORKLOADS if not options.workload or one.name in options.workload]
        if options.connections:
            found = [replace(one, connections=options.connections) for one in found]
    found = [replace(one, connections=min(one.connections, most)) for one in found]
    return [replace(one, seconds=options.seconds) for one in found] if options.seconds else found


def chosen_servers(options: argparse.Namespace) -> tuple[list[Server], list[str]]:
    """Return the servers of a run that are installed, and a sentence for each that is left out."""
    wanted = [one for one in SERVERS if not options.server or one.name in options.server]
    wanted += [rtdemo(folder.resolve()) for folder in options.rtdemo_at]
    left_out = [f"{one.name}: {reason}" for one in wanted for reason in one.missing()]
    return [one for one in wanted if not one.missing()], left_out


def document(
    options: argparse.Namespace, run: Run, workloads: list[Workload], left_out: list[str]
) -> Any:
    """Return everything that was measured, for JSON."""
    found: dict[str, Any] = {
        "environment": environment(),
        "rounds": options.rounds,
        "settle": options.settle,
        "left_out": left_out,
        "failures": run.failures,
        "workloads": [asdict(one) for one in workloads],
        "summary": report.summary(run.results, workloads),
        "windows": [asdict(one) for one in run.results.windows],
    }
    if options.growth:
        drawn = growth.curves(run.results, options.growth)
        found["growth"] = [asdict(one) | {"goals": growth.goals(one)} for one in drawn]
    return found


def leave(_signal: int, _frame: object) -> None:
    """Leave through every `finally`, so that no server outlives the run."""
    raise SystemExit(128 + signal.SIGTERM)


def main() -> None:
    """Measure, compare, print."""
    parser = arguments()
    options = parser.parse_args()
    check_bounds(parser, options)
    options.transport = options.transport or TRANSPORTS
    signal.signal(signal.SIGTERM, leave)
    most = allow_open_files() - SPARE_FILES
    workloads = chosen_workloads(options, most)
    servers, left_out = chosen_servers(options)
    for one in left_out:
        print(f"left out: {one}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(options, servers, Path(folder))
        for server in servers:
            build(server, Path(folder))
        run.measure(workloads)
    drawn = growth.curves(run.results, options.growth) if options.growth else []
    if drawn:
        options.plot.write_text(growth.plot(drawn))
    if options.json:
        print(json.dumps(document(options, run, workloads, left_out), indent=2))
    else:
        lines = growth.table(drawn) if options.growth else report.tables(run.results, workloads)
        print(*lines, sep="\n")
    if run.failures:
        raise SystemExit(f"{len(run.failures)} windows failed")


if __name__ == "__main__":
    main()
