"""The command `rtdemo bench`: measure a server's transports."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.text import Text

from rtdemo.cli.progress import with_progress
from rtdemo.cli.request_headers import request_headers
from rtdemo.cli.result_files import FILE, ResultFiles, result_files
from rtdemo.errors import FileError, RtdemoError
from rtdemo.lab.bench import machine, regression, report, run_file, verdict
from rtdemo.lab.bench.advice import MAX_CONNECTIONS, MAX_ROUNDS, MAX_SPEED, max_rounds
from rtdemo.lab.bench.comparison import MIN_ROUNDS
from rtdemo.lab.bench.progress import Progress, expected_round_s
from rtdemo.lab.bench.protocol import MAX_BODY_BYTES
from rtdemo.lab.bench.regression import RegressionLimit
from rtdemo.lab.bench.result import Run, RunSettings
from rtdemo.lab.bench.run import measure
from rtdemo.lab.bench.summary import summarize
from rtdemo.protocol import address as addresses
from rtdemo.protocol.address import Address
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.protocol.message import DECODE_ERRORS

EXIT_REGRESSION, EXIT_FAILED, EXIT_UNDECIDED, EXIT_INTERRUPTED = 1, 2, 3, 130
MAX_SECONDS = 600.0
MAX_PROCESSES = 64
CONNECTIONS_PER_PROCESS = 2000
"""Connections that one worker can read without becoming the bottleneck."""
MIN_LEFT_S = 5.0
"""With less time left, a pipe gets no further line of progress."""
SPARE_FILES = 256
"""Open files that are needed besides the connections."""


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
            return value if isinstance(value, RegressionLimit) else regression.parse_limit(value)
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
    help="Rounds of each transport; the transports take turns. Default: 3, and more while it is not"
    " decided which transport is faster, for about five minutes at the most.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.1, MAX_SPEED),
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
@click.option(
    "--post",
    "body_file",
    type=FILE,
    help="Send this file, such as body.json, in a POST request for the event stream at URL. Each"
    " connection repeats its request when the response is complete.",
)
@result_files
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
    body_file: Path | None,
    files: ResultFiles,
    compare: Path | None,
    limits: tuple[RegressionLimit, ...],
    headers: dict[str, str],
    **given: Any,
) -> int:
    """Compare WebSocket and SSE of the server at URL; without URL, start a server and measure it.

    The first line of the report is the answer. URL may also be one WebSocket (ws://...) or one event
    stream (http://host/path) of any server. Latency needs `sentAt` in the messages. It is measured from
    the time at which a message was due, which also shows stalls of the server, and from `sentAt`. If
    there is no `sentAt`, the gaps between messages are measured. Ctrl-C ends the run and reports what
    was measured until then. Exit code: 1 if a limit of --fail-if is exceeded, 2 if nothing could be
    measured.
    """
    if limits and compare is None:
        raise click.UsageError("--fail-if compares with an earlier run; give --compare, too")
    _check_post(url, body_file, **given)
    try:
        body = _read_body(body_file, headers) if body_file is not None else None
        files.check()
        old = run_file.read(compare) if compare is not None else None
        address = _address(url, headers, is_post=body is not None) if url is not None else None
        settings = _settings(address, body, **given)
        machine.allow_open_files(settings.connections + SPARE_FILES)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        target = url or "own server"
        run = Run(at=at, target=target, environment=machine.environment(""), settings=settings)
        failure = _measure(run, address, body)
        return _conclude(run, old, limits, files, failure)
    except RtdemoError as error:
        error.exit_code = EXIT_FAILED
        raise


def _check_post(url: str | None, body_file: Path | None, **given: Any) -> None:
    """Raise an error for flags that do not go with --post."""
    if body_file is None:
        return
    if url is None:
        raise click.UsageError("--post needs the URL of an event stream")
    if given["transport"] == "websocket":
        raise click.UsageError("--post is for SSE only")
    if given["producers"] or given["speed"] != 1:
        raise click.UsageError("--producers and --speed are for rtdemo servers, without --post")


def _read_body(file: Path, headers: dict[str, str]) -> bytes:
    """Return the body of the requests.

    Raises:
        FileError: if it cannot be read, is too long, or should be JSON and is not.
    """
    if file.exists() and not file.is_file():
        raise FileError(file, "is not a regular file; give a file with the body of the request")
    try:
        with file.open("rb") as opened:
            body = opened.read(MAX_BODY_BYTES + 1)
    except OSError as error:
        raise FileError(file, f"cannot be read: {error.strerror or error}") from error
    if len(body) > MAX_BODY_BYTES:
        raise FileError(file, f"is over {MAX_BODY_BYTES >> 10} KiB, too long for the body of a request")
    if not any(name.lower() == "content-type" for name in headers):
        try:
            msgspec.json.decode(body)
        except DECODE_ERRORS as error:
            problem = f"is not JSON: {error}; for another type, give --header 'Content-Type: ...'"
            raise FileError(file, problem) from error
    return body


def _address(url: str, headers: dict[str, str], is_post: bool) -> Address:
    found = addresses.parse(url, headers)
    if not is_post:
        return found
    if found.is_whole:
        # A path with a slash at the end is a stream, too.
        streams: dict[Transport, str] = {"sse": f"{found.origin}{found.base_path}/"}
        return replace(found, is_whole=False, base_path="", streams=streams)
    # Raises if it is a WebSocket.
    found.stream("sse")
    return found


def _settings(
    address: Address | None,
    body: bytes | None,
    transport: Transport | None,
    processes: int | None,
    rounds: int | None,
    **given: Any,
) -> RunSettings:
    available = address.transports if address is not None else TRANSPORTS
    if transport is not None and address is not None:
        # Raises if the address has no such transport.
        address.stream(transport)
    needed = min(os.cpu_count() or 1, -(-given["connections"] // CONNECTIONS_PER_PROCESS))
    transports: tuple[Transport, ...] = (transport,) if transport else available
    longest = max_rounds(expected_round_s(given["seconds"]), len(transports))
    return RunSettings(
        transports=transports,
        rounds=rounds or MIN_ROUNDS,
        max_rounds=rounds or longest,
        processes=processes or needed,
        body_bytes=None if body is None else len(body),
        **given,
    )


def _measure(run: Run, address: Address | None, body: bytes | None) -> RtdemoError | None:
    """Measure, with progress on standard error; return the error that ended it."""
    console = Console(stderr=True)
    # The memory of bench's own server is measured first.
    progress = Progress(run.settings, len(run.settings.transports) if address is None else 0)

    def words() -> str:
        return str(progress) if console.is_terminal or progress.left_s >= MIN_LEFT_S else ""

    def report(sentence: str) -> None:
        console.print(Text(f"rtdemo: {sentence}"), soft_wrap=True)

    try:
        measuring = measure(run, address, progress.begin, body, report)
        asyncio.run(with_progress(measuring, words, console))
    except RtdemoError as error:
        return error
    return None


def _conclude(
    run: Run,
    old: Run | None,
    limits: tuple[RegressionLimit, ...],
    files: ResultFiles,
    failure: RtdemoError | None,
) -> int:
    """Compare, write the files, print the report; return the exit code."""
    exceeded, undecided = regression.check_limits(limits, old, run) if old is not None else ([], [])
    if old is not None:
        run.warnings += regression.setting_differences(old, run)
    if run.rounds:
        comparison = verdict.transport_comparison(run)
        run.verdicts = verdict.verdicts(run, old, comparison)
        run.headline = run.verdicts[0].sentence
        run.summary = summarize(run, comparison)
        # Write the files first: printing may fail because the reader of a pipe has gone.
        failure = files.write(run, lambda: report.html_page(run, comparison)) or failure
        report.print_report(run, comparison)
    if failure is not None:
        raise failure
    for sentence in (*exceeded, *undecided):
        click.echo(f"rtdemo: {sentence}", err=True)
    if run.cut_short:
        return EXIT_INTERRUPTED
    return EXIT_REGRESSION if exceeded else EXIT_UNDECIDED if undecided else 0
