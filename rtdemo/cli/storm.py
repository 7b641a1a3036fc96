"""The command `rtdemo storm`: end a server under many clients, and measure how they come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from rtdemo.cli.progress import with_progress
from rtdemo.cli.request_headers import request_headers
from rtdemo.cli.result_files import FILE, ResultFiles, result_files
from rtdemo.errors import RtdemoError
from rtdemo.lab.bench import machine
from rtdemo.lab.storm import backoff, report, result
from rtdemo.lab.storm.result import Storm, StormSettings
from rtdemo.lab.storm.run import StormRun
from rtdemo.lab.storm.server_process import CommandProcess, RunningProcess, ServerProcess, check_local
from rtdemo.protocol import address as addresses
from rtdemo.protocol.address import Address
from rtdemo.protocol.client import TRANSPORTS, Transport

EXIT_BAD, EXIT_NOT_RUN, EXIT_INTERRUPTED = 1, 2, 130
MAX_CLIENTS = 20_000
MAX_SECONDS = 600.0
SPARE_FILES = 256
"""Open files that are needed besides the clients' connections."""
SIGNALS = {"KILL": "SIGKILL", "TERM": "SIGTERM", "INT": "SIGINT", "HUP": "SIGHUP"}
"""Signals by the name that --signal takes."""


class BackoffType(click.ParamType[str]):
    """The value of --backoff."""

    name = "rule"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the rule's name.

        Raises:
            click.BadParameter: if it is not one; the text names those that exist.
        """
        try:
            return backoff.parse(value).name
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("url")
@click.option(
    "--pid",
    type=click.IntRange(1),
    help="Process id of the server. It must listen on the port of URL. Its supervisor or you start it"
    " again.",
)
@click.option("--command", help="Start the server with this command line, end it, and start it again.")
@click.option(
    "-n",
    "clients",
    type=click.IntRange(1, MAX_CLIENTS),
    default=1000,
    show_default=True,
    help="Number of clients, half of them of each transport.",
)
@click.option(
    "--transport", type=click.Choice(TRANSPORTS), help="Connect only with this transport. Default: both."
)
@click.option(
    "--signal",
    "signal_name",
    type=click.Choice(list(SIGNALS), case_sensitive=False),
    default="KILL",
    show_default=True,
    help="Signal that ends the server. KILL: it dies. TERM, INT: it may end its connections in order."
    " HUP: it replaces its workers, if it has any.",
)
@click.option(
    "--backoff",
    "rule",
    type=BackoffType(),
    help=f"When clients try again: {', '.join(backoff.BACKOFFS)} or fixed:SECONDS. Default:"
    f" {backoff.DEFAULTS['sse']} for SSE, {backoff.DEFAULTS['websocket']} for WebSocket.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, MAX_SECONDS),
    default=30.0,
    show_default=True,
    help="Longest time to measure after the signal. It ends earlier once all clients are back.",
)
@click.option(
    "--restart-after",
    "restart_after_seconds",
    type=click.FloatRange(0, MAX_SECONDS),
    default=0.0,
    show_default=True,
    help="With --command: seconds from the server's end until it is started again.",
)
@click.option(
    "--publish",
    "publish_per_second",
    type=click.FloatRange(0, 100),
    default=0.0,
    show_default=True,
    help="Publish this many messages a second, and check that each client gets them. Only for rtdemo.",
)
@click.option(
    "--server-port",
    type=click.IntRange(1, 65_535),
    help="Port on which the server listens, if URL is that of a proxy before it.",
)
@request_headers
@result_files
@click.option("--compare", type=FILE, help="Show the results of a file written by --json beside these.")
def storm(
    url: str,
    pid: int | None,
    command: str | None,
    transport: Transport | None,
    signal_name: str,
    rule: str | None,
    server_port: int | None,
    headers: dict[str, str],
    files: ResultFiles,
    compare: Path | None,
    **given: Any,
) -> int:
    """End the server at URL while many clients are connected, and measure how they come back.

    Give --pid for a server that runs, or --command to let storm start, end and restart one. URL must be
    on this machine. The clients reconnect as browsers do. storm reports when they are back, the most
    connections in one second, refused attempts, and which messages were lost, repeated, or reported as
    lost. URL may also be one WebSocket (ws://...) or one event stream (http://host/path) of any server.

    Exit code 1 if clients are not back or messages were lost without a notice, 2 if storm cannot run.
    """
    if (pid is None) == (command is None):
        raise click.UsageError("give either --pid or --command: storm ends that server")
    with _not_run():
        before = result.read(compare) if compare is not None else None
        address = addresses.parse(url, headers)
        settings = _settings(address, transport, signal_name, rule, **given)
        files.check()
        machine.allow_open_files(settings.clients + SPARE_FILES)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    found = Storm(at, url, machine.environment(""), settings)
    failure: RtdemoError | None = None
    try:
        _run(found, address, pid, command, server_port or address.port)
    except RtdemoError as error:
        failure = error
        if found.signal_at_seconds is None:
            with _not_run():
                raise
    # Write the files first: printing may fail because the reader of a pipe has gone.
    failure = files.write(found, lambda: report.html_page(found, before)) or failure
    report.print_report(found, before)
    if failure is not None:
        raise failure
    if found.cut_short:
        return EXIT_INTERRUPTED
    return EXIT_BAD if any(one.level == "fail" for one in found.findings) else 0


@contextmanager
def _not_run() -> Iterator[None]:
    """Give an error within the block the exit code that nothing was examined."""
    try:
        yield
    except RtdemoError as error:
        error.exit_code = EXIT_NOT_RUN
        raise


def _settings(
    address: Address, transport: Transport | None, signal_name: str, rule: str | None, **given: Any
) -> StormSettings:
    if transport is not None:
        # Raises if the address has no such transport.
        address.stream(transport)
    transports = (transport,) if transport else address.transports[: given["clients"]]
    return StormSettings(
        transports=transports,
        backoffs={name: rule or backoff.DEFAULTS[name] for name in transports},
        signal=SIGNALS[signal_name],
        **given,
    )


def _run(found: Storm, address: Address, pid: int | None, command: str | None, port: int) -> None:
    with asyncio.Runner(loop_factory=_new_loop()) as runner:
        runner.run(_storm(found, address, pid, command, port))


async def _storm(
    found: Storm, address: Address, pid: int | None, command: str | None, port: int
) -> None:
    """Run a storm, and show what happens."""
    hosts = await check_local(address)
    server: ServerProcess
    if pid is not None:
        # Behind a proxy, the server may have any address.
        server = RunningProcess(pid, port, hosts if port == address.port else ())
    else:
        server = CommandProcess(command or "", address, port)
    console = Console(stderr=True, highlight=False)
    run = StormRun(
        found, address, server, lambda words: console.print(Text(f"rtdemo: {words}"), soft_wrap=True)
    )
    await with_progress(run.run(), lambda: run.state, console)


def _new_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes an event loop: uvloop's if it is installed, for thousands of clients."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
