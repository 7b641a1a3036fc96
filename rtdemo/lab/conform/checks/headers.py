"""Header fields of the stream: caching, and how pages of other origins may read it."""

from __future__ import annotations

import re

from rtdemo.lab.conform.check import (
    Check,
    Evidence,
    Outcome,
    exchange_judge,
    met,
    missed,
    untested,
)
from rtdemo.lab.conform.clauses import NGINX, fetch, rfc
from rtdemo.lab.conform.exchange import Exchange, Request
from rtdemo.lab.http_response import Response

ORIGIN = "https://conform.invalid"
"""Origin of a foreign page (RFC 2606: .invalid is no real name)."""
_DIRECTIVE = re.compile(r"""[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"[^"]*"))?""")
_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/?#\s,]+", re.ASCII)

PROBES = {
    "origin": Request(f"with Origin: {ORIGIN}", lines=(f"Origin: {ORIGIN}",)),
    "preflight": Request(
        f"OPTIONS as a browser sends it before a request with Last-Event-ID, from {ORIGIN}",
        method="OPTIONS",
        replaced={"Accept": "*/*", "Cache-Control": None},
        lines=(
            f"Origin: {ORIGIN}",
            "Access-Control-Request-Method: GET",
            "Access-Control-Request-Headers: last-event-id",
        ),
    ),
}


def _directives(response: Response) -> dict[str, str]:
    found = {}
    for member in response.members("Cache-Control"):
        name, _, value = member.partition("=")
        found[name] = value
    return found


def _not_reused(evidence: Evidence) -> Outcome:
    value = evidence.response.value("Cache-Control")
    directives = _directives(evidence.response)
    if {"no-store", "no-cache"} & directives.keys():
        return met(f"Cache-Control: {value}")
    if {"max-age", "s-maxage"} & directives.keys():
        return untested("it has a lifetime")
    return missed(f"Cache-Control: {value}" if value else "no Cache-Control")


def _not_fresh(evidence: Evidence) -> Outcome:
    directives = _directives(evidence.response)
    if {"no-store", "no-cache"} & directives.keys():
        return met("no-store or no-cache")
    for name in ("s-maxage", "max-age"):
        if directives.get(name, "0").strip('"').lstrip("0"):
            return missed(f"{name}={directives[name]}: a cache may answer later clients with old events")
    return met("no max-age above 0")


