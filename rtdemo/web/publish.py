"""Take messages for everyone over HTTP, from any language."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from rtdemo.engine.interface import Draft
from rtdemo.errors import KeyReused, Refused, Unavailable
from rtdemo.hub.hub import PUBLISH_TIMEOUT, Hub
from rtdemo.protocol.message import Message
from rtdemo.web.admission import check_token
from rtdemo.web.app_keys import HUB, SETTINGS

MOST = 100
"""Messages that one request may carry."""
MAX_KEY = 200
RETRY_AFTER = 2
_RESERVED = ("resume", "rtdemo")
_AWAY = "the log is away and may or may not have them; try again with the same Idempotency-Key"


class Publication(msgspec.Struct, forbid_unknown_fields=True):
    """Hold one message as it was posted."""

    message: str
    producer: str = "publish"


def setup(app: web.Application) -> None:
    """Add the route to the application."""
    app.router.add_post("/api/publish", publish)


async def publish(request: web.Request) -> web.Response:
    """Take `POST /api/publish` and answer with the positions.

    The body is `{"message": "...", "producer": "news"}`, or a list of up to 100 of these, which are
    published all or none. `Idempotency-Key` makes a retry harmless for ten minutes.

    Raises:
        Refused: 400, 401, 403, 409, 413, 422; 503 with Retry-After where the engine is away.
    """
    check_token(request, "publish", request.app[SETTINGS].publish_token)
    hub = request.app[HUB]
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > MAX_KEY or not key.isprintable():
        raise Refused(400, f"Idempotency-Key: give at most {MAX_KEY} printable characters")
    drafts = [_draft(hub, publication) for publication in _read(await request.read())]
    try:
        async with asyncio.timeout(PUBLISH_TIMEOUT):
            positions = await hub.publish(drafts, key)
    except KeyReused as error:
        raise Refused(
            422, "Idempotency-Key: it came with other messages before; take a new one"
        ) from error
    except ValueError as error:
        raise Refused(400, str(error)) from error
    except (Unavailable, TimeoutError) as error:
        raise Refused(503, _AWAY, {"Retry-After": str(RETRY_AFTER)}) from error
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
    if not 1 <= len(publications) <= MOST:
        raise Refused(400, f"{len(publications)} messages; give 1 to {MOST} at once")
    return publications


def _draft(hub: Hub, publication: Publication) -> Draft:
    name = publication.producer
    if name in _RESERVED or any(
        not account.producer.shared for account in hub.plugins.registry.find(name)
    ):
        raise Refused(409, f"producer: {name!r} is the name of private messages; choose another")
    return Draft(Message(publication.message), name)
