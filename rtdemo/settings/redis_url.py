"""Check the URL of a Redis server.

The Redis client lets the URL's query override its own arguments, such as timeouts. The engine relies
on these arguments, so only a few parameters are allowed in the query.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

SCHEMES = ("redis", "rediss", "unix")
_QUERY_PARAMETERS = ("db", "username", "password")
_TLS_QUERY_PARAMETERS = (
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
    "ssl_password",
)


def check(url: str) -> None:
    """Check that a URL names a Redis server and overrides nothing that the engine relies on.

    Raises:
        ValueError: if it does not. The error's text contains no secret.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError("the host or port is malformed") from error
    if parts.scheme not in SCHEMES:
        raise ValueError("the URL does not begin with redis://, rediss:// or unix://")
    if parts.fragment:
        raise ValueError("it contains a #; write # in a password as %23")
    if port == 0:
        raise ValueError("port 0 is not possible")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    database = given.get("db", "0" if parts.scheme == "unix" else parts.path[1:] or "0")
    if not re.fullmatch(r"[0-9]{1,9}", database):
        raise ValueError("the database is not a number")
    known = _QUERY_PARAMETERS + (_TLS_QUERY_PARAMETERS if parts.scheme == "rediss" else ())
    for name in given:
        if name not in known:
            raise ValueError(f"{name[:40]!r} is not allowed in the query, only {', '.join(known)}")
