"""`rtdemo conform`: test a server of event streams against the standards."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path

import click
from rich.console import Console

from rtdemo.cli import logs
from rtdemo.cli.request_headers import request_headers
from rtdemo.lab import address as addresses
from rtdemo.lab.conform import report as reports
from rtdemo.lab.conform.check import GROUPS, STREAM, Group
from rtdemo.lab.conform.checks import CHECKS
from rtdemo.lab.conform.exchange import Target
from rtdemo.lab.conform.run import Suite, tls_context

EXIT_INTERRUPTED = 130
MAX_SECONDS = 600.0
_IDS = tuple(check.id for check in CHECKS)


@click.command()
@click.argument("url", default="http://localhost:3000")
@click.option(
    "--seconds",
    type=click.FloatRange(1, MAX_SECONDS),
    default=35.0,
    show_default=True,
    help="How long to read the stream. Below 30, silence is not tested.",
)
@click.option("--method", default="GET", show_default=True, help="Method of the request for the stream.")
@click.option("--data", default="", help="Content of the request; @FILE reads it from a file.")
@click.option(
    "--only", multiple=True, type=click.Choice(GROUPS), help="Test only this group; repeatable."
)
@click.option(
    "--ignore", multiple=True, type=click.Choice(_IDS), metavar="ID", help="Leave out this check."
)
@click.option("--strict", is_flag=True, help="Fail also if a SHOULD is not kept.")
@click.option("--all", "shows_all", is_flag=True, help="Print a line for each check.")
@request_headers
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def conform(
    url: str,
    seconds: float,
    method: str,
    data: str,
    only: tuple[Group, ...],
    ignore: tuple[str, ...],
    strict: bool,
    shows_all: bool,
    headers: dict[str, str],
    as_json: bool,
) -> int:
    """Test the event stream at URL, of any server, against the standards.

    Each check cites its clause: WHATWG HTML section 9.2, RFC 9110, 9111 or 9112. Its level is MUST,
    SHOULD or advice (ours). Prints a table, and each fault with what was sent, what was seen, and a
    fix. It makes about 60 requests for the stream. Exit code 1 if a MUST is not kept, 2 if there is no
    stream to test.
    """
    logs.setup("error", "text")
    address = addresses.parse(url, headers)
    stream = address.stream("sse")
    content, kind = _content(data)
    if content:
        headers = {"Content-Type": kind, **headers}
    target = Target(stream, method.upper(), content, headers, tls_context(stream))
    started = time.monotonic()
    is_whole = True
    with Console(stderr=True).status("") as status:
        suite = Suite(target, seconds, only, status.update)
        try:
            asyncio.run(_run(suite))
        except (asyncio.CancelledError, KeyboardInterrupt):
            is_whole = False
    if STREAM not in suite.evidence.exchanges:
        raise KeyboardInterrupt
    report = reports.judge(suite.evidence, suite.checks, strict, ignore)
    report.duration_seconds = round(time.monotonic() - started, 1)
    report.is_whole = is_whole
    _print(report, as_json, shows_all)
    return report.exit_code if is_whole else EXIT_INTERRUPTED


async def _run(suite: Suite) -> None:
    """Run; SIGTERM ends the run as Ctrl-C does."""
    task = asyncio.ensure_future(suite.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


def _content(data: str) -> tuple[bytes, str]:
    """Return the content of the request, and its media type."""
    if data.startswith("@"):
        try:
            content = Path(data[1:]).read_bytes()
        except OSError as error:
            raise click.BadParameter(f"{data[1:]}: {error.strerror}", param_hint="--data") from error
    else:
        content = data.encode(errors="surrogateescape")
    try:
        json.loads(content)
    except ValueError:
        return content, "text/plain; charset=utf-8"
    return content, "application/json"


def _print(report: reports.Report, as_json: bool, shows_all: bool) -> None:
    if as_json:
        click.echo(report.json())
        return
    console = Console(highlight=False, soft_wrap=True)
    for line in reports.lines(report, shows_all):
        console.print(line)
