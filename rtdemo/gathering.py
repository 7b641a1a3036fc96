"""Add up the statistics of all workers."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from rtdemo import statistics
from rtdemo.keys import HUB, SIBLINGS, STARTED
from rtdemo.siblings import is_from_sibling
from rtdemo.statistics import Statistics

PATH = "/api/worker"
"""Where a worker tells the others its own statistics; nobody else is answered."""


def setup(app: web.Application) -> None:
    """Add the route to the application."""
    app.router.add_get(PATH, worker)


async def gather(app: web.Application) -> Statistics:
    """Return the statistics of this server and of every other worker of its parent."""
    total = own(app)
    for answer in await app[SIBLINGS].ask("GET", PATH):
        if answer.status == 200:
            total.add(statistics.read(answer.body))
    return total


def own(app: web.Application) -> Statistics:
    """Return the statistics of this process alone."""
    started = app[STARTED]
    uptime = asyncio.get_running_loop().time() - started.at
    return statistics.take(app[HUB], uptime, started.loop_lag.lag)


async def worker(request: web.Request) -> web.Response:
    """Answer another worker."""
    if not is_from_sibling(request):
        raise web.HTTPNotFound
    return web.Response(body=msgspec.json.encode(own(request.app)), content_type="application/json")
