"""Tokens for tests of login, made with the library that issuers use."""

from __future__ import annotations

import time
from typing import Any

import jwt

SECRET = "a secret of the tests, which is long enough for the tests of HS512 too"
HOUR_S = 3600


def token(user: object = "ann", seconds: float = HOUR_S, key: Any = SECRET, **claims: object) -> str:
    """Return a token that is valid for some seconds; a claim that is None is left out."""
    algorithm = str(claims.pop("algorithm", "HS256"))
    headers: Any = claims.pop("headers", None)
    given = {"sub": user, "exp": int(time.time() + seconds), **claims}
    payload = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(payload, key, algorithm, headers)


def bearer(given: str) -> dict[str, str]:
    """Return the header with a token."""
    return {"Authorization": f"Bearer {given}"}
