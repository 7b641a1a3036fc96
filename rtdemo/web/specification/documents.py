"""Serve the documents at `/api/openapi.json` and `/api/asyncapi.json`."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import msgspec
from aiohttp import hdrs, web

from rtdemo.web.representation import Representation
from rtdemo.web.static_files import REVALIDATED

OPENAPI_PATH, ASYNCAPI_PATH = "/api/openapi.json", "/api/asyncapi.json"
_HEADERS: Mapping[str, str] = {hdrs.CACHE_CONTROL: REVALIDATED}


def setup(app: web.Application) -> None:
    """Add the routes to the application."""
    app.router.add_get(OPENAPI_PATH, openapi)
    app.router.add_get(ASYNCAPI_PATH, asyncapi)


async def openapi(request: web.Request) -> web.Response:
    """Answer `GET /api/openapi.json`."""
    return _openapi().answer(request, _HEADERS)


async def asyncapi(request: web.Request) -> web.Response:
    """Answer `GET /api/asyncapi.json`."""
    return _asyncapi().answer(request, _HEADERS)


# Made when first asked for: most servers never are.
@functools.cache
def _openapi() -> Representation:
    from rtdemo.web.specification.openapi import document

    return Representation(msgspec.json.encode(document()), "application/json")


@functools.cache
def _asyncapi() -> Representation:
    from rtdemo.web.specification.asyncapi import document

    return Representation(msgspec.json.encode(document()), "application/json")
