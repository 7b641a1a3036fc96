"""Limits as HTTP answers: 429, or 503 for what limits all clients, with Retry-After."""

from __future__ import annotations

import math
from collections.abc import Callable

from aiohttp import hdrs, web

from rtdemo.errors import OverLimit, Refused
from rtdemo.hub.connection import Connection
from rtdemo.hub.hub import Hub
from rtdemo.web.app_keys import HUB, SETTINGS
from rtdemo.web.client_address import client_address

_STATUSES = {"max_connections": 503}
"""Statuses of limits that one client alone does not exceed; of all others 429 (RFC 6585 section 4)."""


def check_connect(request: web.Request) -> str:
    """Admit a request that opens a connection, within the limits of connections and connects.

    Returns:
        The address of its client.

    Raises:
        Refused: 429 or 503, with Retry-After. The server then closes the connection, which would
            otherwise stay open for further requests.
    """
    hub, address = request.app[HUB], client_address(request)
    try:
        hub.limits.check_connect(address, len(hub))
    except OverLimit as error:
        raise _last_answer(error) from error
    return address


def check_room(hub: Hub, address: str) -> None:
    """Admit a request whose login took time: others may have connected meanwhile.

    Arguments:
        hub: has the limits.
        address: of the client.

    Raises:
        Refused: as by `check_connect`.
    """
    try:
        hub.limits.check_room(address, len(hub))
    except OverLimit as error:
        raise _last_answer(error) from error


def _last_answer(error: OverLimit) -> Refused:
    """Return the HTTP answer to a connect that is over a limit; the HTTP connection ends with it."""
    refused = refusal(error)
    refused.headers[hdrs.CONNECTION] = "close"
    return refused


def check_text(request: web.Request, connection: Connection) -> None:
    """Admit a text that an SSE client posts, within the limit of texts.

    Raises:
        Refused: 429 with Retry-After.
    """
    _check(request.app[HUB].limits.check_text, connection)


def check_publications(request: web.Request, count: int) -> None:
    """Admit messages that a client publishes, within the limit of its address.

    Arguments:
        request: it may publish, so it has the publish token if one is set.
        count: number of messages.

    Raises:
        Refused: 429 with Retry-After.
    """
    has_token = bool(request.app[SETTINGS].publish_token)
    limits = request.app[HUB].limits
    _check(limits.check_publications, client_address(request), count, has_token)


def check_tokens(request: web.Request) -> None:
    """Admit a request with a token, unless its address has sent too many wrong ones.

    Raises:
        Refused: 429 with Retry-After.
    """
    _check(request.app[HUB].limits.check_tokens, client_address(request))


def add_failed_token(request: web.Request) -> None:
    """Count a wrong token of a client's address."""
    request.app[HUB].limits.add_failed_token(client_address(request))


def remove_failed_token(request: web.Request) -> None:
    """Take back what `add_failed_token` has counted: the token was right."""
    request.app[HUB].limits.remove_failed_token(client_address(request))


def _check(check: Callable[..., None], *arguments: object) -> None:
    try:
        check(*arguments)
    except OverLimit as error:
        raise refusal(error) from error


def refusal(error: OverLimit) -> Refused:
    """Return the HTTP answer to what is over a limit."""
    seconds = max(1, math.ceil(error.retry_after))
    return Refused(_STATUSES.get(error.limit, 429), error.sentence, {"Retry-After": str(seconds)})
