"""Requests of `rtdemo doctor` and the page about the network between them and this server.

They are under /api/probe/; `--no-probes` switches them off, and the streams of `probe_streams` too.
"""

from __future__ import annotations

from aiohttp import web

from rtdemo.errors import Refused
from rtdemo.web import request_info
from rtdemo.web.api import json_response
from rtdemo.web.app_keys import HUB, OTHER_WORKERS
from rtdemo.web.other_workers import is_from_other_worker
from rtdemo.web.probe_usage import USAGE, ProbeUsage, check_probe

PREFIX = "/api/probe/"
"""Path under which all probes are."""


def setup(app: web.Application) -> None:
    """Add the routes to the application."""
    app[USAGE] = ProbeUsage()
    app.router.add_get(f"{PREFIX}request", show_request)
    app.router.add_get(f"{PREFIX}connection", show_connection)


async def show_request(request: web.Request) -> web.Response:
    """Answer `GET /api/probe/request` with the request as it arrived, without possible secrets."""
    check_probe(request)
    return json_response(request_info.describe(request))


async def show_connection(request: web.Request) -> web.Response:
    """Answer `GET /api/probe/connection?client=ID` with what that client's connection came through.

    Raises:
        Refused: 404 where no client with this id is connected.
    """
    from_other_worker = is_from_other_worker(request)
    if not from_other_worker:
        check_probe(request)
    client_id = request.query.get("client", "")
    found = request.app[HUB].find(client_id)
    if found is not None and found.connection_info is not None:
        return json_response(found.connection_info())
    if not from_other_worker:
        answer = await request.app[OTHER_WORKERS].look_up(client_id, request.path_qs)
        if answer.status == 200:
            return web.Response(body=answer.body, content_type="application/json")
    raise Refused(404, "client: no client with this id is connected")
