"""The token of `Authorization: Bearer` (RFC 6750 section 2.1)."""

from __future__ import annotations

import secrets

from aiohttp import hdrs, web

CHALLENGE = {"WWW-Authenticate": "Bearer"}
"""Header of an answer to a request without a token (RFC 6750 section 3)."""
INVALID_TOKEN = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
"""Header of an answer to a request with a token that is not valid (RFC 6750 section 3.1)."""


def bearer_token(request: web.BaseRequest) -> str | None:
    """Return the token of a request; None without one, or with several `Authorization` headers.

    The scheme may have any case (RFC 9110 section 11.1). Bytes that are not UTF-8 become surrogates.
    """
    given = request.headers.getall(hdrs.AUTHORIZATION, [])
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip(" ") or None if scheme.lower() == "bearer" else None


def has_token(request: web.BaseRequest, token: str) -> bool:
    """Return whether a request carries a token.

    Arguments:
        request: the request.
        token: the expected token; with an empty one, no request has it.
    """
    given = bearer_token(request)
    if given is None or not token:
        return False
    return secrets.compare_digest(given.encode(errors="surrogateescape"), token.encode())
