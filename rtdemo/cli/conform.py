"""`rtdemo conform`: test a server of event streams, or of WebSockets, against the standards."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich.console import Console

from rtdemo.cli import logs
from rtdemo.cli.progress import run_until_signal
from rtdemo.cli.request_headers import request_headers
from rtdemo.lab.conform import report as reports
from rtdemo.lab.conform import websocket as websockets
from rtdemo.lab.conform.check import GROUPS, STREAM, Group
from rtdemo.lab.conform.checks import CHECKS
from rtdemo.lab.conform.exchange import Target
from rtdemo.lab.conform.report import Report
from rtdemo.lab.conform.run import Suite, tls_context
from rtdemo.protocol import address as addresses
from rtdemo.protocol.address import Address
from rtdemo.publisher.server_address import DEFAULT_URL, URL_VARIABLE

EXIT_INTERRUPTED = 130
MAX_SECONDS = 600.0
_IDS = tuple(check.id for check in CHECKS)


def _known_ids(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the ids; a refusal names those that are alike, because all of them are a page."""
    for name in given:
        if name not in _IDS:
            alike = get_close_matches(name, _IDS, cutoff=0.5)
            fix = f"did you mean {', or '.join(alike)}?" if alike else "--all prints all ids"
            raise click.BadParameter(f"there is no check {name!r}; {fix}")
    return given


@click.command()
@click.argument("url", envvar=URL_VARIABLE, default=DEFAULT_URL)
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
    "--only",
    multiple=True,
    type=click.Choice(GROUPS),
    metavar="GROUP",
    help=f"Test only this group. May be given several times. Groups: {', '.join(GROUPS)}.",
)
@click.option(
    "--ignore",
    "ignored",
    multiple=True,
    callback=_known_ids,
    metavar="ID",
    help="Leave out the check with this id. May be given several times.",
)
@click.option("--strict", "is_strict", is_flag=True, help="Fail also where a SHOULD is not kept.")
@click.option("--all", "shows_all", is_flag=True, help="Print a line for each check.")
@click.option(
    "--websocket",
    is_flag=True,
    help="Test the WebSocket at URL by the cases of Autobahn. It must echo. Needs rtdemo[conform].",
)
@click.option(
    "--case",
    "cases",
    multiple=True,
    metavar="CASE",
    help="With --websocket: run only these cases, such as 7.1.1 or '7.*'. May be given several times.",
)
@request_headers
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def conform(
    url: str,
    websocket: bool,
    cases: tuple[str, ...],
    is_strict: bool,
    ignored: tuple[str, ...],
    shows_all: bool,
    headers: dict[str, str],
    as_json: bool,
    **given: object,
) -> int:
    """Test the event stream at URL, of any server, against the standards.

    Each check cites its clause: WHATWG HTML section 9.2, RFC 9110, 9111 or 9112. Its level is MUST,
    SHOULD, or advice (ours). Prints a table, and each fault with what was sent, what was seen, and a
    fix. A run opens the stream about 60 times. Exit code 1 if a MUST is not kept, 2 if there is
    nothing to test or no event came. Without URL, RTDEMO_URL is used, or else http://localhost:3000.
    """
    logs.setup("error", "text")
    address = addresses.parse(url, headers)
    started = time.monotonic()
    if websocket or "sse" not in address.streams:
        report, is_whole = _websocket(address, cases)
    elif cases:
        raise click.UsageError("--case needs --websocket, or an address such as ws://host/echo")
    else:
        suite = _suite(address, **given)  # type: ignore[arg-type]  # flags, as click checked them
        is_whole = _run(suite.run(), lambda: suite.state)
        if STREAM not in suite.evidence.exchanges:
            raise KeyboardInterrupt
        report = reports.judge(suite.evidence, suite.checks, is_strict, ignored)
    report.duration_seconds = round(time.monotonic() - started, 1)
    report.is_whole = is_whole
    _print(report, as_json, shows_all)
    return report.exit_code if is_whole else EXIT_INTERRUPTED


def _suite(address: Address, seconds: float, method: str, data: str, only: tuple[Group, ...]) -> Suite:
    if not method.isascii() or not method.isalpha():
        raise click.BadParameter(f"{method!r} is no method", param_hint="--method")
    url = address.stream("sse")
    content, kind = _content(data)
    headers = {"Content-Type": kind, **address.headers} if content else address.headers
    return Suite(Target(url, method.upper(), content, headers, tls_context(url)), seconds, only)


def _websocket(address: Address, cases: tuple[str, ...]) -> tuple[Report, bool]:
    """Return the report on a WebSocket, and whether the run was not interrupted."""
    if address.headers:
        raise click.UsageError("the cases of --websocket cannot send --header or --token")
    url = address.stream("websocket")
    report = Report(url if urlsplit(url).path else f"{url}/")
    report.count()
    states = [""]
    examination = websockets.examine(report.url, cases, report, states.append)
    return report, _run(examination, lambda: states[-1])


def _run(run: Coroutine[Any, Any, None], state: Callable[[], str]) -> bool:
    """Run, and show the state; return whether neither Ctrl-C nor SIGTERM ended it."""
    started = time.monotonic()

    def progress() -> str:
        return f"{state()}; {time.monotonic() - started:.0f} s so far" if state() else ""

    try:
        run_until_signal(run, progress)
    except (asyncio.CancelledError, KeyboardInterrupt):
        return False
    return True


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


def _print(report: Report, as_json: bool, shows_all: bool) -> None:
    if as_json:
        click.echo(report.json())
        return
    console = Console(highlight=False, soft_wrap=True)
    for line in reports.lines(report, shows_all):
        console.print(line)
