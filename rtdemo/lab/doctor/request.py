"""See what becomes of a request on its way to the server, and of the answer."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urljoin, urlsplit

from rtdemo.lab.doctor import fixes
from rtdemo.lab.doctor.context import PROBE, TIMEOUT, Path
from rtdemo.lab.doctor.errors import FAULTS, CannotRunError, decode, describe, first_line
from rtdemo.lab.doctor.network import speaks_tls
from rtdemo.lab.doctor.streams import AS_A_BROWSER
from rtdemo.plugin_system.checks import Finding, Verdict

_MODULE = re.compile(r"""<script[^>]+src=["']([^"']+)""")


async def learn(path: Path) -> None:
    """Ask the server how this request arrived, and so learn what it is and what lies before it.

    Raises:
        CannotRunError: where no HTTP is spoken, or behind TLS only.
    """
    asking = path.http.get(_asked(path), allow_redirects=False, headers=AS_A_BROWSER)
    try:
        async with asyncio.timeout(TIMEOUT), asking as answer:
            # A stream has no end.
            text = await answer.text(errors="replace") if path.address.is_whole else ""
    except FAULTS as error:
        await _refuse_tls(path)
        raise CannotRunError(f"{path.address.origin} speaks no HTTP: {describe(error)}") from error
    if answer.status == 400:
        await _refuse_tls(path)
    _refuse_redirect(path, answer.headers.get("Location", ""))
    path.host = answer.request_info.headers["Host"]
    version = answer.version
    path.answered = f"{version.major}.{version.minor}" if version else "?"
    _identify(path, answer.status, text)
    headers = [(name.decode(), value.decode(errors="replace")) for name, value in answer.raw_headers]
    path.proxy = fixes.recognise(headers, path.seen.get("headers", {}))


def _asked(path: Path) -> str:
    if path.address.is_whole:
        return path.url(f"{PROBE}request")
    given = path.address.stream(path.address.transports[0])
    return f"http{given.removeprefix('ws')}" if given.startswith("ws") else given


def _identify(path: Path, status: int, text: str) -> None:
    told = decode(text)
    if not path.address.is_whole:
        path.there = {"stream"}
    elif status == 200 and isinstance(told, dict) and isinstance(told.get("headers"), dict):
        path.seen = told
        path.there = {"page", "stream", "rtdemo", "probes"}
    elif status == 429 or (status == 404 and "--probes" in text):
        path.why = first_line(text)
        path.there = {"page", "stream", "rtdemo"}
    else:
        path.why = f"GET {PROBE}request was answered {status}"
        path.there = {"page"}
    path.there.update(path.address.transports)


def _refuse_redirect(path: Path, location: str) -> None:
    there = urlsplit(location)
    origin = f"{there.scheme}://{there.netloc}"
    if there.netloc and origin != path.address.origin:
        raise CannotRunError(f"{path.address.origin} redirects to {origin}; give that")


async def _refuse_tls(path: Path) -> None:
    if not path.address.secure and await speaks_tls(path):
        secure = path.address.origin.replace("http", "https", 1)
        raise CannotRunError(f"{path.address.origin} speaks TLS; give {secure}")


def server(path: Path, left_out: list[str]) -> Finding:
    """Say what the server is and what lies before it."""
    behind = f" behind {path.proxy or 'a proxy'}" if is_proxied(path) else ""
    untested = f"; not tested: {', '.join(left_out)}" if left_out else ""
    if not path.address.is_whole:
        return Finding("warn", f"one stream, of whatever server{behind}{untested}")
    if "rtdemo" not in path.there:
        return Finding("warn", f"no rtdemo: {path.why}{behind}{untested}")
    if path.why:
        return Finding("warn", f"rtdemo{behind}, but {path.why}{untested}")
    return Finding("ok", f"rtdemo{behind}" if behind else "rtdemo; no proxy can be seen")


def is_proxied(path: Path) -> bool:
    """Tell whether anything shows that a proxy lies between."""
    told = path.seen.get("forwarding") or path.seen.get("http") == "1.0" or not _keeps_host(path)
    return bool(path.proxy or (path.seen and told))


def _keeps_host(path: Path) -> bool:
    return _arrived(path).get("host") == path.host


def _arrived(path: Path) -> dict[str, str]:
    return {name.lower(): value for name, value in path.seen.get("headers", {}).items()}


async def version(path: Path) -> Finding:
    """Tell the HTTP version on both sides of what lies between."""
    shown = {"h2": "HTTP/2 offered to browsers", "http/1.1": "HTTP/1.1 agreed in TLS"}
    here = shown.get(path.alpn or "", f"HTTP/{path.answered} from here")
    if not path.seen:
        return Finding("ok", here)
    arrived = path.seen.get("http")
    seen = f"{here}, HTTP/{arrived} as it arrives at rtdemo"
    return Finding("warn", seen, path.fix("version")) if arrived == "1.0" else Finding("ok", seen)


async def headers(path: Path) -> Finding:
    """Compare the headers that arrived with those that were sent."""
    told = ", ".join(path.seen.get("forwarding", []))
    if not is_proxied(path):
        return Finding("ok", "arrived as they were sent; no forwarding header")
    seen, mends = [f"forwarding: {told or 'none'}"], []
    if not _keeps_host(path):
        seen.append(f"Host rewritten to {_arrived(path).get('host', 'nothing')!r}")
        mends.append(path.fix("host", origin=path.address.origin))
    if not told:
        mends.append(path.fix("forwarding"))
    return Finding("warn" if mends else "ok", "; ".join(seen), " and ".join(mends))


async def page(path: Path) -> Finding:
    """Load the page and its first module."""
    async with path.http.get(path.url("/")) as answer:
        text = await answer.text(errors="replace")
    if answer.status != 200 or answer.content_type != "text/html":
        return Finding("fail", f"answered {answer.status}, {answer.content_type}: {first_line(text)}")
    module = _MODULE.search(text)
    if module is None:
        verdict: Verdict = "fail" if "rtdemo" in path.there else "ok"
        return Finding(verdict, f"{len(text)} characters of HTML, no script in it")
    async with path.http.get(urljoin(str(answer.url), module[1])) as script:
        kind = script.content_type
    if script.status != 200 or "javascript" not in kind:
        fix = f"let the proxy forward {module[1]} too"
        return Finding("fail", f"its module {module[1]} is answered {script.status}, {kind}", fix)
    return Finding("ok", f"200 with its module {module[1]}")


FOREIGN = "https://foreign.example"
FORBIDDEN = 403


async def origin(path: Path) -> Finding:
    """Speak as the page and as a foreign page does.

    By POST, for which the rule is the same and which needs no WebSocket. No client has this id, so
    whoever the rule lets pass is answered 404.
    """
    own, line = await _post(path, path.address.origin)
    foreign, _ = await _post(path, FOREIGN)
    seen = f"own page {_word(own)} ({own}), a foreign one {_word(foreign)} ({foreign})"
    if own == FORBIDDEN:
        fix = path.fix("host", origin=path.address.origin)
        return Finding("fail", f"the page itself is refused: {own} {line}", fix)
    return Finding("ok", seen) if foreign == FORBIDDEN else Finding("fail", seen, path.fix("origin"))


def _word(status: int) -> str:
    return "refused" if status == FORBIDDEN else "let in"


async def _post(path: Path, origin: str) -> tuple[int, str]:
    url = path.url("/api/messages?client=nobody")
    async with path.http.post(url, headers={"Origin": origin}, data=b"") as answer:
        return answer.status, first_line(await answer.text(errors="replace"))
