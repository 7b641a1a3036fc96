"""Publish from the command line or a pipe."""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from contextlib import suppress
from http.client import HTTPException, IncompleteRead
from ipaddress import ip_address
from itertools import count
from urllib.parse import urlsplit
from uuid import uuid4

import click

from rtdemo.errors import PublishError, one_line

TIMEOUT = 10.0
TRIES = 5
"""Tries of a single message; a line of a pipe, of which more may follow, is tried until it is taken."""
LAST_PAUSE = 5.0
"""Seconds between two tries at the most; they begin with a half and double."""
_LATER = (429, 502, 503, 504)
_REFUSED = "the message was not taken"
_MEND = f"{_REFUSED}, as far as is known"


class _AwayError(Exception):
    """Say that a server may take the same message later."""


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
    the same idempotency key, so that none comes twice: five times, a line of standard input until
    it is taken.
    """
    token = token or os.environ.get("RTDEMO_PUBLISH_TOKEN", "")
    address = _address(url)
    is_pipe = text == "-"
    for line in _lines() if is_pipe else [text]:
        body = json.dumps({"message": line, "producer": producer}).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(address, body, headers)  # noqa: S310 - http and https alone
        click.echo(_patiently(url, request, None if is_pipe else TRIES))


def _lines() -> Iterable[str]:
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]  # it is a TextIOWrapper
    return (line.rstrip("\r\n") for line in sys.stdin if line.strip())


def _address(url: str) -> str:
    """Return where to publish.

    Raises:
        PublishError: when the URL is none of a server.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            parts.hostname.encode("idna")
            return f"{url.rstrip('/')}/api/publish"
    except ValueError:
        pass
    raise PublishError(url, "is no address of a server", "give http://host:port")


def _patiently(url: str, request: urllib.request.Request, tries: int | None) -> str:
    """Post a message, again and again under its key, until it is taken; return its position.

    Raises:
        PublishError: when the server refuses it, or does not take it in so many tries.
    """
    for number in count(1):
        try:
            return _post(url, request, is_first=number == 1)
        except _AwayError as error:
            if number == tries:
                raise PublishError(url, str(error), _MEND) from error
            if number == 1 and tries is None:
                click.echo(f"rtdemo: {url} {error}; trying again until it is taken", err=True)
        time.sleep(min(2 ** min(number, 10) / 4, LAST_PAUSE))
    raise AssertionError  # pragma: no cover - it counts for ever


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Return what asks, through the environment's proxy, which would not reach this machine."""
    host = urlsplit(url).hostname or ""
    try:
        is_here = ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost"
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if is_here else []))


def _post(url: str, request: urllib.request.Request, is_first: bool) -> str:
    try:
        with _opener(url).open(request, timeout=TIMEOUT) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        with suppress(OSError, HTTPException):
            error.msg = error.read(500).decode(errors="replace").strip()
        problem = f"answered {error.code}: {error.msg}"
        if error.code in _LATER:
            raise _AwayError(problem) from error
        # Certain, unless an earlier try had arrived.
        is_refused = is_first and 400 <= error.code < 500
        raise PublishError(url, problem, _REFUSED if is_refused else _MEND) from error
    except (OSError, IncompleteRead) as error:
        cause = getattr(error, "reason", error)
        problem = str(cause or error) or type(cause).__name__
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise PublishError(url, problem, _MEND) from error
        raise _AwayError(problem) from error
    except (HTTPException, ValueError) as error:
        problem = f"cannot be asked over HTTP: {one_line(error)}"
        raise PublishError(url, problem, _MEND) from error
    try:
        return str(json.loads(text)["positions"][0])
    except (ValueError, LookupError, TypeError) as error:
        raise PublishError(url, "answered something else than positions", _MEND) from error
