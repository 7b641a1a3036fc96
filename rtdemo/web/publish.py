"""Publish messages to all connections over HTTP, from any language."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from rtdemo.engine.interface import Draft
from rtdemo.errors import KeyReused, Refused, Unavailable
from rtdemo.hub.hub import PUBLISH_TIMEOUT_S, Hub
from rtdemo.protocol.message import Message
from rtdemo.web.access import check_publisher
from rtdemo.web.admission import RETRY_SOON
from rtdemo.web.app_keys import HUB
from rtdemo.web.limits import check_publications

MAX_MESSAGES = 100
"""Messages in one request."""
MAX_KEY_LENGTH = 200
"""Characters of an idempotency key."""
_RESERVED = ("resume", "rtdemo")
"""Producer names of the server's own messages."""
_UNAVAILABLE = (
    "the log is unavailable and may or may not have the messages; "
    "try again with the same Idempotency-Key"
)


class Publication(msgspec.Struct, forbid_unknown_fields=True):
    """Hold one message of a request's body."""

    message: str
    producer: str = "publish"


def setup(app: web.Application) -> None:
    """Add the route to the application."""
    app.router.add_post("/api/publish", publish)


async def publish(request: web.Request) -> web.Response:
    """Answer `POST /api/publish` with the positions of the messages.

    The body is `{"message": "...", "producer": "news"}`, or a list of up to 100 of these: either all
    of them are published, or none. `Idempotency-Key` makes a retry harmless for ten minutes.

    Raises:
        Refused: 400, 401, 403, 409, 413, 422; 429 with Retry-After over the rate limit; 503 with
            Retry-After while the engine is unavailable.
    """
    check_publisher(request)
    hub = request.app[HUB]
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > MAX_KEY_LENGTH or not key.isprintable():
        raise Refused(400, f"Idempotency-Key: give at most {MAX_KEY_LENGTH} printable characters")
    drafts = [_draft(hub, publication) for publication in _read(await request.read())]
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
        given = msgspec.json.decode(body, type=Publication | list[Publication])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Refused(
            400, f'the body is not {{"message": "...", "producer": "..."}}: {error}'
        ) from error
    publications = given if isinstance(given, list) else [given]
    if not 1 <= len(publications) <= MAX_MESSAGES:
        raise Refused(400, f"{len(publications)} messages; give 1 to {MAX_MESSAGES} in one request")
    return publications


def _draft(hub: Hub, publication: Publication) -> Draft:
    name = publication.producer
    if name in _RESERVED or any(
        not supervisor.producer.shared for supervisor in hub.plugins.registry.find(name)
    ):
        raise Refused(409, f"producer: {name!r} is the name of private messages; choose another")
    return Draft(Message(publication.message), name)
