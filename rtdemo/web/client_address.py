"""The client's address: the peer's, or the one that a trusted proxy reports.

Everything that needs a client's address calls `client_address`: limits, logs, probes, connection info.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from aiohttp import hdrs, web

from rtdemo.settings.trusted_proxies import MAX_HOPS, TrustedProxies, normal_address, parse
from rtdemo.web.app_keys import SETTINGS

MAX_FORWARDED_BYTES = 4096
"""Longest `Forwarded` header that is read. A client could make one of 64 KiB."""
_X_FORWARDED_FOR = "X-Forwarded-For"
# One name and value of `Forwarded`, with what ends it: a comma ends a proxy's element (RFC 7239
# section 4). A value in quotes may contain commas: a client may have chosen it, as its Host.
_PAIR = re.compile(r'[ \t]*(?:([A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*))?[ \t]*([,;]|$)')


def client_address(request: web.BaseRequest) -> str:
    """Return the IP address of a request's client, without a port; empty on a Unix socket.

    Without `--trusted-proxies` this is the peer of the TCP connection, whatever the headers say. With
    it, the address chain is read from the right, where trusted proxies append: the first address that
    is not a trusted proxy's is the client's. The client can write anything left of it. A part that is
    not an IP address ends the reading at the proxy before it.

    A proxy writes one of the two headers, and may pass on the client's other one. Where both are
    present and disagree, neither is believed, and the peer's address counts.

    Arguments:
        request: the request; its application has the settings.

    Source: RFC 7239 sections 5.2, 6 and 7.4 for `Forwarded`.
    """
    remote = request.remote or ""
    peer = normal_address(remote) or remote
    # A request that is answered before routing has no application.
    app = getattr(request, "app", None)
    setting = app[SETTINGS].trusted_proxies if app is not None else ()
    if not setting or not peer:
        return peer
    trusted = parse(setting)
    if not trusted or not trusted.has(peer, 0):
        return peer
    found = {_first_untrusted(peer, chain, trusted) for chain in _chains(request)}
    return found.pop() if len(found) == 1 else peer


def _chains(request: web.BaseRequest) -> Iterator[list[str]]:
    """Return the addresses of each header that is present, the nearest hop first."""
    if reported := request.headers.getall(_X_FORWARDED_FOR, []):
        # Proxies add a header of their own or append to the last one: both mean the same.
        yield ",".join(reported).rsplit(",", MAX_HOPS)[::-1]
    if forwarded := request.headers.getall(hdrs.FORWARDED, []):
        yield _forwarded_for(", ".join(forwarded))[::-1]


def _first_untrusted(peer: str, chain: list[str], trusted: TrustedProxies) -> str:
    client = peer
    for hop, text in enumerate(chain[:MAX_HOPS], 1):
        address = normal_address(text[:100])
        if address is None:
            return client
        client = address
        if not trusted.has(address, hop):
            return client
    return client


def _forwarded_for(header: str) -> list[str]:
    """Return the `for=` of each element of a `Forwarded` header; empty where it cannot be read."""
    if len(header) > MAX_FORWARDED_BYTES:
        return []
    found, current, at = [], "", 0
    while at < len(header):
        pair = _PAIR.match(header, at)
        if pair is None or pair.end() == at:
            return []
        name, value, end = pair.groups()
        if (name or "").lower() == "for":
            current = value.strip('"')
        if end != ";":
            found.append(current)
            current = ""
        at = pair.end()
    return found
