"""`rtdemo doctor`: check the proxies between here and a server."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import click
from rich.console import Console

from rtdemo.cli import flags_from_settings, logs
from rtdemo.cli.progress import run_until_signal
from rtdemo.cli.request_headers import request_headers
from rtdemo.cli.token_stream import token_stream_options
from rtdemo.lab.doctor.report import Report
from rtdemo.lab.doctor.run import examine
from rtdemo.plugin_system.checks import Check
from rtdemo.plugin_system.discovery import discover
from rtdemo.plugin_system.manager import PluginManager
from rtdemo.protocol import address as addresses
from rtdemo.publisher.server_address import DEFAULT_URL, URL_VARIABLE
from rtdemo.settings.settings import Settings, load


@click.command()
@click.argument("url", envvar=URL_VARIABLE, default=DEFAULT_URL)
@flags_from_settings.FILES
@click.option(
    "--idle",
    type=click.IntRange(1, 590),
    default=75,
    show_default=True,
    help="Seconds without a message in which to look for a cut; a run takes about as long.",
)
@click.option(
    "--via",
    multiple=True,
    metavar="URL",
    help="The same server at an inner address, past its outermost proxy. The same checks run there, and"
    " the report names the two addresses between which a fault begins. May be given several times, from"
    " the outside to the inside.",
)
@request_headers
@token_stream_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@flags_from_settings.options(["plugins_dir", "without"])
def doctor(
    url: str,
    files: tuple[Path, ...],
    idle: int,
    via: tuple[str, ...],
    headers: dict[str, str],
    as_json: bool,
    **given: object,
) -> int:
    """Check your proxy for both transports, and print fixes.

    Tests WebSocket and SSE through all proxies before the server at URL, as a browser would: over
    HTTP/1.1 (h1), and over HTTP/2 (h2) where the server offers it. Prints one line for each check,
    including those of plugins: ok, warn or fail, and what was seen. Under each fault it prints the fix
    for the detected proxy. Exit code 1 if a check fails, 2 if neither
    transport could be checked. URL may also be a single WebSocket (ws://...) or event stream
    (http://host/path) of any server. Without it, RTDEMO_URL is used, or else http://localhost:3000.
    """
    settings = load(given, os.environ)
    flags_from_settings.check_files(files)
    logs.setup("error", "text")
    address = addresses.parse(url, headers)
    inner = [(each, addresses.parse(each, headers)) for each in via]
    report = Report(url)
    checks = _checks(settings, files)
    started, count = time.monotonic(), (0, 0)

    def note(done: int, total: int) -> None:
        nonlocal count
        count = done, total

    def progress() -> str:
        done, total = count
        words = f"{done} of {total} checks done; " if total else ""
        return f"{words}{time.monotonic() - started:.0f} s so far, the idle checks take {idle} s"

    try:
        run_until_signal(examine(address, inner, idle, checks, report, note), progress)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        # After Ctrl-C and SIGTERM, with the findings so far.
        _print(report, as_json)
    return report.exit_code


def _checks(settings: Settings, files: tuple[Path, ...]) -> list[Check]:
    """Return the checks of all plugins except those that --without names."""
    sources, _ = discover(settings.plugins_dir, files)
    manager = PluginManager(lambda: 0.0)
    for error in manager.load(s for s in sources if s.name not in settings.without):
        click.echo(f"rtdemo: {error}; it is left out", err=True)
    return [check for _, check in manager.hooks.checks()]


def _print(report: Report, as_json: bool) -> None:
    if as_json:
        click.echo(report.json())
        return
    console = Console(highlight=False, soft_wrap=True)
    for line in report.lines():
        console.print(line)
