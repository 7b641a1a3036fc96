"""Publish from the command line or a pipe."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from uuid import uuid4

import click

from rtdemo.errors import PublishError

TIMEOUT = 10.0
TRIES = 5
_LATER = (429, 502, 503, 504)


@click.command()
@click.argument("text")
@click.option(
    "--to", "url", default="http://localhost:3000", show_default=True, help="Address of the server."
)
@click.option("--producer", default="publish", show_default=True, help="Name that the messages carry.")
@click.option("--token", default="", help="Publish token. [RTDEMO_PUBLISH_TOKEN]")
def publish(text: str, url: str, producer: str, token: str) -> None:
    """Publish TEXT to everyone who is connected; - reads lines from standard input as they come.

    Prints the position of each message. A message that may not have arrived is sent again under
    the same idempotency key, so that none comes twice.
    """
    token = token or os.environ.get("RTDEMO_PUBLISH_TOKEN", "")
    for line in _lines() if text == "-" else [text]:
        click.echo(post(url, token, {"message": line, "producer": producer}))


def _lines() -> Iterable[str]:
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]  # it is a TextIOWrapper
    return (line.rstrip("\r\n") for line in sys.stdin if line.strip())


def post(url: str, token: str, publication: dict[str, str]) -> str:
    """Post one message until it is taken; return its position.

    Raises:
        PublishError: when the server refuses it, or does not take it in five tries.
    """
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    address = f"{url.rstrip('/')}/api/publish"
    if not address.startswith(("http://", "https://")):
        raise PublishError(url, "is no address of a server", "give http://host:port")
    body = json.dumps(publication).encode()
    request = urllib.request.Request(address, body, headers)  # noqa: S310 - http and https alone
    for number in range(TRIES):
        if number:
            time.sleep(min(2**number / 4, 2.0))
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - as above
                return str(json.load(answer)["positions"][0])
        except urllib.error.HTTPError as error:
            problem = f"answered {error.code}: {error.read(500).decode(errors='replace').strip()}"
            if error.code not in _LATER:
                break
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = str(getattr(error, "reason", error) or error)
            if isinstance(error, (ValueError, KeyError, TypeError)):
                problem = "answered something else than positions"
                break
    raise PublishError(url, problem, "the message was not taken, as far as is known")
