"""Find out from the first answers whether URL is the address of something that can be checked.

Behind a faulty proxy, one request may be answered otherwise than the next. So an address counts as wrong
only if several requests agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from rtdemo.errors import may_heal
from rtdemo.lab.doctor.answers import explain, is_from_rtdemo, who
from rtdemo.lab.doctor.context import PROBE_PREFIX, Context
from rtdemo.lab.doctor.errors import NETWORK_ERRORS, CannotRunError, NotTestedError, first_line
from rtdemo.lab.doctor.exchange import EVENT_STREAM, Answer, request
from rtdemo.lab.doctor.websocket_client import RefusedError, open_socket
from rtdemo.protocol.address import hint_at_server

LOGIN_REFUSALS = (401, 403, 429)
"""Statuses of rtdemo without a valid login token, and after too many wrong ones."""
TRIES = 3
"""Requests that have to be refused: a load balancer may forward each of them to another server."""
_NOT_FOUND, _METHOD_NOT_ALLOWED, _UPGRADE_REQUIRED = 404, 405, 426
_OF_HANDSHAKES = (400, _NOT_FOUND, _METHOD_NOT_ALLOWED, _UPGRADE_REQUIRED)
"""Statuses that may show what a proxy does to a handshake: the check of the upgrade explains them."""
_MOST_BASES = 4
"""Paths at which rtdemo is looked for."""


class _Refusal(NamedTuple):
    answer: Answer
    text: str


async def check_one_stream(context: Context, answer: Answer, text: str) -> None:
    """Check that the address of one stream is not refused each time: then no check would show more.

    Arguments:
        context: of the run.
        answer: to the first request, which was an ordinary one.
        text: the beginning of its body; empty for an answer that is no error.

    Raises:
        CannotRunError: if nothing is there, if it is a web page, if it redirects, or if it refuses this
            user.
    """
    # A server may have a page and a WebSocket at one address.
    is_socket = "websocket" in context.address.streams
    first = await _open_websocket(context) if is_socket else _Refusal(answer, text)
    is_page = answer.status == 200 and answer.media_type == "text/html"
    # Another answer to the handshake, such as 502, may be the fault of a proxy: its checks explain it.
    if is_page and first is not None and first.answer.status in (200, _NOT_FOUND):
        raise _page_error(context)
    found = await _agreed(context, first)
    if found is None:
        return
    if found.answer.status == _NOT_FOUND:
        raise await _missing_error(context, found)
    raise refused_error(context, found.answer, found.text)


def refused_error(context: Context, answer: Answer, text: str) -> CannotRunError:
    """Return an answer with which nothing can be checked as an error.

    Arguments:
        context: of the run.
        answer: as `explain` takes it.
        text: the beginning of its body.
    """
    try:
        found = explain(context, answer, text)
    except NotTestedError as error:
        return CannotRunError("rate-limited", str(error))
    return CannotRunError(found.code, found.seen, _other_way(context, answer) or found.fix)


def _other_way(context: Context, answer: Answer) -> str:
    """Return how to check an address that takes another kind of request; empty if it names none."""
    address = context.address
    path = f"{address.base_path}/" if address.is_whole else urlsplit(_url(context)).path
    url = address.origin + path
    if answer.status == _UPGRADE_REQUIRED and answer.header("Upgrade").lower() == "websocket":
        hint = hint_at_server(url)
        if address.is_whole or (is_from_rtdemo(answer) and not path.endswith("/ws")):
            # Such as the port that rtdemo has for WebSocket alone. Its answer names the page.
            hint = "for an rtdemo server, give the address of its page"
        return f"for this WebSocket, give ws{url.removeprefix('http')}; {hint}"
    methods = {each.strip().upper() for each in answer.header("Allow").split(",")}
    if answer.status == _METHOD_NOT_ALLOWED and "POST" in methods and "GET" not in methods:
        if is_from_rtdemo(answer):
            return hint_at_server(url)  # --post would publish its body
        return "it takes no GET: for a stream that answers POST, give its body: --post body.json"
    return ""


async def check_base_path(context: Context, answer: Answer) -> None:
    """Check a base path at which two different requests were answered 404.

    Arguments:
        context: of the run.
        answer: to the first of them.

    Raises:
        CannotRunError: if rtdemo gave it, or is at a path above: then the base path is wrong.
    """
    base, is_own = context.address.base_path, is_from_rtdemo(answer)
    found = await _find_server(context, base.rpartition("/")[0]) if base else None
    if not base or not (found or is_own):
        return
    start = context.fix("base path", path=base)
    fixes = [f"give {found}, where rtdemo answers"] if found else []
    seen = f"there is no rtdemo server at {context.url('/')}: {who(context, answer)} answered 404"
    raise CannotRunError("not-found", seen, "; or ".join([*fixes, start] if is_own else fixes))


async def _agreed(context: Context, found: _Refusal | None) -> _Refusal | None:
    """Return a final refusal if further requests are refused too.

    Arguments:
        context: of the run.
        found: the first refusal; None for none.
    """
    for number in range(TRIES):
        if number:
            found = await _open_again(context)
        if found is None or not _is_final(context, found.answer):
            return None
        if found.answer.status in LOGIN_REFUSALS and is_from_rtdemo(found.answer):
            # Another wrong token would bring this address closer to being locked out.
            break
    return found


def _is_final(context: Context, answer: Answer) -> bool:
    """Return whether a stream that is answered so would be answered so again."""
    status = answer.status
    if is_from_rtdemo(answer) and status in (*LOGIN_REFUSALS, _NOT_FOUND):
        return True
    if "websocket" in context.address.streams and status in _OF_HANDSHAKES:
        return False
    return 300 <= status < 500 and not may_heal(status)


async def _open_again(context: Context) -> _Refusal | None:
    is_socket = "websocket" in context.address.streams
    return await (_open_websocket(context) if is_socket else _open_event_stream(context))


async def _open_event_stream(context: Context) -> _Refusal | None:
    """Ask for the event stream; return the answer if it is an error."""
    url = context.address.stream("sse")
    try:
        async with asyncio.timeout(context.patience), request(context, url, EVENT_STREAM) as answer:
            return _Refusal(answer, await answer.text()) if answer.status >= 300 else None
    except (TimeoutError, *NETWORK_ERRORS):
        return None


async def _open_websocket(context: Context) -> _Refusal | None:
    """Open the WebSocket; return the answer if it was another one."""
    url = context.address.stream("websocket")
    try:
        async with asyncio.timeout(context.patience), open_socket(context, url):
            return None
    except RefusedError as error:
        return _Refusal(error.answer, error.text)
    except (TimeoutError, *NETWORK_ERRORS):
        return None


def _url(context: Context) -> str:
    """Return the URL of the one stream, without its query, which may be a secret."""
    return context.address.stream(context.address.transports[0]).partition("?")[0]


def _page_error(context: Context) -> CannotRunError:
    url = _url(context)
    return CannotRunError("html-answer", f"{url} is a web page, not a stream", _other_address(context))


def _other_address(context: Context) -> str:
    path = urlsplit(_url(context)).path
    return f"give the address of a stream; {hint_at_server(context.address.origin + path)}"


async def _missing_error(context: Context, found: _Refusal) -> CannotRunError:
    line = first_line(found.text) if is_from_rtdemo(found.answer) else ""
    said = f": {line}" if line else ""
    seen = f"there is no stream at {_url(context)}: {who(context, found.answer)} answered 404{said}"
    server = await _find_server(context, urlsplit(_url(context)).path.rstrip("/"))
    fix = f"give {server}, where rtdemo answers" if server else _other_address(context)
    return CannotRunError("not-found", seen, fix)


async def _find_server(context: Context, path: str) -> str | None:
    """Return the address of rtdemo at a path or above it; None if it is at none of them.

    Arguments:
        context: of the run.
        path: at which to begin, without a slash at its end.
    """
    try:
        async with asyncio.timeout(context.patience):
            for base in _bases(path):
                url = f"{context.address.origin}{base}/"
                wanted = url + PROBE_PREFIX.removeprefix("/")
                async with request(context, f"{wanted}request") as answer:
                    # Without probes, it answers 404 and says so.
                    is_other = answer.status == _NOT_FOUND and "--probes" not in await answer.text()
                    if is_from_rtdemo(answer) and not is_other:
                        return url
    except (TimeoutError, *NETWORK_ERRORS):
        pass
    return None


def _bases(path: str) -> Iterator[str]:
    """Yield a path and those above it; of many, the shortest ones."""
    parts = path.split("/")
    for count in range(min(len(parts), _MOST_BASES), 0, -1):
        yield "/".join(parts[:count])