def _syntax(evidence: Evidence) -> Outcome:
    value = evidence.response.value("Cache-Control")
    if value is None:
        return untested("no Cache-Control")
    # A quoted argument may have commas.
    parts = [part.strip() for part in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', value)]
    bad = [part for part in parts if part and not _DIRECTIVE.fullmatch(part)]
    return missed(f"{bad[0]!r} is no directive") if bad else met(value)


def _no_transform(evidence: Evidence) -> Outcome:
    value = evidence.response.value("Cache-Control")
    if {"no-transform", "no-store"} & _directives(evidence.response).keys():
        return met(f"Cache-Control: {value}")
    return missed(f"Cache-Control: {value}" if value else "no Cache-Control")


def _accel(evidence: Evidence) -> Outcome:
    value = evidence.response.value("X-Accel-Buffering")
    seen = f"X-Accel-Buffering: {value}" if value else "no X-Accel-Buffering"
    return met(seen) if value == "no" else missed(seen)


def _no_age(evidence: Evidence) -> Outcome:
    age = evidence.response.value("Age")
    return met("no Age") if age is None else missed(f"Age: {age}: the response is from a cache")


def _allowed_origin(exchange: Exchange) -> str | None:
    return exchange.response.value("Access-Control-Allow-Origin")


def _cors_value(exchange: Exchange) -> Outcome:
    values = exchange.response.values("Access-Control-Allow-Origin")
    if not values:
        return untested("no Access-Control-Allow-Origin: pages of other origins may not read the stream")
    text = ", ".join(values)
    if len(values) > 1 or not _ORIGIN.fullmatch(values[0]):
        return missed(f"Access-Control-Allow-Origin: {text}")
    return met(text)


def _cors_credentials_value(exchange: Exchange) -> Outcome:
    value = exchange.response.value("Access-Control-Allow-Credentials")
    if value is None:
        return untested("no Access-Control-Allow-Credentials")
    seen = f"Access-Control-Allow-Credentials: {value}"
    return met(seen) if value == "true" else missed(seen)


def _cors_wildcard(exchange: Exchange) -> Outcome:
    credentials = exchange.response.value("Access-Control-Allow-Credentials")
    if credentials != "true" or _allowed_origin(exchange) is None:
        return untested("cookies of other origins are not allowed")
    if _allowed_origin(exchange) == "*":
        return missed("Access-Control-Allow-Credentials with Access-Control-Allow-Origin: *")
    return met(f"Access-Control-Allow-Origin: {_allowed_origin(exchange)}")


def _cors_any_origin(exchange: Exchange) -> Outcome:
    allowed = _allowed_origin(exchange)
    credentials = exchange.response.value("Access-Control-Allow-Credentials")
    if allowed == ORIGIN and credentials == "true":
        return missed(f"any page, such as {ORIGIN}, may read the stream with the user's cookies")
    return met(
        f"a foreign page may read it: {'yes' if allowed in ('*', ORIGIN) else 'no'}; with cookies: no"
    )


def _cors_vary(exchange: Exchange) -> Outcome:
    allowed = _allowed_origin(exchange)
    if allowed != ORIGIN:
        return untested("Access-Control-Allow-Origin does not repeat the request's Origin")
    if "no-store" in _directives(exchange.response):
        return met("Cache-Control: no-store")
    vary = exchange.response.members("Vary")
    return met("Vary: Origin") if {"origin", "*"} & set(vary) else missed("no Vary: Origin")


def _preflight(evidence: Evidence) -> Outcome:
    allowed = _allowed_origin(evidence.exchanges["origin"])
    if allowed not in ("*", ORIGIN):
        return untested("pages of other origins may not read the stream")
    response = evidence.exchanges["preflight"].response
    headers = response.members("Access-Control-Allow-Headers")
    if not 200 <= response.status < 300 or _allowed_origin(evidence.exchanges["preflight"]) is None:
        return missed(f"GET is allowed from other origins, and OPTIONS is answered {response.status}")
    if not {"*", "last-event-id"} & set(headers):
        return missed(f"Access-Control-Allow-Headers: {', '.join(headers) or 'none'}")
    return met(f"{response.status}, Access-Control-Allow-Headers: {', '.join(headers)}")


CHECKS = (
    Check(
        "not-from-cache",
        "caching",
        "advice",
        rfc(9111, "4.2.2"),
        "Cache-Control has no-store or no-cache; without it, a cache may keep a 200 by its own rules.",
        "Send Cache-Control: no-cache.",
        _not_reused,
    ),
    Check(
        "not-fresh",
        "caching",
        "advice",
        rfc(9111, "4.2.1"),
        "The response has no lifetime in caches.",
        "Remove max-age and s-maxage; send Cache-Control: no-cache.",
        _not_fresh,
    ),
    Check(
        "cache-control-syntax",
        "caching",
        "MUST",
        rfc(9111, "5.2"),
        "Cache-Control is a list of directives, separated by commas.",
        "Write Cache-Control: no-cache, no-transform.",
        _syntax,
    ),
    Check(
        "no-transform",
        "caching",
        "advice",
        rfc(9111, "5.2.2.6"),
        "Cache-Control has no-transform (or no-store): proxies that compress hold events back.",
        "Send Cache-Control: no-cache, no-transform.",
        _no_transform,
    ),
    Check(
        "no-age",
        "caching",
        "advice",
        rfc(9111, "5.1"),
        "The stream is from the server itself, and not from a cache on the way.",
        "Exclude the stream from the cache of your proxy or CDN.",
        _no_age,
    ),
    Check(
        "no-nginx-buffering",
        "caching",
        "advice",
        NGINX,
        "X-Accel-Buffering: no is sent; nginx in front of the server holds events back without it.",
        "Send X-Accel-Buffering: no; other proxies ignore it.",
        _accel,
    ),
    Check(
        "cors-origin-value",
        "cors",
        "MUST",
        fetch("CORS protocol"),
        "Access-Control-Allow-Origin is one origin, null or *. Browsers refuse several.",
        "Send it once, with the origin of the request if that is allowed.",
        exchange_judge("origin", _cors_value),
        probe="origin",
    ),
    Check(
        "cors-credentials-value",
        "cors",
        "MUST",
        fetch("CORS protocol"),
        "Access-Control-Allow-Credentials is `true` in lower case, or is not sent.",
        "Send `true`, or leave the field out.",
        exchange_judge("origin", _cors_credentials_value),
        probe="origin",
    ),
    Check(
        "cors-no-wildcard-with-credentials",
        "cors",
        "advice",
        fetch("CORS check"),
        "With Access-Control-Allow-Credentials, the origin is named: browsers refuse * with cookies.",
        "Answer with the origin of the request if it is allowed, and Vary: Origin.",
        exchange_judge("origin", _cors_wildcard),
        probe="origin",
    ),
    Check(
        "cors-not-any-origin-with-credentials",
        "cors",
        "advice",
        fetch("CORS protocol"),
        "Not every page of the web may read the stream with the user's cookies.",
        "Compare Origin with a list of your own pages before you repeat it.",
        exchange_judge("origin", _cors_any_origin),
        probe="origin",
    ),
    Check(
        "cors-vary",
        "cors",
        "SHOULD",
        fetch("CORS protocol and HTTP caches"),
        "A response that repeats the request's Origin has Vary: Origin.",
        "Send Vary: Origin.",
        exchange_judge("origin", _cors_vary),
        probe="origin",
    ),
    Check(
        "cors-preflight",
        "cors",
        "advice",
        fetch("CORS-preflight fetch"),
        "If other origins may read the stream, they may also send Last-Event-ID: clients with fetch()"
        " ask first, by OPTIONS.",
        "Answer OPTIONS with 204, Access-Control-Allow-Origin and Access-Control-Allow-Headers:"
        " Last-Event-ID.",
        _preflight,
        probe="preflight",
        control="origin",
    ),
)
