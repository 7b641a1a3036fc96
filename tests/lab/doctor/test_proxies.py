"""Which proxies are recognised, by what they write into requests and responses."""

from __future__ import annotations

import pytest

from rtdemo.lab.doctor.proxies import recognise

OWN = [("Content-Security-Policy", "default-src 'none'"), ("X-Content-Type-Options", "nosniff")]
"""Headers as rtdemo writes them."""
LOWER = [(name.lower(), value) for name, value in OWN]


@pytest.mark.parametrize(
    ("response", "received", "proxies"),
    [
        ([("Server", "nginx/1.22.1")], {}, ["nginx"]),
        ([("Server", "openresty")], {}, ["nginx"]),
        (LOWER, {}, ["HAProxy"]),
        ([("Server", "nginx"), *LOWER], {"Host": "h"}, ["nginx", "HAProxy"]),
        ([("Server", "nginx"), *OWN], {"host": "h"}, ["nginx", "HAProxy"]),
        (OWN, {"Host": "h"}, []),
        ([("content-type", "text/plain")], {}, []),
        ([("server", "uvicorn")], {}, []),
        ([("Server", "Caddy"), *OWN], {}, ["Caddy"]),
        ([("Server", "nginx/1.22.1"), ("Via", "1.1 Caddy")], {}, ["Caddy", "nginx"]),
        ([("Server", "Heroku")], {}, ["Heroku"]),
        (OWN, {"Via": "1.1 vegur"}, ["Heroku"]),
        ([("Server", "cloudflare")], {}, ["Cloudflare"]),
        ([("Server", "nginx"), ("CF-RAY", "8f0")], {}, ["Cloudflare", "nginx"]),
        ([("server", "envoy"), *LOWER], {"x-envoy-expected-rq-timeout-ms": "15000"}, ["Envoy"]),
        ([("Server", "Apache/2.4.62 (Debian)"), *OWN], {}, ["Apache"]),
        (OWN, {"X-Forwarded-Server": "h"}, ["Apache"]),
        (OWN, {"X-Forwarded-Server": "h", "X-Forwarded-Port": "80", "X-Real-Ip": "::1"}, ["Traefik"]),
        ([("X-Varnish", "3"), *OWN], {}, ["Varnish"]),
        ([("Via", "1.1 varnish (Varnish/7.1)"), *OWN], {}, ["Varnish"]),
        ([("Server", "h2o/2.2.5"), *LOWER], {}, ["h2o"]),
        ([("Via", "1.1 nghttpx"), *OWN], {}, ["nghttpx"]),
        ([("Server", "lighttpd/1.4.69"), *OWN], {}, ["lighttpd"]),
        ([("Via", "1.1 box (squid/5.7)"), *OWN], {}, ["squid"]),
        (OWN, {"X-Amzn-Trace-Id": "Root=1"}, ["AWS load balancer"]),
        ([], {}, []),
    ],
)
def test_proxies_are_recognised(
    response: list[tuple[str, str]], received: dict[str, str], proxies: list[str]
) -> None:
    """All that show themselves, inner and outer ones; HAProxy by the case of names."""
    assert recognise(response, received) == proxies


def test_lower_case_of_http2_shows_nothing() -> None:
    """Over HTTP/2 all names are in lower case (RFC 9113 section 8.2.1)."""
    assert recognise(LOWER, {}, is_http1=False) == []
