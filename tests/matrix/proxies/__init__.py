"""All proxies of the matrix, by the names that set-ups use."""

from __future__ import annotations

from collections.abc import Mapping

from tests.matrix.proxies import (
    apache,
    caddy,
    envoy,
    h2o,
    haproxy,
    lighttpd,
    nghttpx,
    nginx,
    squid,
    stunnel,
    traefik,
    varnish,
)
from tests.matrix.proxies.proxy import Proxy

PROXIES: Mapping[str, Proxy] = {
    "nginx": nginx.OLD,
    "nginx-new": nginx.NEW,
    "haproxy": haproxy.PROXY,
    "caddy": caddy.OLD,
    "caddy-new": caddy.NEW,
    "apache": apache.PROXY,
    "envoy": envoy.PROXY,
    "h2o": h2o.PROXY,
    "nghttpx": nghttpx.PROXY,
    "varnish": varnish.PROXY,
    "lighttpd": lighttpd.PROXY,
    "squid": squid.PROXY,
    "traefik": traefik.PROXY,
    "stunnel": stunnel.PROXY,
}
LINE = "line"
"""Kind of a hop that is `line.Line`."""
