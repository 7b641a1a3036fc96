"""The command `rtdemo bench`: measure a server's transports."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from rtdemo.cli.request_headers import request_headers
from rtdemo.errors import FileError, RtdemoError
from rtdemo.lab import address as addresses
from rtdemo.lab.address import Address
from rtdemo.lab.bench import machine, report, result, verdict
from rtdemo.lab.bench.result import Run, RunSettings
from rtdemo.lab.bench.run import measure
from rtdemo.lab.bench.verdict import RegressionLimit
from rtdemo.protocol.client import TRANSPORTS, Transport

EXIT_REGRESSION, EXIT_UNDECIDED, EXIT_INTERRUPTED = 1, 3, 130
MAX_CONNECTIONS = 20_000
MAX_SECONDS = 600.0
MAX_ROUNDS = 50
MAX_PROCESSES = 64
CONNECTIONS_PER_PROCESS = 2000
"""Connections that one worker can read without becoming the bottleneck."""
SPARE_FILES = 256
"""Open files that are needed besides the connections."""
FILE = click.Path(dir_okay=False, path_type=Path)


class RegressionLimitType(click.ParamType[RegressionLimit]):
    """The value of --fail-if."""

    name = "limit"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> RegressionLimit:
        """Return the limit.

        Raises:
            click.BadParameter: if the value is not a limit; the text names valid ones.
        """
        try:
            return value if isinstance(value, RegressionLimit) else verdict.parse_limit(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("url", required=False)
@click.option(
    "-n",
    "connections",
    type=click.IntRange(1, MAX_CONNECTIONS),
    default=100,
    show_default=True,
    help="Connections that are open at the same time.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, MAX_SECONDS),
    default=10.0,
    show_default=True,
    help="Length of a round.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, MAX_ROUNDS),
    default=3,
    show_default=True,
    help="Rounds of each transport; the transports take turns.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 20),
    default=1.0,
    show_default=True,
    help="Factor for the rates of private producers.",
)
@click.option(
    "--transport", type=click.Choice(TRANSPORTS), help="Measure only this transport. Default: both."
)
@click.option(
    "--producers",
    default="",
    help="Measure only these producers, separated by commas. Default: private producers that have the"
    " same period on both transports.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, MAX_PROCESSES),
    help="Number of measuring processes. Default: one per 2,000 connections, at most one per core.",
)
@request_headers
@click.option("--json", "json_file", type=FILE, help="Write the complete results to a file.")
@click.option("--html", "html_file", type=FILE, help="Write a report as one self-contained HTML page.")
@click.option("--compare", type=FILE, help="Compare with the results in a file written by --json.")
@click.option(
    "--fail-if",
    "limits",
    type=RegressionLimitType(),
    multiple=True,
    help="With --compare: exit with 1 if a figure got worse beyond chance by more than this, such as"
    " p99+20%, and with 3 if that cannot be determined.",
)
def bench(
    url: str | None,
    json_file: Path | None,
    html_file: Path | None,
    compare: Path | None,
    limits: tuple[RegressionLimit, ...],
    headers: dict[str, str],
    **given: Any,
) -> int:
    """Compare WebSocket and SSE of the server at URL; without URL, start a server and measure it.

    URL may also be one WebSocket (ws://...) or one event stream (http://host/path) of any server
    that sends `sentAt` in its messages. Latency is measured from the time at which a message was due,
    which also shows stalls of the server, and from `sentAt`. Ctrl-C ends the run and reports what was
    measured until then.
    """
    if limits and compare is None:
        raise click.UsageError("--fail-if compares with an earlier run; give --compare, too")
    old = result.read(compare) if compare is not None else None
    address = addresses.parse(url, headers) if url is not None else None
    settings = _settings(address, **given)
    machine.allow_open_files(settings.connections + SPARE_FILES)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    run = Run(at, url or "own server", machine.environment(""), settings)
    failure: RtdemoError | None = _measure(run, address)
    exceeded, undecided = verdict.check_limits(limits, old, run) if old is not None else ([], [])
    if old is not None:
        run.warnings += verdict.setting_differences(old, run)
    if run.rounds:
        # Write the files first: printing may fail because the reader of a pipe has gone.
        failure = _write_files(run, old, json_file, html_file) or failure
        report.print_report(run, old)
    if failure is not None:
        raise failure
    for sentence in (*exceeded, *undecided):
        click.echo(f"rtdemo: {sentence}", err=True)
    if run.cut_short:
        return EXIT_INTERRUPTED
    return EXIT_REGRESSION if exceeded else EXIT_UNDECIDED if undecided else 0


def _settings(
    address: Address | None, transport: Transport | None, processes: int | None, **given: Any
) -> RunSettings:
    available = address.transports if address is not None else TRANSPORTS
    if transport is not None and address is not None:
        # Raises if the address has no such transport.
        address.stream(transport)
    needed = min(os.cpu_count() or 1, -(-given["connections"] // CONNECTIONS_PER_PROCESS))
    return RunSettings(
        transports=(transport,) if transport else available, processes=processes or needed, **given
    )


def _measure(run: Run, address: Address | None) -> RtdemoError | None:
    """Measure, with progress on a terminal; return the error that ended it."""
    console = Console(stderr=True)
    with console.status("") as status:

        def progress(what: str, number: int, of: int) -> None:
            status.update(f"{what}, round {number} of {of}" if of else what)

        try:
            asyncio.run(measure(run, address, progress))
        except RtdemoError as error:
            return error
    return None


def _write_files(
    run: Run, old: Run | None, json_file: Path | None, html_file: Path | None
) -> FileError | None:
    """Write the files; return the error if one cannot be written."""
    try:
        if json_file is not None:
            result.write(json_file, msgspec.json.encode(run))
        if html_file is not None:
            result.write(html_file, report.html_page(run, old))
    except FileError as error:
        return error
    return None
