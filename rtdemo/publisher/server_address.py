"""Which server a program publishes to: its address, its token, and the environment's names for them."""

from __future__ import annotations

import os
from urllib.parse import SplitResult, urlsplit

from rtdemo.errors import PublishError

DEFAULT_URL = "http://localhost:3000"
URL_VARIABLE, TOKEN_VARIABLE = "RTDEMO_URL", "RTDEMO_PUBLISH_TOKEN"


def url_of(given: str | None) -> str:
    """Return a URL, else that of the environment, else the default."""
    return given or os.environ.get(URL_VARIABLE) or DEFAULT_URL


def token_of(given: str | None) -> str:
    """Return a token, which may be empty, else that of the environment; empty for none."""
    return os.environ.get(TOKEN_VARIABLE, "") if given is None else given


def parse(url: str) -> SplitResult:
    """Return the parts of a server's URL, to whose path one can be added.

    Raises:
        PublishError: if this is not the URL of a server.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host.encode("idna")
        is_valid = parts.scheme in ("http", "https") and host and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or "@" in parts.netloc:
        raise PublishError(url[:200], "is not the URL of a server", "give http://host:port")
    return parts
