"""The name by which a request calls this server: its Host (RFC 9110 section 7.2).

A foreign site can let its own name resolve to this machine (DNS rebinding). A local browser then sends
that site's requests here, and takes the answers for that site's own. Only `Host` shows it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from aiohttp import hdrs, web

from rtdemo.errors import Refused
from rtdemo.settings.trusted_proxies import normal_address
from rtdemo.web.app_keys import SETTINGS, SITES

HEALTH = frozenset(("/healthz", "/readyz"))
"""Paths that are served under any name: load balancers request them, and they show nothing."""
MAX_HOST_LENGTH = 300
"""Longest Host that is read: a name has at most 253 characters (RFC 1035 section 3.1)."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:[0-9]*)?", re.ASCII)
"""Form of the field Host (RFC 9110 section 7.2, RFC 3986 section 3.2.2)."""
_EVERY_INTERFACE = frozenset(("", "0.0.0.0", "::"))  # noqa: S104 - only compared with


def check_host(request: web.Request, app: web.Application, local: tuple[str, int] | None) -> None:
    """Admit requests to a name of this server.

    Where a site is bound to loopback, these are `localhost`, the names under it, loopback addresses, the
    address that the site is bound to, and `--allow-host`. A site that is bound to another address has
    any name, until `--allow-host` is set.

    Arguments:
        request: the request.
        app: its application, which takes long to look up.
        local: its `local_address`.

    Raises:
        Refused: 400 for a Host of another form (RFC 9112 section 3.2); 421 for a foreign name (RFC 9110
            section 15.5.20), and for a target that is a whole URL with another name than Host (RFC 9112
            section 3.2.2). aiohttp has refused requests of
            HTTP/1.1 that have no Host, and those that have several.
    """
    if local is None:
        return  # it is from another worker, over a Unix socket
    given = request.headers.get(hdrs.HOST)
    address, port = local
    settings, is_web = app[SETTINGS], port != app[SITES].websocket
    bound = settings.host if is_web else settings.websocket_host
    judge = _judge if given is None or len(given) <= MAX_HOST_LENGTH else _judge.__wrapped__
    is_well_formed, is_own = judge(given or "", address, bound, settings.allow_host)
    if not is_well_formed:
        raise Refused(400, "the header 'Host' is no name or address; send one, such as localhost:3000")
    if not request.raw_path.startswith("/"):
        _check_target(request)
    # Browsers always send a Host, so a health check by HTTP/1.0 without one is no rebinding.
    if is_own or given is None or (is_web and request.path in HEALTH):
        return
    raise Refused(
        421,
        f"host {_name(given)[:200]!r} is not a name of this server; if it should be, "
        "add it with --allow-host",
    )


@lru_cache(1024)
def _judge(given: str, address: str, bound: str, allowed: tuple[str, ...]) -> tuple[bool, bool]:
    """Return whether a Host has the right form, and whether it is a name of a site.

    Arguments:
        given: as the client sent it.
        address: of the site's socket.
        bound: the setting with the site's address.
        allowed: the setting with further names.
    """
    is_well_formed = _HOST.fullmatch(given) is not None
    is_on_loopback = bound not in _EVERY_INTERFACE and is_loopback(address)
    if not (is_on_loopback or allowed):
        return is_well_formed, True
    name = _name(given)
    # A Host that is empty or malformed is no name, also where the site is bound to every interface.
    is_own = bool(name) and (is_loopback(name) or name in (_plain(bound), *map(_plain, allowed)))
    return is_well_formed, is_own


def _check_target(request: web.BaseRequest) -> None:
    """Admit a target that is a whole URL only if its host is that of the header."""
    _, is_url, rest = request.raw_path.partition("://")
    named = re.split("[/?#]", rest, maxsplit=1)[0]
    if is_url and named.lower() != request.headers.get(hdrs.HOST, "").lower():
        raise Refused(
            421, f"the target's host {named[:200]!r} is not that of the header 'Host'; send one name"
        )


def split_host(request: web.BaseRequest) -> SplitResult:
    """Return a request's host and port; empty ones where it has no Host, or one that is malformed."""
    # Not request.host: without the header that asks DNS for this machine's name, and blocks.
    given = request.headers.get(hdrs.HOST, "")
    return _split(given) if len(given) <= MAX_HOST_LENGTH else urlsplit("//")


@lru_cache(1024)
def _split(given: str) -> SplitResult:
    try:
        split = urlsplit(f"//{given}")
        _ = split.port  # raises where it is no number
    except ValueError:
        return urlsplit("//")
    is_plain = split.netloc == given and "@" not in given
    return split if is_plain else urlsplit("//")


def host_name(request: web.BaseRequest) -> str:
    """Return the host of a request without its port, in lower case; empty where it has none."""
    return _name(request.headers.get(hdrs.HOST, ""))


def _name(given: str) -> str:
    return _name_of_short(given) if len(given) <= MAX_HOST_LENGTH else ""


@lru_cache(1024)
def _name_of_short(given: str) -> str:
    return _plain(_split(given).hostname or "")


@lru_cache(1024)
def is_loopback(host: str) -> bool:
    """Return whether a host name or an IP address is this machine's own, and no other machine's."""
    if host == "localhost" or host.endswith(".localhost"):
        return True  # RFC 6761 section 6.3
    address = normal_address(host)
    return address is not None and ip_address(address).is_loopback


def local_address(request: web.BaseRequest) -> tuple[str, int] | None:
    """Return the address and port at which a request arrived; None on a Unix socket."""
    transport = request.transport
    name = transport.get_extra_info("sockname") if transport is not None else None
    return (name[0], name[1]) if isinstance(name, tuple) else None


def _plain(name: str) -> str:
    """Return a name in lower case, without the dot of the DNS root and without an address's brackets."""
    return name.lower().removeprefix("[").removesuffix("]").removesuffix(".")
