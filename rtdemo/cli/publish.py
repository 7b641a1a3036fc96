"""The command `rtdemo publish`: publish one message, or each line of standard input."""

from __future__ import annotations

import json
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

from rtdemo.errors import PublishError, network_reason, one_line, printable
from rtdemo.protocol.values import to_json
from rtdemo.publisher import server_address
from rtdemo.publisher.publication import encode, warn_of_null
from rtdemo.publisher.server_address import DEFAULT_URL, URL_VARIABLE

REQUEST_TIMEOUT_S = 10.0
"""Seconds for one request."""
MAX_TRIES = 5
"""Tries for a single message. A line of standard input is tried until the server accepts it."""
MAX_PAUSE_S = 5.0
"""Longest pause between two tries; the first is half a second, and each further one twice as long."""
MAX_SHOWN_CHARS = 80
"""Characters of a text that an error shows."""
RETRY_STATUSES = (429, 502, 503, 504)
"""HTTP statuses after which a later try may succeed."""
NOT_ACCEPTED = "the message was not accepted"
MAYBE_ACCEPTED = "the message may not have been accepted"


class _RetryableError(Exception):
    """A try failed, and a later one may succeed."""


@click.command()
@click.argument("text")
@click.option(
    "--to",
    "url",
    envvar=URL_VARIABLE,
    default=DEFAULT_URL,
    show_default=True,
    help="URL of the server. [RTDEMO_URL]",
)
@click.option("--producer", default="publish", show_default=True, help="Producer name of the messages.")
@click.option("--token", default="", help="Publish token of the server. [RTDEMO_PUBLISH_TOKEN]")
@click.option("--value", "form", flag_value="value", help="TEXT is a value as JSON, such as 0.12.")
@click.option(
    "--json",
    "form",
    flag_value="json",
    help='TEXT is a message as JSON, such as \'{"producer": "loss", "value": 0.12}\'.',
)
def publish(text: str, url: str, producer: str, token: str, form: str | None) -> int:
    """Publish TEXT to all connected clients. If TEXT is -, publish each line of standard input.

    It prints the position of each message in the log. If the server may not have received a message, it
    is sent again with the same idempotency key, so it does not arrive twice within ten minutes. A single
    message is tried five times, a line of standard input until the server accepts it.
    """
    token = server_address.token_of(token or None)
    server_address.parse(url)
    address = f"{url.rstrip('/')}/api/publish"
    is_pipe = text == "-"
    left_out = 0
    for number, line in enumerate(_lines() if is_pipe else [text], 1):
        try:
            body = _body(line, producer, form)
        except ValueError as error:
            if not is_pipe:
                raise click.UsageError(f"TEXT is {error}") from error
            click.echo(f"rtdemo: line {number} is {error}; it is left out", err=True)
            left_out += 1
            continue
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(address, body, headers)  # noqa: S310 - only http and https
        click.echo(_publish(url, request, None if is_pipe else MAX_TRIES))
    return 1 if left_out else 0


def _body(text: str, producer: str, form: str | None) -> bytes:
    """Return the body of a request.

    Arguments:
        text: as the user gave it.
        producer: the name to publish under.
        form: what the text is: `value`, `json`, or None for the message itself.

    Raises:
        ValueError: if it is not such JSON.
    """
    if form is None:
        return json.dumps({"message": text, "producer": producer}).encode()
    try:
        given = json.loads(text)
    except ValueError as error:
        example = "0.12" if form == "value" else '{"value": 0.12}'
        raise ValueError(f"not JSON, such as {example}: {printable(text[:MAX_SHOWN_CHARS])}") from error
    if form == "value":
        return encode(producer, given)[0]
    if not isinstance(given, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - it is about the text
    body, nulls = to_json({"producer": producer, **given})
    if nulls:
        warn_of_null(body["producer"])
    return json.dumps(body).encode()


def _lines() -> Iterable[str]:
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]  # it is a TextIOWrapper
    return (line.rstrip("\r\n") for line in sys.stdin if line.strip())


def _publish(url: str, request: urllib.request.Request, tries: int | None) -> str:
    """Post a message until the server accepts it, always with the same key; return its position.

    Arguments:
        url: URL of the server, for errors.
        request: the request, with the idempotency key.
        tries: number of tries; None for no limit.

    Raises:
        PublishError: if the server refuses the message, or accepts it in none of the tries.
    """
    for number in count(1):
        try:
            return _post(url, request, is_first=number == 1)
        except _RetryableError as error:
            if number == tries:
                raise PublishError(url, str(error), MAYBE_ACCEPTED) from error
            if number == 1 and tries is None:
                click.echo(
                    f"rtdemo: {url} {error}; trying again until the server accepts the message", err=True
                )
        time.sleep(min(2 ** min(number, 10) / 4, MAX_PAUSE_S))
    raise AssertionError  # pragma: no cover - count() never ends


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Report a redirect instead of following it: urllib would send the token to any other host."""

    def redirect_request(self, *_arguments: object) -> None:
        """Return no request, so that the answer is an error."""


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Return an opener that uses the proxy of the environment, except for this machine."""
    host = urlsplit(url).hostname or ""
    try:
        is_here = ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost"
    proxy = [urllib.request.ProxyHandler({})] if is_here else []
    return urllib.request.build_opener(_NoRedirect, *proxy)


def _post(url: str, request: urllib.request.Request, is_first: bool) -> str:
    try:
        with _opener(url).open(request, timeout=REQUEST_TIMEOUT_S) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        with suppress(OSError, HTTPException):
            error.msg = error.read(500).decode(errors="replace").strip()
        problem = f"answered {error.code}: {error.msg}"
        if 300 <= error.code < 400:
            there = printable(error.headers.get("Location", "nowhere")[:200])
            problem = f"redirects to {there}; give the address of that server with --to"
        if error.code in RETRY_STATUSES:
            raise _RetryableError(problem) from error
        # An earlier try may have been accepted, so only the first refusal is certain.
        is_refused = is_first and 300 <= error.code < 500
        raise PublishError(url, problem, NOT_ACCEPTED if is_refused else MAYBE_ACCEPTED) from error
    except (OSError, IncompleteRead) as error:
        cause = getattr(error, "reason", error)
        if not isinstance(cause, BaseException):  # `ssl` has a text there
            cause = error
        problem = f"cannot be reached: {network_reason(cause)}"
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise PublishError(url, problem, MAYBE_ACCEPTED) from error
        raise _RetryableError(problem) from error
    except (HTTPException, ValueError) as error:
        problem = f"does not work over HTTP: {one_line(error)}"
        raise PublishError(url, problem, MAYBE_ACCEPTED) from error
    try:
        return str(json.loads(text)["positions"][0])
    except (ValueError, LookupError, TypeError) as error:
        raise PublishError(url, "did not answer with a position", MAYBE_ACCEPTED) from error
