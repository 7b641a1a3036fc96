"""Add up the statistics of all workers of the same parent."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec
from aiohttp import web

from rtdemo.hub import statistics
from rtdemo.hub.statistics import Statistics
from rtdemo.web.app_keys import COUNTER_FILES, HUB, OTHER_WORKERS, STARTED
from rtdemo.web.other_workers import is_from_other_worker
from rtdemo.web.sum_cache import SumCache

PATH = "/api/worker"
"""Path at which a worker reports its own statistics to the other workers, and only to them."""
_SUM = web.AppKey("_SUM", SumCache)


def setup(app: web.Application) -> None:
    """Add the route to the application."""
    app[_SUM] = SumCache(app[COUNTER_FILES].folder)
    app.router.add_get(PATH, worker)


async def gather(app: web.Application) -> Statistics:
    """Return the statistics of this server and of all other workers of its parent; do not change them.

    Workers that have exited, or do not answer, are included with their last counters. With other
    workers, the statistics may be those of the last 250 ms.
    """
    return await app[_SUM].get(lambda: _add_up(app))


def forget(app: web.Application) -> None:
    """Let the next request gather new statistics, because a request has changed something in them."""
    app[_SUM].clear()


async def _add_up(app: web.Application) -> Statistics:
    # Read the files first: they include the workers that exit before they answer.
    on_file = app[COUNTER_FILES].read()
    total = own(app)
    on_file.pop(total.worker, None)
    for answer in await app[OTHER_WORKERS].ask("GET", PATH):
        # During a reload by SIGHUP, a worker of another version counts as one that does not answer.
        with suppress(msgspec.DecodeError):
            other = statistics.read(answer.body)
            on_file.pop(other.worker, None)
            total.add(other)
    known = {producer.key for producer in total.producers}
    for past in (counted.past() for counted in on_file.values()):
        # A producer that no running worker has is not listed.
        past.producers = [producer for producer in past.producers if producer.key in known]
        total.add(past)
    return total


def own(app: web.Application) -> Statistics:
    """Return the statistics of this process alone, after writing them to its counter file."""
    started = app[STARTED]
    uptime = asyncio.get_running_loop().time() - started.at
    counted = app[HUB].statistics(uptime, started.loop_lag.lag, started.published_here())
    app[COUNTER_FILES].write(counted)
    return counted


async def worker(request: web.Request) -> web.Response:
    """Answer `GET /api/worker` of another worker with this worker's statistics.

    Raises:
        HTTPNotFound: the request is not from another worker.
    """
    if not is_from_other_worker(request):
        raise web.HTTPNotFound
    return web.Response(body=msgspec.json.encode(own(request.app)), content_type="application/json")
