"""Check event streams: first byte, caching, number of streams, and the texts that clients post."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from urllib.parse import quote

from rtdemo.lab import http2
from rtdemo.lab.content_coding import Decoder
from rtdemo.lab.doctor.answers import check_stream, explain
from rtdemo.lab.doctor.context import Context, ok
from rtdemo.lab.doctor.delivery import EventSplitter
from rtdemo.lab.doctor.errors import (
    NETWORK_ERRORS,
    AnswerError,
    Diagnosis,
    NotTestedError,
    StreamError,
    decode_json,
)
from rtdemo.lab.doctor.events import Delivery
from rtdemo.lab.doctor.exchange import EVENT_STREAM, HTTP1, MAX_BODY_BYTES, Answer, request
from rtdemo.lab.doctor.monitor import texts
from rtdemo.lab.http2_exchange import Http2Error, ResetError
from rtdemo.lab.server_clock import now

STREAM_COUNT = 7
"""Streams opened at once: one more than a browser opens to one origin over HTTP/1.1."""
POSTS = 6
"""Short texts that are posted for one stream, each over a connection of its own."""
MAX_ID_CHARS = 200
"""Characters of a client's id: the server may be any."""
LARGE_POST_BYTES = 60_000
"""Bytes of one more text: rtdemo takes 64 KiB."""


async def first_byte(context: Context, version: str) -> Diagnosis:
    """Check that a stream begins at once, and not only with its first event."""
    found = context.deliveries.get(("sse", version))
    if isinstance(found, Delivery):
        recording = found.recording
        context.require("sse", version)
        delay = (recording.welcomed[1] or recording.arrivals[0].last) - recording.asked_at
    else:
        context.require("sse", version)
        started = now()
        async with aclosing(texts(context, "sse", version)) as stream:
            async with asyncio.timeout(context.patience * 3):
                delay = (await anext(stream)).at - started
    return ok(f"{delay:.0f} ms after the request, with a new connection", delayMs=round(delay, 1))


async def caching(context: Context, version: str) -> Diagnosis:
    """Open the same stream twice: each client must get a stream of its own."""
    context.require("sse", version)
    path = context.address.stream("sse", {"probe": "", "silence": "60"})
    async with AsyncExitStack() as stack:
        first, age = await _client_of(context, version, path, stack)
        second, second_age = await _second_client_of(context, version, path, stack)
        if not second:
            context.check_patience()
            seen = "a second stream with the same URL does not begin while the first is open"
            return context.fault("sse-cached", f"{seen}: a cache waits for its end", "cached")
    if first == second or age or second_age:
        seen = "two clients got the same stream" if first == second else "a stream has the header Age"
        return context.fault("sse-cached", f"{seen}: a cache answers for rtdemo", "cached")
    return ok("none: two clients get a stream each")


async def _second_client_of(
    context: Context, version: str, path: str, stack: AsyncExitStack
) -> tuple[str, bool]:
    """Return the same as `_client_of`, and an empty id if two tries in turn have no answer in time."""
    for _ in range(2):
        try:
            return await _client_of(context, version, path, stack)
        except (TimeoutError, StreamError):
            continue
    return "", False


async def _client_of(
    context: Context, version: str, path: str, stack: AsyncExitStack
) -> tuple[str, bool]:
    """Return the client's id of a stream that stays open, and whether it comes out of a cache."""
    splitter = EventSplitter()
    async with asyncio.timeout(context.patience):
        answer = await stack.enter_async_context(request(context, path, EVENT_STREAM, version=version))
        if answer.status != 200:
            check_stream(context, answer, await answer.text())
        decoder = Decoder(answer.header("Content-Encoding"), MAX_BODY_BYTES)
        is_aged = answer.header("Age").strip() not in ("", "0")
        async for chunk in answer.chunks():
            for text, *_ in splitter.feed(decoder.feed(chunk.data), chunk.at):
                message = decode_json(text)
                if isinstance(message, dict) and message.get("client"):
                    return str(message["client"])[:MAX_ID_CHARS], is_aged
    raise StreamError("ended without a welcome")


async def seven_streams(context: Context, version: str) -> Diagnosis:
    """Open as many streams as seven browser tabs do, and send another request beside them."""
    context.require("sse", version)
    limit = context.max_streams
    if version != HTTP1 and limit is not None and limit <= STREAM_COUNT:
        seen = f"the server allows {limit} streams at once on an HTTP/2 connection, which all tabs share"
        return context.fault("streams-limited", seen, "streams over http2", {"streams": limit})
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(4 * context.patience):
            connection = None
            if version != HTTP1:
                connection = await stack.enter_async_context(
                    http2.connect(context.address, context.tls_parameters())
                )
            opened = await asyncio.gather(
                *(_open(context, version, stack, connection) for _ in range(STREAM_COUNT)),
                return_exceptions=True,
            )
            works = sum(isinstance(each, Answer) for each in opened)
            other = await _is_answered(context, version, connection)
            others = context.open_connections - works if version == HTTP1 else 0
    if works < STREAM_COUNT or not other:
        return _streams_fault(context, version, opened, works, others)
    seen = f"{STREAM_COUNT} at once work, and another request beside them"
    if version != HTTP1 or len(context.versions) > 1:
        return ok(seen, streams=works)
    seen += "; over HTTP/1.1 a browser opens only 6, and a seventh tab waits"
    # Browsers use HTTP/2 over TLS only, so without TLS there is nothing to offer.
    if not context.address.secure:
        return ok(seen, streams=works)
    return context.warning("http1-only", seen, "http2", {"streams": works})


