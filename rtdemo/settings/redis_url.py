"""Read the URL of a Redis: its client lets a query override whatever it is called with."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

SCHEMES = ("redis", "rediss", "unix")
_PARAMETERS = ("db", "username", "password")
_OVER_TLS = (
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
    "ssl_password",
)


def check(url: str) -> None:
    """See that a URL names a Redis and sets nothing that the engine relies on.

    Raises:
        ValueError: what is wrong, without what may be secret.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError("host or port cannot be read") from error
    if parts.scheme not in SCHEMES:
        raise ValueError("the URL does not begin with redis://, rediss:// or unix://")
    if parts.fragment:
        raise ValueError("it has a #; in a password that is %23")
    if port == 0:
        raise ValueError("there is no port 0")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    database = given.get("db", "0" if parts.scheme == "unix" else parts.path[1:] or "0")
    if not re.fullmatch(r"[0-9]{1,9}", database):
        raise ValueError("the database is no number")
    known = _PARAMETERS + (_OVER_TLS if parts.scheme == "rediss" else ())
    for name in given:
        if name not in known:
            raise ValueError(f"{name[:40]!r} cannot be set here, only {', '.join(known)}")
