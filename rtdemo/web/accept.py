"""Which media types a client accepts (RFC 9110 section 12.5.1)."""

from __future__ import annotations

from aiohttp import hdrs, web

MAX_CHARACTERS = 1000
"""Characters of a client's `Accept` that are read. Browsers send under 200; each range costs time."""


def accepts(request: web.BaseRequest, media_type: str) -> bool:
    """Return whether a client accepts a media type; without an `Accept` header it accepts all.

    The most specific range decides: `*/*, text/event-stream;q=0` excludes text/event-stream.

    Arguments:
        request: the request.
        media_type: such as `text/event-stream`, in lower case.
    """
    given = ",".join(request.headers.getall(hdrs.ACCEPT, []))[:MAX_CHARACTERS].lower()
    if given in (media_type, "*/*") or not given.strip(" \t,"):
        return True
    ranges = dict(_range(part) for part in given.split(","))
    kind = media_type.partition("/")[0]
    return next((ranges[r] for r in (media_type, f"{kind}/*", "*/*") if r in ranges), False)


def _range(text: str) -> tuple[str, bool]:
    """Return a media range, and whether it is accepted: its weight is not 0."""
    name, *parameters = (part.strip() for part in text.split(";"))
    weights = [value.strip() for key, _, value in (p.partition("=") for p in parameters) if key == "q"]
    return name, not any(weight.startswith("0") and not weight.strip("0.") for weight in weights)