async def _open(
    context: Context,
    version: str,
    stack: AsyncExitStack,
    connection: http2.Http2Connection | None,
) -> Answer:
    """Return the answer of a stream that stays open, once its first bytes have come.

    Raises:
        AnswerError: if it is answered in another way. Others of `NETWORK_ERRORS` if it is not.
    """
    url = context.probe("sse", "", 30)
    async with asyncio.timeout(context.patience):
        try:
            asked = request(context, url, EVENT_STREAM, version=version, connection=connection)
            answer = await stack.enter_async_context(asked)
        except Http2Error:
            if connection is None or connection.takes_requests:
                raise
            # After GOAWAY, a browser opens another connection.
            asked = request(context, url, EVENT_STREAM, version=version)
            answer = await stack.enter_async_context(asked)
        if answer.status != 200:
            check_stream(context, answer, await answer.text())
    return answer


async def _is_answered(context: Context, version: str, connection: http2.Http2Connection | None) -> bool:
    if connection is not None and not connection.takes_requests:
        connection = None
    try:
        async with (
            asyncio.timeout(context.patience),
            request(context, "/api/time", version=version, connection=connection) as answer,
        ):
            return answer.status == 200
    except (TimeoutError, *NETWORK_ERRORS):
        return False


def _streams_fault(
    context: Context, version: str, opened: list[Answer | BaseException], works: int, others: int
) -> Diagnosis:
    """Return the finding for streams that did not open beside others.

    Arguments:
        context: of the run.
        version: of HTTP.
        opened: the answers, and what came instead.
        works: number of streams that work.
        others: number of connections that are open for other checks.
    """
    symptom = "streams" if version == HTTP1 else "streams over http2"
    figures = {"streams": works, "otherConnections": others}
    beside = f", beside {others} connections of other checks" if others else ""
    for error in opened:
        if isinstance(error, NotTestedError):
            raise error
        if isinstance(error, AnswerError):
            found = error.diagnosis
            if not works:
                return found
            figures |= found.figures
            context.limited = True
            seen = f"only {works} of {STREAM_COUNT} streams work at once{beside}: to more, {found.seen}"
            fix = found.fix or context.fix(symptom)
            code = found.code if found.code == "rate-limited" else "streams-limited"
            return Diagnosis("fail", seen, fix, code, figures)
    context.check_patience()
    if works == STREAM_COUNT:
        seen = f"{STREAM_COUNT} streams open, but another request beside them is not answered"
        return context.fault("streams-limited", seen, symptom, figures)
    resets = {str(error) for error in opened if isinstance(error, (ResetError, Http2Error))}
    how = f" ({', '.join(sorted(resets))[:80]})" if resets else " in time"
    context.limited = True
    seen = f"only {works} of {STREAM_COUNT} streams work at once{beside}; more are not answered{how}"
    return context.fault("streams-limited", seen, symptom, figures)


async def post(context: Context, version: str) -> Diagnosis:
    """Post texts for one stream: each must reach the server that holds it."""
    context.require("sse", version)
    path = context.address.stream("sse", {"probe": "", "silence": "30"})
    async with AsyncExitStack() as stack:
        client, _ = await _client_of(context, version, path, stack)
        target = f"/api/messages?client={quote(client, safe='')}"
        plain = {"Content-Type": "text/plain"}
        statuses: list[int] = []
        bodies = [*(f"doctor {number}".encode() for number in range(POSTS)), b"x" * LARGE_POST_BYTES]
        for body in bodies:
            async with (
                asyncio.timeout(context.patience),
                request(
                    context,
                    target,
                    plain,
                    version=version,
                    method="POST",
                    body=body,
                ) as answer,
            ):
                statuses.append(answer.status)
                text = "" if answer.status < 300 else await answer.text()
                is_elsewhere = answer.status == 404 and "no event stream with this id" in text
                # Only a size has these answers: not another server (404), nor a limit of requests.
                is_large = len(body) == LARGE_POST_BYTES and answer.status in (400, 500, 502)
                if answer.status == 413 or is_large:
                    seen = f"a POST of {LARGE_POST_BYTES // 1000} kB is answered {answer.status}"
                    seen += "" if answer.status == 413 else "; small ones pass"
                    return context.fault(
                        "size-limit", seen, "large post", {"sizeBytes": LARGE_POST_BYTES}
                    )
                if answer.status != 202 and not is_elsewhere:
                    found = explain(context, answer, text)
                    if found.code not in ("not-found", "forbidden", "unexpected-status"):
                        raise AnswerError(found)
                    fix, seen = found.fix or context.fix("post"), f"to a POST, {found.seen}"
                    return Diagnosis("fail", seen, fix, "post-refused", found.figures)
    missed = statuses.count(404)
    figures = {"posts": len(statuses), "elsewhere": missed}
    if missed:
        seen = (
            f"{missed} of {len(statuses)} POSTs did not reach the server with the client's stream (404)"
        )
        return context.fault("post-elsewhere", seen, "sticky", figures)
    return ok(f"{len(statuses)} texts reached the server that holds the client's stream", **figures)
