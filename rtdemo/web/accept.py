"""Which media types and content codings a client accepts (RFC 9110 sections 12.5.1 and 12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aiohttp import hdrs, web

MAX_CHARACTERS = 1000
"""Characters of a client's header that are read. Browsers send under 200; each range costs time."""
_WEIGHT = re.compile(r"0(\.[0-9]*)?|1(\.0*)?")


def accepts(request: web.BaseRequest, media_type: str) -> bool:
    """Return whether a client accepts a media type; without an `Accept` header it accepts all.

    The most specific range decides: `*/*, text/event-stream;q=0` excludes text/event-stream.

    Arguments:
        request: the request.
        media_type: such as `text/event-stream`, in lower case.
    """
    if request.headers.getall(hdrs.ACCEPT, []) == [media_type]:
        return True  # as every EventSource asks, and nothing to read
    given = _given(request, hdrs.ACCEPT)
    if given in (media_type, "*/*") or not given.strip(" \t,"):
        return True
    kind = media_type.partition("/")[0]
    return bool(_weight(_ranges(given), (media_type, f"{kind}/*", "*/*")))


def content_coding(request: web.BaseRequest) -> str | None:
    """Return the content coding that a client prefers: `gzip`, `identity`, or None if it excludes both.

    Without `Accept-Encoding` it is `identity`. With equal weights it is `gzip`.
    """
    ranges = _ranges(_given(request, hdrs.ACCEPT_ENCODING))
    compressed = _weight(ranges, ("gzip", "x-gzip", "*")) or 0.0
    # What is not listed at all is acceptable as it is, but the client prefers what it lists.
    plain = _weight(ranges, ("identity", "*"))
    if compressed and compressed >= (plain or 0.0):
        return "gzip"
    return None if plain == 0.0 else "identity"


def _given(request: web.BaseRequest, header: str) -> str:
    return ",".join(request.headers.getall(header, []))[:MAX_CHARACTERS].lower()


def _ranges(given: str) -> dict[str, float]:
    """Return the weight of each range that a header lists."""
    return dict(_range(part) for part in given.split(","))


def _weight(ranges: dict[str, float], names: Iterable[str]) -> float | None:
    """Return the weight of the first range that is listed; None if none is."""
    return next((ranges[name] for name in names if name in ranges), None)


def _range(text: str) -> tuple[str, float]:
    """Return a range and its weight: 1 where it has none, or one that cannot be read."""
    name, *parameters = (part.strip() for part in text.split(";"))
    weights = [value.strip() for key, _, value in (p.partition("=") for p in parameters) if key == "q"]
    return name, next((float(weight) for weight in weights if _WEIGHT.fullmatch(weight)), 1.0)
