"""The command `rtdemo tail`: print a server's messages in the terminal."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from typing import Literal

import click

from rtdemo.cli.request_headers import request_headers
from rtdemo.client.message import Message
from rtdemo.client.stream import Stream, connect
from rtdemo.errors import printable
from rtdemo.hub.past import read_past
from rtdemo.hub.selection import SelectionError
from rtdemo.protocol import address as addresses
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.publisher.server_address import DEFAULT_URL, URL_VARIABLE


def _checked_rewind(
    _context: click.Context, _parameter: click.Parameter, given: str | None
) -> str | None:
    """Return the time as given; it is checked here, as each transport would be refused for itself."""
    if given is not None:
        try:
            read_past({"rewind": given})
        except SelectionError as error:
            raise click.UsageError(f"--{error}") from error
    return given


@click.command()
@click.argument("url", envvar=URL_VARIABLE, default=DEFAULT_URL)
@click.option(
    "--transport",
    type=click.Choice((*TRANSPORTS, "auto")),
    help="Transport to use; auto is WebSocket, and SSE where that does not work. Default: sse; for a"
    " ws:// address, websocket.",
)
@click.option("--producers", help="Print only these producers, separated by commas. Default: all.")
@click.option(
    "--rewind",
    metavar="TIME",
    callback=_checked_rewind,
    help="Begin with the shared messages of this time, such as 30s, 10m or 2h, that the log still has.",
)
@click.option("--latest", is_flag=True, help="Begin with the newest message of each shared producer.")
@request_headers
@click.option("--json", "as_json", is_flag=True, help="Print each message unchanged, one per line.")
def tail(
    url: str,
    transport: Transport | Literal["auto"] | None,
    producers: str | None,
    rewind: str | None,
    latest: bool,
    headers: dict[str, str],
    as_json: bool,
) -> int:
    """Print the messages of the server at URL as they arrive, until Ctrl-C.

    When the connection breaks, tail reconnects, resumes after the last message, and reports this on
    standard error. URL may also be one WebSocket (ws://...) or one event stream (http://host/path)
    of any server. Without it, RTDEMO_URL is used, or else http://localhost:3000.
    """
    stream = connect(
        url,
        transport=transport or addresses.parse(url).transports[-1],
        producers=producers,
        latest=latest,
        rewind=rewind,
        headers=headers,
        with_reports=True,
        report=_report,
    )
    asyncio.run(_print_messages(stream, as_json))
    return 0


async def _print_messages(stream: Stream, as_json: bool) -> None:
    async with stream:
        async for message in stream:
            line = " ".join(message.text.splitlines()) if as_json else format_line(message)
            print(line, flush=True)


def _report(sentence: str) -> None:
    print(f"rtdemo: {sentence}", file=sys.stderr, flush=True)


def format_line(message: Message) -> str:
    """Return a message as one line for a terminal: time of day, producer, text.

    Arguments:
        message: a text that is not of rtdemo is returned alone. Control characters are escaped.
    """
    try:
        at = datetime.fromtimestamp(message.sent_at / 1000).isoformat(" ", "milliseconds")[11:]
    except (ValueError, OverflowError, OSError):
        at = ""
    if not message.is_readable or not at:
        return printable(message.text)
    return f"{at}  {printable(message.producer):<12}  {printable(message.message)}"
