"""Check what proxies do to a plain HTTP request and to its response."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import urljoin, urlsplit

from rtdemo.lab import http2
from rtdemo.lab.doctor import proxies
from rtdemo.lab.doctor.answers import explain, is_from_rtdemo, who
from rtdemo.lab.doctor.context import PROBE_PREFIX, Context, ok
from rtdemo.lab.doctor.errors import (
    NETWORK_ERRORS,
    AnswerError,
    CannotRunError,
    Diagnosis,
    decode_json,
    describe,
    first_line,
)
from rtdemo.lab.doctor.exchange import EVENT_STREAM, HTTP1, HTTP2, Answer, request
from rtdemo.lab.doctor.network import uses_tls
from rtdemo.lab.doctor.wrong_address import (
    LOGIN_REFUSALS,
    check_base_path,
    check_one_stream,
    refused_error,
)
from rtdemo.settings.trusted_proxies import normal_address

FOREIGN_ORIGIN = "https://foreign.example"
MAX_HEARTBEAT_S = 86_400.0
"""Seconds between two heartbeats that are believed: the server may be any."""
PASSED = (200, 202, 404)
"""Statuses of a POST that has passed the rule for origins: no client has the id that it names."""
_SIGNS = {"HAProxy": "HAProxy (by header names in lower case)"}
"""Names of proxies with the sign of those that only a weak one shows."""
_FIRST_SCRIPT = re.compile(r"""<script[^>]+src=["']([^"']+)""")


async def identify_server(context: Context) -> None:
    """Send one request; learn from its response what the server is and which proxies are before it.

    Raises:
        CannotRunError: if the server does not answer with HTTP, uses TLS unexpectedly, or gives an
            answer with which nothing can be checked.
    """
    wanted = {"Accept": "*/*"} if context.address.is_whole else EVENT_STREAM
    try:
        async with (
            asyncio.timeout(context.patience * 2),
            request(context, _first_url(context), wanted) as answer,
        ):
            # The body of a stream has no end.
            text = await answer.text() if context.address.is_whole or answer.status >= 300 else ""
    except (TimeoutError, *NETWORK_ERRORS) as error:
        await _raise_if_tls(context)
        raise CannotRunError(
            "no-http",
            f"{context.address.origin}: the first request {describe(error)}",
            "check that the port is that of an HTTP server",
        ) from error
    if answer.status == 400:
        await _raise_if_tls(context)
    _set_available(context, answer, text)
    kind = answer.media_type or "no media type"
    context.first_answer = f"{who(context, answer)} answered {answer.status} with {kind}"
    received = context.received.get("headers", {})
    context.proxies = proxies.recognise(answer.headers, received)
    if not context.address.is_whole:
        await check_one_stream(context, answer, text)
    elif not context.received and not context.probes_error:
        await _raise_if_unusable(context, answer, text)
    if context.has("rtdemo"):
        await _raise_if_no_login(context)


def _first_url(context: Context) -> str:
    if context.address.is_whole:
        return f"{PROBE_PREFIX}request"
    given = context.address.stream(context.address.transports[0])
    return f"http{given.removeprefix('ws')}" if given.startswith("ws") else given


def _set_available(context: Context, answer: Answer, text: str) -> None:
    body = decode_json(text)
    if not context.address.is_whole:
        context.available = {"stream"}
    elif answer.status == 200 and isinstance(body, dict) and isinstance(body.get("headers"), dict):
        context.received = _checked(body)
        context.available = {"page", "stream", "rtdemo", "probes"}
    elif is_from_rtdemo(answer) and (answer.status == 429 or "--probes" in text):
        context.probes_error = first_line(text)
        context.available = {"page", "stream", "rtdemo"}
    else:
        context.available = {"page"}
    context.available.update(context.address.transports)


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """Return what rtdemo received, without values of another type: the server may be any."""
    kinds = {"headers": dict, "forwarding": list, "http": str, "scheme": str, "remote": str}
    checked = {name: body[name] for name, kind in kinds.items() if isinstance(body.get(name), kind)}
    for name in ("heartbeat", "sseHeartbeat"):
        value = body.get(name)
        if isinstance(value, int | float) and 0 < value < MAX_HEARTBEAT_S:
            checked[name] = float(value)
    checked["headers"] = {str(name): str(value) for name, value in checked["headers"].items()}
    return checked


async def _raise_if_unusable(context: Context, answer: Answer, text: str) -> None:
    """Look whether the streams answer although the first request was not for rtdemo.

    Raises:
        CannotRunError: if they do not, and the answer shows why.
    """
    url, status = context.probe("sse", "", 1), 0
    try:
        async with asyncio.timeout(context.patience), request(context, url, EVENT_STREAM) as stream:
            status = stream.status
            if status == 200 and stream.media_type == "text/event-stream":
                context.available |= {"stream", "probes"}
                return
            context.answers_html = status == 200 and stream.media_type == "text/html"
    except (TimeoutError, *NETWORK_ERRORS):
        pass
    if answer.status not in (200, 404):
        raise refused_error(context, answer, text)
    if answer.status == status == 404:
        await check_base_path(context, answer)


async def _raise_if_no_login(context: Context) -> None:
    """Ask for the list of producers: whoever may not read it may open no stream.

    Raises:
        CannotRunError: if rtdemo refuses the login, or wants one.
    """
    try:
        async with asyncio.timeout(context.patience), request(context, "/api/producers") as answer:
            if answer.status not in LOGIN_REFUSALS or not is_from_rtdemo(answer):
                return
            text = await answer.text()
    except (TimeoutError, *NETWORK_ERRORS):
        return
    raise refused_error(context, answer, text)


async def _raise_if_tls(context: Context) -> None:
    if not context.address.secure and await uses_tls(context):
        secure = context.address.origin.replace("http", "https", 1)
        raise CannotRunError("uses-tls", f"{context.address.origin} uses TLS", f"give {secure}")


async def learn_http2(context: Context) -> Diagnosis | None:
    """Open an HTTP/2 connection where the server offers it; learn what it allows.

    Returns:
        A finding if the server does not serve what it offers; else None.
    """
    if HTTP2 not in context.versions:
        return None
    try:
        async with (
            asyncio.timeout(context.patience),
            http2.connect(context.address, context.tls_parameters()) as connection,
        ):
            context.max_streams = connection.max_streams
            if connection.offers_websocket and context.address.is_whole:
                context.websocket_versions = (HTTP1, HTTP2)
            async with request(
                context, _first_url(context), version=HTTP2, connection=connection
            ) as answer:
                names = proxies.recognise(answer.headers, {}, is_http1=False)
                context.proxies = list(dict.fromkeys([*context.proxies, *names]))
    except (TimeoutError, *NETWORK_ERRORS) as error:
        context.versions = (HTTP1,)
        seen = f"the server offers HTTP/2 (ALPN h2), but a request over it {describe(error)}"
        return context.fault("http2-broken", seen, "broken http2")
    return None


def server(context: Context, left_out: list[str]) -> Diagnosis:
    """Report what the server is, which proxies are before it, and which checks cannot run.

    Arguments:
        left_out: names of the checks that cannot run.
    """
    names = " and ".join(_SIGNS.get(name, name) for name in context.proxies)
    behind = f" behind {names or 'a proxy that is not recognised'}" if _is_proxied(context) else ""
    names_left_out = ", ".join(left_out) if len(left_out) < 12 else f"{len(left_out)} other checks"
    untested = f"; not tested: {names_left_out}" if left_out else ""
    if not context.address.is_whole:
        return Diagnosis("ok", f"one stream{behind}; its server may be any{untested}")
    if context.probes_error:
        code = "probes-off" if "--probes" in context.probes_error else "rate-limited"
        return Diagnosis("warn", f"rtdemo{behind}, but {context.probes_error}{untested}", "", code)
    if "rtdemo" not in context.available and "probes" not in context.available:
        fix = context.fix("path", path=f"{context.address.base_path}/api/")
        if context.answers_html:
            seen = f"an HTML page answers for /api/sse, and rtdemo does not see the request{untested}"
            return Diagnosis("fail", seen, fix, "html-answer")
        seen = f"rtdemo did not see GET {PROBE_PREFIX}request: {context.first_answer}{untested}"
        return Diagnosis("warn", seen, fix, "not-rtdemo")
    return ok(f"rtdemo{behind}" if behind else "rtdemo; no proxy detected")


def _is_proxied(context: Context) -> bool:
    """Return whether anything shows that a proxy is between client and server."""
    received = context.received
    if context.proxies or not received:
        return bool(context.proxies)
    ends_tls = context.address.secure and received.get("scheme") == "http"
    return bool(
        ends_tls
        or received.get("forwarding")
        or received.get("http") == "1.0"
        or not _keeps_host(context)
    )


def _keeps_host(context: Context) -> bool:
    return _received_headers(context).get("host") == context.host


def _received_headers(context: Context) -> dict[str, str]:
    return {name.lower(): str(value) for name, value in context.received.get("headers", {}).items()}


async def version(context: Context) -> Diagnosis:
    """Report the HTTP version on both sides of a proxy."""
    if context.http2_fault is not None:
        return context.http2_fault
    if HTTP2 in context.versions:
        here = "HTTP/2 offered to browsers"
        if HTTP2 in context.websocket_versions:
            here += ", for WebSockets too"
    elif context.address.secure:
        here = "HTTP/1.1 agreed in TLS"
    else:
        here = f"HTTP/{context.http_version} from here"
    everything = {"/api/": context.received}
    everything |= {f"{t} over HTTP/{v}": r for (t, v), r in context.received_on.items()}
    old = [name for name, received in everything.items() if received.get("http") == "1.0"]
    arrived = context.received.get("http")
    seen = f"{here}, HTTP/{arrived} on arrival at rtdemo" if arrived else here
    if old:
        where = "" if "/api/" in old else f" ({', '.join(old)}: HTTP/1.0)"
        return context.warning("http10-upstream", seen + where, "version")
    return ok(seen)


async def headers(context: Context) -> Diagnosis:
    """Compare the headers that the server received with those that were sent."""
    forwarding = ", ".join(map(str, context.received.get("forwarding", [])))
    if not _is_proxied(context):
        return ok("unchanged on arrival; no forwarding header")
    seen, needed, code = [f"forwarding: {forwarding or 'none'}"], [], ""
    if not _keeps_host(context):
        seen.append(f"Host rewritten to {_received_headers(context).get('host', 'nothing')!r}")
        needed.append(context.fix("host", origin=context.address.origin))
        code = "host-rewritten"
    if not _reports_client(context):
        needed.append(context.fix("forwarding"))
        code = code or "forwarding-missing"
        if forwarding:
            seen.append("none has the client's address")
    elif shared := _shared_address(context):
        seen.append(f"rtdemo takes all clients for {shared}")
        needed.append(context.fix("trust in proxies"))
        code = code or "proxies-not-trusted"
    if not needed:
        return ok("; ".join(seen))
    return Diagnosis("warn", "; ".join(seen), " and ".join(needed), code)


def _reports_client(context: Context) -> bool:
    """Return whether a proxy reports the client's address in a header that rtdemo reads."""
    received = _received_headers(context)
    return bool(received.get("x-forwarded-for") or received.get("forwarded"))


def _shared_address(context: Context) -> str:
    """Return the address that all clients have if the server trusts no proxy; else an empty text."""
    received, remote = _received_headers(context), str(context.received.get("remote", ""))
    reported = ",".join(received.get(name, "") for name in ("x-forwarded-for", "forwarded"))
    parts = (part.lower().rpartition("for=")[2].strip('" ') for part in re.split("[,;]", reported))
    is_reported = normal_address(remote) in map(normal_address, filter(None, parts))
    return "" if reported == "," or is_reported else remote


async def page(context: Context) -> Diagnosis:
    """Load the page and its first script."""
    async with request(context, "/", {"Accept": "text/html"}) as answer:
        text = await answer.text()
    if answer.status != 200:
        raise AnswerError(explain(context, answer, text))
    if answer.media_type != "text/html":
        given = answer.media_type or "no media type"
        seen = f"answered 200 with {given}, not HTML"
        return context.fault("page-incomplete", seen, "media type")
    module = _FIRST_SCRIPT.search(text)
    if module is None:
        if "rtdemo" not in context.available:
            return ok(f"{len(text)} characters of HTML without a script")
        return context.fault("page-incomplete", f"{who(context, answer)} answered with another page")
    url = urljoin(context.url("/"), module[1])
    if urlsplit(url).netloc != urlsplit(context.address.origin).netloc:
        return ok(f"200 with a module of another server, {module[1][:80]}")
    async with request(context, url) as script:
        media_type = script.media_type
        text = await script.text() if script.status >= 400 else ""
    if script.status in (401, 403, 429) or script.status >= 500:
        raise AnswerError(explain(context, script, text))
    if script.status != 200 or "javascript" not in media_type:
        fix = f"configure the proxy to forward {module[1][:80]} too"
        base = context.address.base_path
        if base and module[1].startswith("/") and not module[1].startswith(f"{base}/"):
            fix = context.fix("base path", path=base)
        seen = f"its module {module[1][:80]} returned {script.status}, {media_type or 'no media type'}"
        return Diagnosis("fail", seen, fix, "page-incomplete", {"status": script.status})
    return ok(f"200 with its module {module[1][:80]}")


async def origin(context: Context) -> Diagnosis:
    """Check that the server accepts requests from its own page and refuses those from other pages.

    The requests are POSTs: the same rule applies to them, and they need no WebSocket. No client has
    the id that they name, so the server answers 404 to each request that passes the rule.
    """
    own, own_text = await _post(context, context.address.origin)
    if own.status == 403 and is_from_rtdemo(own):
        fix = context.fix("host", origin=context.address.origin)
        seen = f"rtdemo refuses its own page: {first_line(own_text).partition(';')[0]}"
        return Diagnosis("fail", seen, fix, "origin-own-refused")
    if own.status not in PASSED or (own.status == 404 and not is_from_rtdemo(own)):
        return _explain_post(context, own, own_text)
    foreign, foreign_text = await _post(context, FOREIGN_ORIGIN)
    seen = "own page accepted, foreign page"
    if foreign.status == 403:
        by = "" if is_from_rtdemo(foreign) else f" by {who(context, foreign)}"
        return ok(f"{seen} refused (403){by}")
    if foreign.status in PASSED and is_from_rtdemo(foreign):
        return context.fault("origin-foreign-accepted", f"{seen} accepted ({foreign.status})", "origin")
    return _explain_post(context, foreign, foreign_text)


def _explain_post(context: Context, answer: Answer, text: str) -> Diagnosis:
    found = explain(context, answer, text)
    seen = f"cannot be judged: to a POST, {found.seen}"
    return Diagnosis("warn", seen, found.fix, found.code, found.figures)


async def _post(context: Context, origin: str) -> tuple[Answer, str]:
    path = "/api/messages?client=nobody"
    async with request(context, path, {"Origin": origin}, method="POST") as answer:
        return answer, await answer.text()
