"""Publish messages to all connections over HTTP, from any language."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from rtdemo.errors import KeyReused, Refused, Unavailable
from rtdemo.hub.hub import PUBLISH_TIMEOUT_S
from rtdemo.publisher.waiting import MAX_BATCH
from rtdemo.web import publish_lines
from rtdemo.web.access import check_publisher
from rtdemo.web.admission import RETRY_SOON, shutting_down
from rtdemo.web.app_keys import HUB
from rtdemo.web.limits import check_publications
from rtdemo.web.publication import DECODE_ERRORS, FORM, Publication, draft

MAX_KEY_LENGTH = 200
"""Characters of an idempotency key."""
_UNAVAILABLE = (
    "the log is unavailable and may or may not have the messages; "
    "try again with the same Idempotency-Key"
)


_read_body = msgspec.json.Decoder(Publication | list[Publication]).decode


def setup(app: web.Application) -> None:
    """Add the routes to the application."""
    app.router.add_post("/api/publish", publish)
    # The method that `curl -T` uses.
    app.router.add_put("/api/publish", publish)


async def publish(request: web.Request) -> web.Response:
    """Answer `POST /api/publish` with the positions of the messages.

    The body is `{"message": "...", "value": 1.5, "producer": "news"}`, or a list of up to 100 of these:
    either all of them are published, or none. One of message and value suffices. `Idempotency-Key` makes
    a retry harmless for ten minutes. A body of lines is published as it arrives: `publish_lines`.

    Raises:
        Refused: 400, 401, 403, 409, 413, 422; 429 with Retry-After over the rate limit; 503 with
            Retry-After while the engine is unavailable, and while the server stops and its log with it.
    """
    check_publisher(request)
    if publish_lines.is_stream(request):
        return await publish_lines.answer(request)
    hub = request.app[HUB]
    # A log in memory ends with the server: the clients that have left would never get the message.
    if hub.refusing and not hub.engine.may_lag:
        raise shutting_down()
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > MAX_KEY_LENGTH or not (key.isascii() and key.isprintable()):
        raise Refused(400, f"Idempotency-Key: give at most {MAX_KEY_LENGTH} printable ASCII characters")
    drafts = [draft(hub, publication) for publication in _read(await request.read())]
    check_publications(request, len(drafts))
    try:
        async with asyncio.timeout(PUBLISH_TIMEOUT_S):
            positions = await hub.publish(drafts, key)
    except KeyReused as error:
        raise Refused(
            422, "Idempotency-Key: it was used with other messages before; choose another"
        ) from error
    except ValueError as error:
        raise Refused(400, str(error)) from error
    except (Unavailable, TimeoutError) as error:
        raise Refused(503, _UNAVAILABLE, RETRY_SOON) from error
    body = msgspec.json.encode({"positions": [str(position) for position in positions]})
    return web.Response(body=body, content_type="application/json")


def _read(body: bytes) -> list[Publication]:
    try:
        given = _read_body(body)
    except DECODE_ERRORS as error:
        raise Refused(400, f"the body is not {FORM}: {error}") from error
    publications = given if isinstance(given, list) else [given]
    if not 1 <= len(publications) <= MAX_BATCH:
        raise Refused(400, f"{len(publications)} messages; give 1 to {MAX_BATCH} in one request")
    return publications
