"""Publish a request's body line by line, as it arrives: newline-delimited JSON, of any length."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
from aiohttp import StreamReader, hdrs, web

from rtdemo.engine.interface import Draft, check_draft
from rtdemo.errors import OverLimit, Refused
from rtdemo.hub.hub import Hub
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.publisher.waiting import MAX_BATCH
from rtdemo.web.admission import RETRY_SOON
from rtdemo.web.app_keys import HUB, SETTINGS
from rtdemo.web.client_address import client_address
from rtdemo.web.http_connection import HttpConnection
from rtdemo.web.publication import (
    DECODE_ERRORS,
    ENGINE_RETRY_S,
    Publication,
    draft,
    publish_until_taken,
)

CONTENT_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
"""Content types of lines of JSON: none is registered, and these are in use."""
UPLOAD_TYPES = ("application/octet-stream", "application/x-www-form-urlencoded")
"""Content types of a body without one: aiohttp's default, and curl's for `--data-binary @-`."""
MAX_LINE_BYTES = 2 * MAX_MESSAGE_BYTES
"""Longest line; a message with a text and a value may have both as JSON."""
MAX_REFUSED = 1000
"""Refused lines after which the body is not read further."""
ENGINE_PATIENCE_S = 60.0
"""Seconds for which a batch is tried again while the log is unavailable."""
SHUTDOWN_CHECK_S = 1.0
"""Seconds after which a body that brings nothing notices that the server shuts down."""

_read_publication = msgspec.json.Decoder(Publication).decode


def is_stream(request: web.Request) -> bool:
    """Return whether a body is to be published line by line.

    It has the content type of such lines, or it comes from `curl -T -`: in chunks, without a type.
    """
    kind = request.content_type
    if kind in CONTENT_TYPES:
        return True
    is_chunked = "chunked" in request.headers.get(hdrs.TRANSFER_ENCODING, "").lower()
    return is_chunked and kind in UPLOAD_TYPES


async def answer(request: web.Request) -> web.Response:
    """Publish each line of the body, and answer at its end with how many lines were published.

    Over the rate limit, and while the log is unavailable, it reads nothing: the client waits.

    Raises:
        Refused: 400 if lines were refused; all others are published. 413 at a line that is too long.
            503 with Retry-After if the log stays unavailable, or if the server shuts down.
    """
    protocol = request.protocol
    if isinstance(protocol, HttpConnection):
        protocol.allow_long_body()
    published = Published(request)
    async for lines in _batches(request.content, published.check_shutdown):
        await published.add(lines)
    if published.problems:
        raise Refused(400, published.sentence)
    body = {"published": published.count, "last": published.last or None}
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def _batches(
    content: StreamReader, check_shutdown: Callable[[], None]
) -> AsyncIterator[Sequence[bytes | None]]:
    """Yield the lines of a body as they arrive: those that arrived together, at most `MAX_BATCH`.

    Arguments:
        content: the body.
        check_shutdown: called while nothing arrives.
    """
    rest: bytes | None = b""
    while True:
        try:
            async with asyncio.timeout(SHUTDOWN_CHECK_S):
                chunk = await content.readany()
        except TimeoutError:
            check_shutdown()
            continue
        if not chunk:
            break
        first, *others = chunk.split(b"\n")
        rest = _joined(rest, first)
        if rest is None:
            yield [None]
            return
        if others:
            lines = [rest, *others[:-1]]
            rest = _joined(b"", others[-1])
            for start in range(0, len(lines), MAX_BATCH):
                yield lines[start : start + MAX_BATCH]
    yield [rest]


def _joined(line: bytes | None, more: bytes) -> bytes | None:
    """Return a longer line; None once it is too long."""
    if line is None or len(line) + len(more) > MAX_LINE_BYTES:
        return None
    return line + more


class Published:
    """What was published of a body so far.

    Arguments:
        request: has the body.

    Attributes:
        count: lines that were published.
        last: position of the last one; empty before the first.
        refused: lines that were refused.
        problems: why the first of them were.
    """

    def __init__(self, request: web.Request) -> None:
        self.count = self.refused = 0
        self.last = ""
        self.problems: list[str] = []
        self._hub: Hub = request.app[HUB]
        self._address = client_address(request)
        self._has_token = bool(request.app[SETTINGS].publish_token)
        self._lines = 0

    @property
    def sentence(self) -> str:
        """What was published and what was not, in one line."""
        return f"{self.count} lines were published, {self.refused} refused; {self.problems[0]}"

    async def add(self, lines: Sequence[bytes | None]) -> None:
        """Publish lines; one that is refused changes nothing for the others.

        Arguments:
            lines: without line ends, at most `MAX_BATCH`; None for one that is too long.

        Raises:
            Refused: 413 for a line that is too long; 400 after too many that were refused; 503 if the
                log stays unavailable, or if the server shuts down.
        """
        drafts = []
        for line in lines:
            self._lines += 1
            if line is None:
                # No end of it is in sight: whoever sends this sends no lines.
                problem = f"line {self._lines} has over {MAX_LINE_BYTES} bytes"
                raise Refused(413, f"{problem}; {self.count} lines were published, send the rest again")
            if line.strip():
                try:
                    one = draft(self._hub, _read_publication(line))
                    check_draft(one)
                    drafts.append(one)
                except (*DECODE_ERRORS, ValueError, Refused) as error:
                    self._refuse(str(error))
        if drafts:
            await self._wait_for_rate(len(drafts))
            await self._publish(drafts)

    def _refuse(self, why: str) -> None:
        self.refused += 1
        if not self.problems:
            self.problems.append(f"line {self._lines}: {why}")
        if self.refused >= MAX_REFUSED:
            raise Refused(400, self.sentence)

    async def _wait_for_rate(self, count: int) -> None:
        while True:
            self.check_shutdown()
            try:
                return self._hub.limits.check_publications(self._address, count, self._has_token)
            except OverLimit as error:
                await asyncio.sleep(min(error.retry_after, SHUTDOWN_CHECK_S))

    async def _publish(self, drafts: list[Draft]) -> None:
        positions = await publish_until_taken(self._hub, drafts, self._check_patience)
        self.count += len(drafts)
        self.last = str(positions[-1])

    def _check_patience(self, failed_tries: int) -> None:
        self.check_shutdown()
        if failed_tries >= ENGINE_PATIENCE_S / ENGINE_RETRY_S:
            problem = f"the log is unavailable; {self.count} lines were published, send the rest again"
            raise Refused(503, problem, RETRY_SOON)

    def check_shutdown(self) -> None:
        """Return unless the server shuts down.

        Raises:
            Refused: 503 with the number of lines that were published.
        """
        if self._hub.refusing:
            what = f"{self.count} lines were published, send the rest again"
            raise Refused(503, f"the server is shutting down; {what}", RETRY_SOON)
