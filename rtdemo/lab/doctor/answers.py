"""What an answer means that is not the expected one: its code, who gave it, and the fix."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from rtdemo.lab.doctor.errors import AnswerError, Diagnosis, NotTestedError, first_line
from rtdemo.lab.doctor.exchange import Answer

if TYPE_CHECKING:
    from rtdemo.lab.doctor.context import Context

_RTDEMO_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of each answer of rtdemo but the page."""
_CODES = {
    401: ("sign-in", "sign in"),
    403: ("forbidden", "forbidden"),
    404: ("not-found", "path"),
    405: ("not-found", "path"),
    407: ("sign-in", "sign in"),
    408: ("gateway-timeout", "gateway timeout"),
    413: ("size-limit", "large"),
    429: ("rate-limited", "rate limit"),
    500: ("server-error", ""),
    502: ("bad-gateway", "backend"),
    503: ("overloaded", "overloaded"),
    504: ("gateway-timeout", "gateway timeout"),
}
"""By HTTP status: the code of the finding and the key of its fix."""
_SIGN_IN = re.compile(
    r"log-?in|sign[-_]?in|oauth|saml|(?<![a-z])(auth|authorize|authenticate|sso|accounts?)(?![a-z])"
)
"""What is in the path of a page at which users sign in; short words only by themselves."""
_SIGN_IN_HOST = re.compile(r"(login|signin|sign-in|oauth2?|saml|auth|sso|accounts?|id)\.")
"""Beginning of a host at which users sign in."""


def is_from_rtdemo(answer: Answer) -> bool:
    """Return whether rtdemo has given an answer, and no proxy before it."""
    return answer.header("Content-Security-Policy") == _RTDEMO_POLICY


def who(context: Context, answer: Answer) -> str:
    """Return who has given an answer, such as `nginx`."""
    if is_from_rtdemo(answer):
        return "rtdemo"
    server = answer.header("Server").partition("/")[0].strip()
    if server:
        return server[:40]
    return " or ".join(context.proxies) or "a proxy, not rtdemo,"


def check_stream(context: Context, answer: Answer, text: str = "") -> None:
    """Raise an error unless an answer is an event stream.

    Raises:
        AnswerError: with what the answer means.
        NotTestedError: rtdemo limits how often probes may run.
    """
    if answer.status != 200:
        raise AnswerError(explain(context, answer, text))
    if answer.media_type == "text/event-stream":
        return
    if answer.media_type == "text/html":
        seen = "answered 200 with an HTML page instead of an event stream"
        fix = context.fix("path", path=urlsplit(context.address.stream("sse")).path)
        raise AnswerError(Diagnosis("fail", seen, fix, "html-answer"))
    given = answer.media_type or "no media type"
    seen = f"answered 200 with {given}, not an event stream"
    raise AnswerError(context.fault("sse-not-open", seen, "media type"))


def explain(context: Context, answer: Answer, text: str) -> Diagnosis:
    """Return what an answer means that is not the expected one.

    Arguments:
        context: of the run.
        answer: its status is not the expected one.
        text: the beginning of its body.

    Raises:
        NotTestedError: rtdemo limits how often probes may run.
    """
    status, by, line = answer.status, who(context, answer), first_line(text)
    own = is_from_rtdemo(answer)
    said = f": {line}" if own and line else ""
    if own and status == 429 and "probe" in line:
        raise NotTestedError(f"rate-limited: {line}")
    if 300 <= status < 400:
        return _explain_redirect(context, answer)
    if own and status == 421:
        return _explain_host(context, line)
    code, symptom = _CODES.get(status, ("unexpected-status", ""))
    if own and status == 401:
        symptom = "login"
    elif own and symptom in ("rate limit", "overloaded", "forbidden", "path", "backend"):
        symptom = ""  # its line has the advice
    retry = answer.header("Retry-After")
    later = f" (Retry-After: {retry[:20]})" if retry and status in (429, 503) else ""
    meaning = "" if said else _meaning(status)
    figures = {"status": status}
    fix = context.fix(symptom, path=_path_of(context)) if symptom else ""
    return Diagnosis("fail", f"{by} answered {status}{later}{meaning}{said}", fix, code, figures)


def _explain_host(context: Context, line: str) -> Diagnosis:
    """Return why rtdemo does not serve the name in the header Host."""
    host = context.address.host
    if f"'{host}" in line:
        seen = f"rtdemo does not serve the name {host} (421)"
        return Diagnosis("fail", seen, f"start rtdemo with --allow-host {host}", "host-not-allowed")
    seen = f"Host was rewritten on the way, so rtdemo refuses each request (421): {line}"
    fix = context.fix("host", origin=context.address.origin)
    return Diagnosis("fail", seen, fix, "host-rewritten", {"status": 421})


def _path_of(context: Context) -> str:
    return f"{context.address.base_path}/"


def _meaning(status: int) -> str:
    """Return what a status means on this path, as the end of a sentence; may be empty."""
    return {
        401: ": a sign-in is needed",
        403: ": the request is refused",
        404: ": this path is not forwarded to rtdemo",
        408: ": the request took too long",
        429: ": too many requests",
        502: ": it cannot reach rtdemo, or rtdemo cut the connection",
        503: ": it has no server for the request, or too many requests",
        504: ": rtdemo did not answer it in time",
    }.get(status, "")


def _explain_redirect(context: Context, answer: Answer) -> Diagnosis:
    location = answer.header("Location")
    figures = {"status": answer.status}
    try:
        target = urlsplit(urljoin(_requested(context), location))
    except ValueError:
        seen = f"redirected to {location[:120]!r}, which is no address ({answer.status})"
        return Diagnosis("fail", seen, "", "redirected", figures)
    shown = f"{target.scheme}://{target.netloc}{target.path}"[:120]
    if is_sign_in(location):
        seen = f"redirected to a sign-in page: {shown}"
        return Diagnosis("fail", seen, context.fix("sign in"), "sign-in", figures)
    seen = f"redirected to {shown} ({answer.status})"
    fix = "give the address to which it redirects"
    return Diagnosis("fail", seen, fix, "redirected", figures)


def _requested(context: Context) -> str:
    """Return the URL that a relative `Location` counts from: that of the server, or of one stream."""
    address = context.address
    if address.is_whole:
        return context.url("/")
    return address.origin + urlsplit(address.stream(address.transports[0])).path


def is_sign_in(location: str) -> bool:
    """Return whether an address looks like that of a sign-in page."""
    parts = urlsplit(location.lower())
    return bool(_SIGN_IN.search(parts.path) or _SIGN_IN_HOST.match(parts.hostname or ""))
