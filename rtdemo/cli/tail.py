"""The command `rtdemo tail`: print a server's messages in the terminal."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from datetime import datetime

import aiohttp
import click
import msgspec

from rtdemo.cli.request_headers import request_headers
from rtdemo.errors import printable
from rtdemo.lab import address as addresses
from rtdemo.lab.address import Address
from rtdemo.lab.follow import Follower, stop_at_redirects
from rtdemo.lab.request_headers import middlewares
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.protocol.message import DECODE_ERRORS, Message


@click.command()
@click.argument("url", default="http://localhost:3000")
@click.option(
    "--transport",
    type=click.Choice(TRANSPORTS),
    help="Transport to use. Default: sse; for a ws:// address, websocket.",
)
@click.option("--producers", help="Print only these producers, separated by commas. Default: all.")
@request_headers
@click.option("--json", "as_json", is_flag=True, help="Print each message unchanged, one per line.")
def tail(
    url: str, transport: Transport | None, producers: str | None, headers: dict[str, str], as_json: bool
) -> int:
    """Print the messages of the server at URL as they arrive, until Ctrl-C.

    When the connection breaks, tail reconnects, resumes after the last message, and reports this on
    standard error. URL may also be one WebSocket (ws://...) or one event stream (http://host/path)
    of any server.
    """
    address = addresses.parse(url, headers)
    chosen = transport or address.transports[-1]
    asyncio.run(_print_messages(address, chosen, producers, as_json))
    return 0


async def _print_messages(
    address: Address, transport: Transport, producers: str | None, as_json: bool
) -> None:
    timeout = aiohttp.ClientTimeout(total=None)
    around = (*middlewares(address), stop_at_redirects)
    async with aiohttp.ClientSession(timeout=timeout, middlewares=around) as http:
        follower = Follower(http, address, transport, producers, _report)
        async with aclosing(follower.texts()) as texts:
            async for text in texts:
                print(" ".join(text.splitlines()) if as_json else format_line(text), flush=True)


def _report(sentence: str) -> None:
    print(f"rtdemo: {sentence}", file=sys.stderr, flush=True)


def format_line(text: str) -> str:
    """Return a message as one line for a terminal: time of day, producer, text.

    Arguments:
        text: JSON of the message. Other text is returned with control characters escaped.
    """
    try:
        message = msgspec.json.decode(text, type=Message)
        at = datetime.fromtimestamp(message.sent_at / 1000).isoformat(" ", "milliseconds")[11:]
    except (*DECODE_ERRORS, ValueError, OverflowError, OSError):
        return printable(text)
    return f"{at}  {printable(message.producer):<12}  {printable(message.message)}"
