"""The API about the server itself: time, statistics, producers, plugins, health."""

from __future__ import annotations

import msgspec
from aiohttp import hdrs, web

from rtdemo import __version__
from rtdemo.errors import Refused
from rtdemo.hub import statistics
from rtdemo.hub.hub import Hub
from rtdemo.hub.statistics import JSON_KEYS, Statistics
from rtdemo.protocol import message
from rtdemo.protocol.client import TRANSPORTS
from rtdemo.web.access import check_admin, check_details, may_read_details
from rtdemo.web.admission import TICKET
from rtdemo.web.aggregate import forget, gather
from rtdemo.web.app_keys import HUB, OTHER_WORKERS
from rtdemo.web.identity import Identity
from rtdemo.web.login import identify, reader
from rtdemo.web.other_workers import is_from_other_worker
from rtdemo.web.published_names import PublishedNames, shown

_PUBLISHED_NAMES = web.AppKey("_PUBLISHED_NAMES", PublishedNames)
_PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
_FOR_ISOLATED_PAGES = {"Cross-Origin-Resource-Policy": "cross-origin"}
"""Lets a page of another origin see that the server answers, also an isolated page (HTML section 7.1.4).

Whether it may read the answer is decided elsewhere.
"""


def setup(app: web.Application) -> None:
    """Add the routes to the application."""
    app[_PUBLISHED_NAMES] = PublishedNames(app[HUB])
    app.router.add_get("/api/time", server_time)
    app.router.add_get("/api/stats", stats)
    app.router.add_get("/api/producers", producers)
    app.router.add_post("/api/producers/{name}/enable", enable)
    app.router.add_get("/api/plugins", plugins)
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)


def json_response(content: object) -> web.Response:
    """Return a response with JSON that is not to be cached."""
    body = msgspec.json.encode(content)
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(body=body, content_type="application/json", headers=headers)


async def server_time(request: web.Request) -> web.Response:
    """Answer `GET /api/time` with `{"now": ms}`, for the clock offset."""
    return json_response({"now": message.now()})


async def stats(request: web.Request) -> web.Response:
    """Answer `GET /api/stats`: what is open, and what all workers counted since the start.

    Raises:
        Refused: 401 without a login where one is required.
    """
    await reader(request)
    hub = request.app[HUB]
    total = await gather(request.app)
    return json_response(
        {
            "version": __version__,
            "workers": total.workers,
            "uptime": round(total.uptime, 3),
            "cpu": round(total.cpu, 3),
            "connections": total.connections,
            **{key: _by_transport(total, counter) for counter, key in JSON_KEYS.items()},
            "refused": total.refused,
            "publishedHere": total.published_here,
            "log": _log(hub, total),
            "servers": _servers(hub, total),
            "tickLag": _tick_lag(total),
            "tasks": total.tasks,
            "timers": total.timers,
        }
    )


def _by_transport(total: Statistics, counter: str) -> dict[str, int]:
    return {name: getattr(total.traffic[name], counter) for name in TRANSPORTS}


def _tick_lag(total: Statistics) -> dict[str, float | int | None]:
    """Return percentiles and maximum in milliseconds; None where there was no tick."""
    lag = total.tick_lag
    points: dict[str, float | int | None] = {}
    for name, percent in _PERCENTILES.items():
        seconds = lag.percentile(percent)
        points[name] = None if seconds is None else round(seconds * 1000, 3)
    maximum = round(lag.maximum * 1000, 3) if lag.count else None
    return {**points, "max": maximum, "count": lag.count, "skipped": total.skipped}


def _log(hub: Hub, total: Statistics) -> dict[str, object]:
    log = hub.engine.log
    return {
        "engine": hub.engine.name,
        "state": hub.engine.state,
        "leading": total.leading,
        "position": str(log.last),
        "messages": len(log),
        "bytes": log.bytes,
    }


def _servers(hub: Hub, gathered: Statistics) -> dict[str, object]:
    """Return the open connections of each server of the deployment, and their sum."""
    by_server = {**hub.engine.servers, **gathered.servers}
    total = {
        transport: sum(int(connections.get(transport, 0)) for connections in by_server.values())
        for transport in TRANSPORTS
    }
    return {"count": len(by_server), "connections": total, "byServer": by_server}


async def producers(request: web.Request) -> web.Response:
    """Answer `GET /api/producers`: each producer, and each name that is published under.

    Those that are for other users are left out. The last errors may have paths and data: they are only
    for those who may read details. A ticket suffices: a page that never has a token needs titles and
    units, too.

    Raises:
        Refused: 401 without a login where one is required; 429 after too many wrong tokens; 503 while
            tickets are unavailable.
    """
    hub = request.app[HUB]
    has_ticket = TICKET in request.query
    identity = await (identify(request) if has_ticket else reader(request))
    running = (await gather(request.app)).producers
    if identity is not None and not await may_read_details(request, token_is_checked=not has_ticket):
        running = [msgspec.structs.replace(producer, last_error=None) for producer in running]
    names = {producer.name for producer in running}
    listed: list[object] = [shown(hub, each) for each in running if _is_for(each.users, identity)]
    listed.extend(
        published.json
        for published in request.app[_PUBLISHED_NAMES]()
        if published.name not in names and _is_for(published.users, identity)
    )
    return json_response(listed)


def _is_for(users: frozenset[str] | None, identity: Identity | None) -> bool:
    return users is None or identity is None or identity.user in users


async def enable(request: web.Request) -> web.Response:
    """Answer `POST /api/producers/NAME/enable`: let a producer run again at once, on every worker.

    Raises:
        Refused: 401 or 403 for a request that is no administrator's; 404 for an unknown name.
    """
    if not is_from_other_worker(request):
        check_admin(request)
        await request.app[OTHER_WORKERS].ask("POST", request.path_qs)
    name = request.match_info["name"]
    supervisors = request.app[HUB].plugins.registry.find(name)
    if not supervisors:
        raise Refused(404, f"there is no producer {name[:100]!r}")
    for supervisor in supervisors:
        supervisor.enable()
    forget(request.app)
    return json_response([statistics.of_producer(supervisor) for supervisor in supervisors])


async def plugins(request: web.Request) -> web.Response:
    """Answer `GET /api/plugins`: each plugin with its origin, and why it was not loaded, or not again.

    Raises:
        Refused: 401 or 403 for those who may not read details.
    """
    await check_details(request)
    manager = request.app[HUB].plugins
    loaded = [
        {"name": each.name, "origin": each.origin, "error": each.error, "loaded": True}
        for each in manager.plugins
    ]
    others = [
        {"name": each.name, "origin": each.origin, "error": each.problem, "loaded": False}
        for each in manager.not_loaded
    ]
    return json_response(loaded + others)


async def alive(request: web.Request) -> web.Response:
    """Answer `GET /healthz` while the process runs and its event loop is not blocked."""
    return web.Response(text="ok\n", headers=_FOR_ISOLATED_PAGES)


async def ready(request: web.Request) -> web.Response:
    """Answer `GET /readyz`: 200 while new connections are accepted, 503 while not."""
    if request.app[HUB].refusing:
        return web.Response(status=503, text="draining\n")
    state = request.app[HUB].engine.state
    # Without the engine the server is still ready: private producers run, and all servers behind a
    # load balancer have the same engine.
    return web.Response(text="ok\n" if state == "ready" else f"ok, without shared messages: {state}\n")
