"""Headers by which proxies report themselves, recognised by how their names begin or what they contain.

A list of names would always be behind: nginx, HAProxy, Envoy, Caddy, Traefik, Apache and every cloud's
load balancer have their own.
"""

from __future__ import annotations

from aiohttp import web

MAX_REPORTED, MAX_NAME_LENGTH = 8, 40
"""Names that are reported, and characters of a name: a request may have thousands of either."""
_PREFIXES = (
    # Proxies put nearly everything under X-: X-Forwarded-*, X-Real-IP, X-Client-IP, X-Envoy-*,
    # X-Original-*, X-Amzn-* (AWS), X-Azure-*, X-Request-ID and X-Request-Start (Heroku).
    "x-",
    # Standards: RFC 7239, RFC 9110 sections 7.6.2 and 7.6.3, RFC 8586, RFC 9440.
    *("forwarded", "via", "max-forwards", "cdn-loop", "client-cert"),
    # Cloudflare, Fly, Fastly, Akamai, Imperva, Tailscale, DigitalOcean, Render, Alibaba.
    *("cf-", "fly-", "fastly-", "akamai-", "incap-", "tailscale-", "do-", "rndr-", "ali-"),
    # TLS that ends in a proxy.
    *("front-end-https", "ssl-", "tls-"),
)
_PARTS = ("forward", "proxy", "client-ip", "real-ip", "connecting-ip", "remote-", "client-cert")
_CLIENTS_OWN = frozenset(("x-requested-with",))
"""Headers that match, but that pages and programs send, and no proxy."""


def is_forwarding(name: str) -> bool:
    """Return whether proxies add the header of this name, or one of a similar name."""
    # A proxy in front of an older one may write X_Forwarded_For.
    plain = name.lower().replace("_", "-")
    if plain in _CLIENTS_OWN:
        return False
    return plain.startswith(_PREFIXES) or any(part in plain for part in _PARTS)


def forwarding_headers(request: web.BaseRequest) -> list[str]:
    """Return the names of the headers by which proxies report themselves: the first few, cut short."""
    found = dict.fromkeys(name[:MAX_NAME_LENGTH] for name in request.headers if is_forwarding(name))
    return list(found)[:MAX_REPORTED]
