"""The clauses that the checks cite, and where to read them."""

from __future__ import annotations

import re

_HTML = {
    "9.2.1": "server-sent-events-intro",
    "9.2.3": "sse-processing-model",
    "9.2.4": "the-last-event-id-header",
    "9.2.5": "parsing-an-event-stream",
    "9.2.6": "event-stream-interpretation",
    "9.2.7": "authoring-notes",
}
"""Sections of WHATWG HTML, and their anchors: the numbers may change, the anchors do not."""
_FETCH = {
    "CORS protocol": "http-cors-protocol",
    "CORS check": "cors-check",
    "CORS protocol and HTTP caches": "cors-protocol-and-http-caches",
    "CORS-preflight fetch": "cors-preflight-fetch",
}


NGINX = "nginx, proxy_buffering"
"""No standard: the documentation of the most common proxy."""


def html(section: str) -> str:
    """Return the clause of a section of WHATWG HTML.

    Arguments:
        section: its number; or `text/event-stream`, the registration of the media type.
    """
    return f"WHATWG HTML {section}"


def rfc(number: int, section: str) -> str:
    """Return the clause of a section of an RFC."""
    return f"RFC {number} section {section}"


def fetch(section: str) -> str:
    """Return the clause of a section of WHATWG Fetch, by its title."""
    return f"WHATWG Fetch, {section}"


def url(clause: str) -> str:
    """Return where to read a clause."""
    if found := re.fullmatch(r"RFC (\d+) section (.+)", clause):
        return f"https://www.rfc-editor.org/rfc/rfc{found[1]}#section-{found[2]}"
    if clause.startswith("WHATWG Fetch, "):
        return f"https://fetch.spec.whatwg.org/#{_FETCH[clause.removeprefix('WHATWG Fetch, ')]}"
    if clause == NGINX:
        return "https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering"
    section = clause.removeprefix("WHATWG HTML ")
    page = "iana.html#text/event-stream" if section == "text/event-stream" else ""
    return "https://html.spec.whatwg.org/multipage/" + (
        page or f"server-sent-events.html#{_HTML[section]}"
    )
