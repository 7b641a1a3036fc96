"""Add up the statistics of all workers."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec
from aiohttp import web

from rtdemo.hub import statistics
from rtdemo.hub.statistics import Statistics
from rtdemo.web.app_keys import COUNTER_FILES, HUB, OTHER_WORKERS, STARTED
from rtdemo.web.other_workers import is_from_other_worker

PATH = "/api/worker"
"""Where a worker tells the others its own statistics; nobody else is answered."""


def setup(app: web.Application) -> None:
    """Add the route to the application."""
    app.router.add_get(PATH, worker)


async def gather(app: web.Application) -> Statistics:
    """Return the statistics of this server and of every other worker of its parent.

    Of those that are gone, or do not answer, it has what they had counted.
    """
    # First: who is gone by the time of the answers is among these.
    noted = app[COUNTER_FILES].read()
    total = own(app)
    noted.pop(total.worker, None)
    for answer in await app[OTHER_WORKERS].ask("GET", PATH):
        # During SIGHUP one may be of another version, and is left out like one that is silent.
        with suppress(msgspec.DecodeError):
            told = statistics.read(answer.body)
            noted.pop(told.worker, None)
            total.add(told)
    known = {account.key for account in total.producers}
    for past in (counted.past() for counted in noted.values()):
        # A producer that nobody has any more is not to be listed.
        past.producers = [account for account in past.producers if account.key in known]
        total.add(past)
    return total


def own(app: web.Application) -> Statistics:
    """Return the statistics of this process alone, and note them."""
    started = app[STARTED]
    uptime = asyncio.get_running_loop().time() - started.at
    counted = app[HUB].statistics(uptime, started.loop_lag.lag)
    app[COUNTER_FILES].note(counted)
    return counted


async def worker(request: web.Request) -> web.Response:
    """Answer another worker."""
    if not is_from_other_worker(request):
        raise web.HTTPNotFound
    return web.Response(body=msgspec.json.encode(own(request.app)), content_type="application/json")
