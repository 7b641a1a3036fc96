"""Answer the questions about the server: time, statistics, producers, health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import hdrs, web

from rtdemo import __version__, message
from rtdemo.admission import check_admin
from rtdemo.client import TRANSPORTS
from rtdemo.errors import Refused
from rtdemo.hub import Hub
from rtdemo.keys import HUB, STARTED
from rtdemo.schedule import Schedule
from rtdemo.supervisor import Supervisor

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
    """Answer `GET /api/stats`: what is open now, and what was counted since the start."""
    hub = request.app[HUB]
    traffic = hub.traffic
    return _json(
        {
            "version": __version__,
            "uptime": round(asyncio.get_running_loop().time() - request.app[STARTED].at, 3),
            "cpu": round(time.process_time(), 3),
            "connections": {name: hub.count(name) for name in TRANSPORTS},
            "messages": {name: traffic[name].messages for name in TRANSPORTS},
            "bytes": {name: traffic[name].bytes for name in TRANSPORTS},
            "drops": {name: traffic[name].drops for name in TRANSPORTS},
            "received": {name: traffic[name].received for name in TRANSPORTS},
            "tooSlow": {name: traffic[name].too_slow for name in TRANSPORTS},
            "resumes": {name: traffic[name].resumes for name in TRANSPORTS},
            "lost": {name: traffic[name].lost for name in TRANSPORTS},
            "log": _log(hub),
            "servers": _servers(hub),
            "tickLag": _tick_lag(hub.schedule),
            "tasks": len(asyncio.all_tasks()),
            "timers": hub.schedule.ticks,
        }
    )


def _tick_lag(schedule: Schedule) -> dict[str, float | int | None]:
    lag = schedule.lag
    points: dict[str, float | int | None] = {}
    for name, percent in _PERCENTILES.items():
        seconds = lag.percentile(percent)
        points[name] = None if seconds is None else round(seconds * 1000, 3)
    maximum = round(lag.maximum * 1000, 3) if lag.count else None
    return {**points, "max": maximum, "count": lag.count, "skipped": schedule.skipped}


def _log(hub: Hub) -> dict[str, object]:
    log = hub.engine.log
    return {
        "engine": hub.engine.name,
        "state": hub.engine.state,
        "leading": hub.shared.leading,
        "position": str(log.last),
        "messages": len(log),
        "bytes": log.bytes,
    }


def _servers(hub: Hub) -> dict[str, object]:
    """Return the open connections on each server of the deployment, and in all."""
    own: Mapping[str, Any] = {name: hub.count(name) for name in TRANSPORTS}
    by_server: dict[str, Mapping[str, Any]] = {**hub.engine.servers, hub.engine.server: own}
    total = {name: sum(int(told.get(name, 0)) for told in by_server.values()) for name in TRANSPORTS}
    return {"count": len(by_server), "connections": total, "byServer": by_server}


async def producers(request: web.Request) -> web.Response:
    """Answer `GET /api/producers`: each with its plugin and its account, and what is published."""
    hub = request.app[HUB]
    accounts = hub.plugins.roster.accounts
    names = {account.producer.name for account in accounts}
    published = [name for name in hub.published if name not in names]
    return _json([_shown(account) for account in accounts] + [_name(hub, name) for name in published])


def _name(hub: Hub, name: str) -> dict[str, object]:
    return {
        "name": name,
        "plugin": name if name in hub.plugins.speakers else "",
        "transports": TRANSPORTS,
        "shared": True,
        "always": False,
        "stream": True,
        "period": None,
        "state": "running",
        "runs": hub.engine.log.seq(name),
        "failures": 0,
        "blocked": 0,
        "lastError": None,
    }


def _shown(account: Supervisor) -> dict[str, object]:
    producer = account.producer
    return {
        "name": producer.name,
        "plugin": account.plugin,
        "transports": producer.transports,
        "shared": producer.shared,
        "always": producer.always,
        "stream": producer.is_stream,
        "period": producer.every,
        "state": account.state,
        "runs": account.runs,
        "failures": account.failures,
        "blocked": account.blocked,
        "lastError": account.last_error,
    }


async def enable(request: web.Request) -> web.Response:
    """Take `POST /api/producers/NAME/enable`: let a producer run again at once.

    Raises:
        Refused: 401 or 403 for who may not, 404 where there is no producer of the name.
    """
    check_admin(request)
    name = request.match_info["name"]
    accounts = request.app[HUB].plugins.roster.find(name)
    if not accounts:
        raise Refused(404, f"there is no producer {name[:100]!r}")
    for account in accounts:
        account.enable()
    return _json([_shown(account) for account in accounts])


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
