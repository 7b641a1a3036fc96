"""Measure a server's transports."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from rtdemo.errors import FileError, RtdemoError
from rtdemo.lab import address as addresses
from rtdemo.lab.address import Address
from rtdemo.lab.bench import machine, protocol, report, result, verdict
from rtdemo.lab.bench.result import Run, RunSettings
from rtdemo.lab.bench.run import measure
from rtdemo.lab.bench.verdict import RegressionLimit
from rtdemo.protocol.client import TRANSPORTS, Transport

EXIT_INTERRUPTED = 130
EXIT_REGRESSION, EXIT_UNDECIDED = 1, 3
CONNECTIONS_PER_PROCESS = 2000
"""Connections that one process reads with ease."""
SPARE_FILES = 256
FILE = click.Path(dir_okay=False, path_type=Path)


class RegressionLimitType(click.ParamType[RegressionLimit]):
    """Read a limit of --fail-if."""

    name = "limit"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> RegressionLimit:
        """Return the limit, or refuse it with what would be one."""
        try:
            return value if isinstance(value, RegressionLimit) else verdict.parse_limit(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("url", required=False)
@click.option(
    "-n",
    "connections",
    type=click.IntRange(1, protocol.MAX_CONNECTIONS),
    default=100,
    show_default=True,
    help="Connections that are open at once.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, protocol.MAX_SECONDS),
    default=10.0,
    show_default=True,
    help="Length of a round.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, protocol.MAX_ROUNDS),
    default=3,
    show_default=True,
    help="Rounds of each transport, in turns.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 20),
    default=1.0,
    show_default=True,
    help="Multiplies the rates of private producers.",
)
@click.option("--transport", type=click.Choice(TRANSPORTS), help="Only this one. Default: both.")
@click.option(
    "--producers",
    default="",
    help="Only these, separated by commas. Default: private ones with one period on both transports.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, protocol.MAX_PROCESSES),
    help="That measure. Default: one for each 2,000 connections, up to the cores.",
)
@click.option("--json", "json_file", type=FILE, help="Write everything that was measured to a file.")
@click.option(
    "--html", "html_file", type=FILE, help="Write a report to look at, one self-contained page."
)
@click.option("--compare", type=FILE, help="Compare with a run that --json wrote.")
@click.option(
    "--fail-if",
    "limits",
    type=RegressionLimitType(),
    multiple=True,
    help="With --compare: exit 1 where a figure got worse by more than this beyond chance, as p99+20%, "
    "and 3 where that cannot be told.",
)
def bench(
    url: str | None,
    json_file: Path | None,
    html_file: Path | None,
    compare: Path | None,
    limits: tuple[RegressionLimit, ...],
    **given: Any,
) -> int:
    """Measure the server at URL over both transports in turns; without URL, one started for it.

    URL may also be one WebSocket (ws://...) or one event stream (http://host/path) of any server
    whose messages have `sentAt`. Latency is told from the instant at which a message was due, which a
    server that stalls cannot hide, and from `sentAt`. Ctrl-C ends it with what was measured until then.
    """
    if limits and compare is None:
        raise click.UsageError("--fail-if says by how much a figure may get worse; give --compare, too")
    old = result.read(compare) if compare is not None else None
    address = addresses.parse(url) if url is not None else None
    settings = _settings(address, **given)
    machine.allow_open_files(settings.connections + SPARE_FILES)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    run = Run(at, url or "own server", machine.environment(""), settings)
    failure: RtdemoError | None = _measure(run, address)
    exceeded, undecided = verdict.check_limits(limits, old, run) if old is not None else ([], [])
    if old is not None:
        run.warnings += verdict.setting_differences(old, run)
    if run.rounds:
        # First the files: what is printed may be read by nobody.
        failure = _keep(run, old, json_file, html_file) or failure
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
    there = address.transports if address is not None else TRANSPORTS
    if transport is not None and address is not None:
        address.stream(transport)
    needed = min(os.cpu_count() or 1, -(-given["connections"] // CONNECTIONS_PER_PROCESS))
    return RunSettings(
        transports=(transport,) if transport else there, processes=processes or needed, **given
    )


def _measure(run: Run, address: Address | None) -> RtdemoError | None:
    """Measure, with progress on a terminal; return what ended it."""
    console = Console(stderr=True)
    with console.status("") as status:

        def progress(what: str, number: int, of: int) -> None:
            status.update(f"{what}, round {number} of {of}" if of else what)

        try:
            asyncio.run(measure(run, address, progress))
        except RtdemoError as error:
            return error
    return None


def _keep(run: Run, old: Run | None, json_file: Path | None, html_file: Path | None) -> FileError | None:
    """Write the files; return what kept one from being written."""
    try:
        if json_file is not None:
            result.write(json_file, msgspec.json.encode(run))
        if html_file is not None:
            result.write(html_file, report.html_page(run, old))
    except FileError as error:
        return error
    return None
