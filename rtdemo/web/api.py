"""Answer the questions about the server: time, statistics, producers, health."""

from __future__ import annotations

import msgspec
from aiohttp import hdrs, web

from rtdemo import __version__
from rtdemo.errors import Refused
from rtdemo.hub.hub import Hub
from rtdemo.hub.statistics import COUNTERS, Account, Statistics, shown
from rtdemo.protocol import message
from rtdemo.protocol.client import TRANSPORTS
from rtdemo.web.admission import check_admin
from rtdemo.web.aggregate import gather
from rtdemo.web.app_keys import HUB, OTHER_WORKERS
from rtdemo.web.other_workers import is_from_other_worker

_SHOWN = {counter: counter for counter in COUNTERS} | {"too_slow": "tooSlow"}
_PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}


def setup(app: web.Application) -> None:
    """Add the API to the application."""
    app.router.add_get("/api/time", server_time)
    app.router.add_get("/api/stats", stats)
    app.router.add_get("/api/producers", producers)
    app.router.add_post("/api/producers/{name}/enable", enable)
    app.router.add_get("/api/plugins", plugins)
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)


def _json(content: object) -> web.Response:
    body = msgspec.json.encode(content)
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(body=body, content_type="application/json", headers=headers)


async def server_time(request: web.Request) -> web.Response:
    """Answer `GET /api/time` with `{"now": ms}`, for the clock offset."""
    return _json({"now": message.now()})


async def stats(request: web.Request) -> web.Response:
    """Answer `GET /api/stats`: what is open, and what all workers counted since the start."""
    hub = request.app[HUB]
    total = await gather(request.app)
    return _json(
        {
            "version": __version__,
            "workers": total.workers,
            "uptime": round(total.uptime, 3),
            "cpu": round(total.cpu, 3),
            "connections": total.connections,
            **{shown: _by_transport(total, counter) for counter, shown in _SHOWN.items()},
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
    """Return the open connections on each server of the deployment, and in all."""
    by_server = {**hub.engine.servers, **gathered.servers}
    total = {name: sum(int(told.get(name, 0)) for told in by_server.values()) for name in TRANSPORTS}
    return {"count": len(by_server), "connections": total, "byServer": by_server}


async def producers(request: web.Request) -> web.Response:
    """Answer `GET /api/producers`: each with its plugin and its account, and what is published."""
    hub = request.app[HUB]
    accounts = (await gather(request.app)).producers
    names = {account.name for account in accounts}
    published = [name for name in hub.published if name not in names]
    return _json(accounts + [_name(hub, name) for name in published])


def _name(hub: Hub, name: str) -> Account:
    return Account(
        name=name,
        plugin=name if name in hub.plugins.replying else "",
        transports=TRANSPORTS,
        shared=True,
        always=False,
        stream=True,
        period=None,
        state="running",
        runs=hub.engine.log.seq(name),
    )


async def enable(request: web.Request) -> web.Response:
    """Take `POST /api/producers/NAME/enable`: let a producer run again at once, on every worker.

    Raises:
        Refused: 401 or 403 for who may not, 404 where there is no producer of the name.
    """
    if not is_from_other_worker(request):
        check_admin(request)
        await request.app[OTHER_WORKERS].ask("POST", request.path_qs)
    name = request.match_info["name"]
    accounts = request.app[HUB].plugins.registry.find(name)
    if not accounts:
        raise Refused(404, f"there is no producer {name[:100]!r}")
    for account in accounts:
        account.enable()
    return _json([shown(account) for account in accounts])


async def plugins(request: web.Request) -> web.Response:
    """Answer `GET /api/plugins`: what is loaded, from where, and the error of its last reload."""
    return _json(
        [
            {"name": plugin.name, "origin": plugin.origin, "error": plugin.error}
            for plugin in request.app[HUB].plugins.plugins
        ]
    )


async def alive(request: web.Request) -> web.Response:
    """Answer `GET /healthz`: the process runs and its loop turns."""
    return web.Response(text="ok\n")


async def ready(request: web.Request) -> web.Response:
    """Answer `GET /readyz`: 200 while new connections are welcome, 503 while draining."""
    if request.app[HUB].draining:
        return web.Response(status=503, text="draining\n")
    state = request.app[HUB].engine.state
    # Still ready: private producers go on, and every server behind a balancer has the same engine.
    return web.Response(text="ok\n" if state == "ready" else f"ok, without shared messages: {state}\n")
