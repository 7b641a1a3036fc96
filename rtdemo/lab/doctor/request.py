"""Check what proxies do to a plain HTTP request and to its response."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urljoin, urlsplit

from rtdemo.lab.doctor import fixes
from rtdemo.lab.doctor.context import PROBE_PREFIX, RESPONSE_TIMEOUT_S, Context
from rtdemo.lab.doctor.errors import (
    NETWORK_ERRORS,
    TOO_MANY_REQUESTS,
    CannotRunError,
    decode_json,
    describe,
    first_line,
)
from rtdemo.lab.doctor.network import uses_tls
from rtdemo.lab.doctor.streams import BROWSER_HEADERS
from rtdemo.plugin_system.checks import Finding, Verdict
from rtdemo.settings.trusted_proxies import normal_address

FOREIGN_ORIGIN = "https://foreign.example"
FORBIDDEN = 403
_FIRST_SCRIPT = re.compile(r"""<script[^>]+src=["']([^"']+)""")


async def identify_server(context: Context) -> None:
    """Send one request; learn from its response what the server is and which proxy is before it.

    Raises:
        CannotRunError: if the server does not answer with HTTP, uses TLS unexpectedly, or redirects
            to another address.
    """
    request = context.http.get(_first_url(context), allow_redirects=False, headers=BROWSER_HEADERS)
    try:
        async with asyncio.timeout(RESPONSE_TIMEOUT_S), request as response:
            # The body of a stream has no end.
            text = await response.text(errors="replace") if context.address.is_whole else ""
    except NETWORK_ERRORS as error:
        await _raise_if_tls(context)
        raise CannotRunError(
            f"no HTTP answer from {context.address.origin}: {describe(error)}"
        ) from error
    if response.status == 400:
        await _raise_if_tls(context)
    _raise_if_redirected(context, response.headers.get("Location", ""))
    context.host = response.request_info.headers["Host"]
    version = response.version
    context.http_version = f"{version.major}.{version.minor}" if version else "?"
    _set_available(context, response.status, text)
    headers = [(name.decode(), value.decode(errors="replace")) for name, value in response.raw_headers]
    context.proxy = fixes.recognise(headers, context.received.get("headers", {}))


def _first_url(context: Context) -> str:
    if context.address.is_whole:
        return context.url(f"{PROBE_PREFIX}request")
    given = context.address.stream(context.address.transports[0])
    return f"http{given.removeprefix('ws')}" if given.startswith("ws") else given


def _set_available(context: Context, status: int, text: str) -> None:
    body = decode_json(text)
    if not context.address.is_whole:
        context.available = {"stream"}
    elif status == 200 and isinstance(body, dict) and isinstance(body.get("headers"), dict):
        context.received = body
        context.available = {"page", "stream", "rtdemo", "probes"}
    elif status == TOO_MANY_REQUESTS or (status == 404 and "--probes" in text):
        context.probes_error = first_line(text)
        context.available = {"page", "stream", "rtdemo"}
    else:
        context.probes_error = f"GET {PROBE_PREFIX}request returned {status}"
        context.available = {"page"}
    context.available.update(context.address.transports)


def _raise_if_redirected(context: Context, location: str) -> None:
    target = urlsplit(location)
    origin = f"{target.scheme}://{target.netloc}"
    if target.netloc and origin != context.address.origin:
        raise CannotRunError(f"{context.address.origin} redirects to {origin}; give that address")


async def _raise_if_tls(context: Context) -> None:
    if not context.address.secure and await uses_tls(context):
        secure = context.address.origin.replace("http", "https", 1)
        raise CannotRunError(f"{context.address.origin} uses TLS; give {secure}")


def server(context: Context, left_out: list[str]) -> Finding:
    """Report what the server is, which proxy is before it, and which checks cannot run.

    Arguments:
        left_out: names of the checks that cannot run.
    """
    behind = f" behind {context.proxy or 'a proxy'}" if is_proxied(context) else ""
    untested = f"; not tested: {', '.join(left_out)}" if left_out else ""
    if not context.address.is_whole:
        return Finding("warn", f"one stream{behind}; its server may be any{untested}")
    if "rtdemo" not in context.available:
        return Finding("warn", f"not rtdemo: {context.probes_error}{behind}{untested}")
    if context.probes_error:
        return Finding("warn", f"rtdemo{behind}, but {context.probes_error}{untested}")
    return Finding("ok", f"rtdemo{behind}" if behind else "rtdemo; no proxy detected")


def is_proxied(context: Context) -> bool:
    """Return whether anything shows that a proxy is between client and server."""
    received = context.received
    has_trace = received.get("forwarding") or received.get("http") == "1.0" or not _keeps_host(context)
    return bool(context.proxy or (received and has_trace))


def _keeps_host(context: Context) -> bool:
    return _received_headers(context).get("host") == context.host


def _received_headers(context: Context) -> dict[str, str]:
    return {name.lower(): value for name, value in context.received.get("headers", {}).items()}


async def version(context: Context) -> Finding:
    """Report the HTTP version on both sides of a proxy."""
    labels = {"h2": "HTTP/2 offered to browsers", "http/1.1": "HTTP/1.1 agreed in TLS"}
    here = labels.get(context.alpn or "", f"HTTP/{context.http_version} from here")
    if not context.received:
        return Finding("ok", here)
    arrived = context.received.get("http")
    seen = f"{here}, HTTP/{arrived} on arrival at rtdemo"
    return Finding("warn", seen, context.fix("version")) if arrived == "1.0" else Finding("ok", seen)


async def headers(context: Context) -> Finding:
    """Compare the headers that the server received with those that were sent."""
    forwarding = ", ".join(context.received.get("forwarding", []))
    if not is_proxied(context):
        return Finding("ok", "unchanged on arrival; no forwarding header")
    seen, needed = [f"forwarding: {forwarding or 'none'}"], []
    if not _keeps_host(context):
        seen.append(f"Host rewritten to {_received_headers(context).get('host', 'nothing')!r}")
        needed.append(context.fix("host", origin=context.address.origin))
    if not forwarding:
        needed.append(context.fix("forwarding"))
    elif shared := _shared_address(context):
        seen.append(f"rtdemo takes all clients for {shared}")
        needed.append(context.fix("trust in proxies"))
    return Finding("warn" if needed else "ok", "; ".join(seen), " and ".join(needed))


def _shared_address(context: Context) -> str:
    """Return the address that all clients have if the server trusts no proxy; else an empty text."""
    received, remote = _received_headers(context), str(context.received.get("remote", ""))
    reported = ",".join(received.get(name, "") for name in ("x-forwarded-for", "forwarded"))
    parts = (part.lower().rpartition("for=")[2].strip('" ') for part in re.split("[,;]", reported))
    is_reported = normal_address(remote) in map(normal_address, filter(None, parts))
    return "" if reported == "," or is_reported else remote


async def page(context: Context) -> Finding:
    """Load the page and its first script."""
    async with context.http.get(context.url("/")) as response:
        text = await response.text(errors="replace")
    if response.status != 200 or response.content_type != "text/html":
        seen = f"answered {response.status}, {response.content_type}: {first_line(text)}"
        return Finding("fail", seen)
    module = _FIRST_SCRIPT.search(text)
    if module is None:
        verdict: Verdict = "fail" if "rtdemo" in context.available else "ok"
        return Finding(verdict, f"{len(text)} characters of HTML without a script")
    async with context.http.get(urljoin(str(response.url), module[1])) as script:
        content_type = script.content_type
    if script.status != 200 or "javascript" not in content_type:
        fix = f"configure the proxy to forward {module[1]} too"
        return Finding("fail", f"its module {module[1]} returned {script.status}, {content_type}", fix)
    return Finding("ok", f"200 with its module {module[1]}")


async def origin(context: Context) -> Finding:
    """Check that the server accepts requests from its own page and refuses those from other pages.

    The requests are POSTs: the same rule applies to them, and they need no WebSocket. No client has
    the id that they name, so the server answers 404 to each request that passes the rule.
    """
    own, line = await _post(context, context.address.origin)
    foreign, _ = await _post(context, FOREIGN_ORIGIN)
    seen = f"own page {_outcome(own)} ({own}), foreign page {_outcome(foreign)} ({foreign})"
    if own == FORBIDDEN:
        fix = context.fix("host", origin=context.address.origin)
        return Finding("fail", f"the server refuses its own page: {own} {line}", fix)
    return Finding("ok", seen) if foreign == FORBIDDEN else Finding("fail", seen, context.fix("origin"))


def _outcome(status: int) -> str:
    return "refused" if status == FORBIDDEN else "accepted"


async def _post(context: Context, origin: str) -> tuple[int, str]:
    url = context.url("/api/messages?client=nobody")
    async with context.http.post(url, headers={"Origin": origin}, data=b"") as response:
        return response.status, first_line(await response.text(errors="replace"))
