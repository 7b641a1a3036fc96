"""Build the aiohttp application: its routes, and one line of text for every error."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from rtdemo.errors import Refused, printable
from rtdemo.hub.hub import Hub
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.settings.settings import Settings
from rtdemo.timing.schedule import Schedule
from rtdemo.web import (
    aggregate,
    answers,
    api,
    base_path,
    cross_origin,
    handshake,
    login,
    page,
    probes,
    prometheus,
    publish,
    sse,
    static_files,
    view,
    websocket,
)
from rtdemo.web.app_keys import (
    COUNTER_FILES,
    HEARTBEATS,
    HUB,
    OTHER_WORKERS,
    READ_BUFFER,
    SETTINGS,
    SITES,
    STARTED,
    STREAM_HEADS,
    Sites,
    Started,
)
from rtdemo.web.host import check_host, local_address
from rtdemo.web.other_workers import CounterFiles, OtherWorkers
from rtdemo.web.specification import documents

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ERROR_TEXTS = {
    404: "there is nothing at {path}; the page is at {page}, the view at {page}view",
    405: "{method} is not allowed at {path}; allowed: {allowed}",
    413: f"the body is over {MAX_MESSAGE_BYTES // 1024} KiB",
}
_ALLOWED = {"/api/messages": hdrs.METH_POST}
"""Methods that clients may use at a path with further ones, which are for other workers."""


def create_app(
    settings: Settings,
    hub: Hub,
    heartbeats: Schedule,
    sites: Sites,
    started: Started,
    other_workers: OtherWorkers,
    counter_files: CounterFiles,
    login_: login.Login,
) -> web.Application:
    """Build the one application that both sites serve.

    Arguments:
        settings: of the server.
        hub: the open connections.
        heartbeats: keeps them alive, in real time.
        sites: the ports; set by the server once they are open.
        started: start time and loop lag, for the statistics.
        other_workers: reaches the other workers of the same parent.
        counter_files: keeps the counters of workers that have exited.
        login_: who may connect, where that is restricted.
    """
    app = web.Application(middlewares=[serve], client_max_size=MAX_MESSAGE_BYTES)
    app[SETTINGS] = settings
    app[HUB] = hub
    app[HEARTBEATS] = heartbeats
    app[READ_BUFFER] = memoryview(bytearray(websocket.READ_BYTES))
    app[STREAM_HEADS] = {}
    app[OTHER_WORKERS] = other_workers
    app[SITES] = sites
    app[STARTED] = started
    app[COUNTER_FILES] = counter_files
    app.router.add_get(handshake.PATH, websocket.socket, allow_head=False)
    app.router.add_get("/api/sse", sse.stream)
    app.router.add_post("/api/messages", sse.receive)
    app.router.add_get("/api/messages", sse.has_stream, allow_head=False)
    login.setup(app, login_)
    api.setup(app)
    aggregate.setup(app)
    prometheus.setup(app)
    probes.setup(app)
    publish.setup(app)
    documents.setup(app)
    page.setup(app)
    view.setup(app)
    base_path.setup(app, settings.base_path)
    app.on_response_prepare.append(_add_headers)
    return app


@web.middleware
async def serve(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle a request as its site does, and answer every refusal and error with one line of text.

    The WebSocket site serves only WebSocket, at every path. The web site serves the routes.
    """
    try:
        app, local = request.app, local_address(request)
        check_host(request, app, local)
        if not request.path.isprintable():
            raise Refused(400, "the path has control characters, or bytes that are not UTF-8")
        if cross_origin.is_preflight(request):
            return cross_origin.preflight(request)
        websocket_port = app[SITES].websocket
        if websocket_port is not None and local is not None and local[1] == websocket_port:
            handler = websocket.socket
        else:
            handshake.check_no_handshake(request)
        return await handler(request)
    except Refused as refused:
        return answers.error(refused.status, refused.sentence, refused.headers)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _answer(request, error)
    except ConnectionError:
        # The peer left before the answer, which it will not read.
        return web.Response(status=499, reason="Client Closed Request")
    except Exception:
        log.exception("%s %s failed", request.method, printable(request.path[:200]))
        return answers.error(500, "internal server error; see the server log", {})


def _answer(request: web.Request, error: web.HTTPException) -> web.Response:
    allowed = _ALLOWED.get(request.path) or error.headers.get(hdrs.ALLOW, "")
    template = _ERROR_TEXTS.get(error.status)
    # Only our own texts are templates: aiohttp's contain what the client sent.
    text = (
        template.format(
            path=request.path[:200],
            method=request.method,
            allowed=allowed,
            page=f"{request.app[SETTINGS].base_path}/",
        )
        if template
        else error.text or error.reason
    )
    return answers.error(error.status, text, {hdrs.ALLOW: allowed} if allowed else {})


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    answers.add_headers(request, response)
    cross_origin.allow_reading(request, response)
    if request.app[HUB].draining and response.status >= 200:
        # The next request is for another server, also on a connection that a proxy keeps open.
        response.force_close()
        response.headers[hdrs.CONNECTION] = "close"
    if request.path.startswith("/static/"):
        # Without this, a browser may use a cached error for some time after an upgrade.
        response.headers.setdefault(hdrs.CACHE_CONTROL, static_files.REVALIDATED)
