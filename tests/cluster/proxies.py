"""The proxies of deploy/ with their configurations, on other ports."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.certificate import Certificate
from tests.cluster.process import Process
from tests.free_port import free_port
from tests.matrix.proxies.apache import MODULES_FOLDER
from tests.matrix.proxies.envoy import PROXY as ENVOY
from tests.system_packages import APACHE, CADDY, HAPROXY, NGINX, require

DEPLOY = Path(__file__).parents[2] / "deploy"
LISTENS = "0.0.0.0:8080"
"""The address on which each configuration listens."""


def haproxy(folder: Path, ports: list[int]) -> Process:
    """Return HAProxy with deploy/haproxy.cfg in front of two servers."""
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(_on_ports("haproxy.cfg", port, ports))
    return Process([require(HAPROXY), "-db", "-f", str(config)], port, folder / "haproxy.log")


def nginx(folder: Path, ports: list[int], tls: Certificate | None = None) -> Process:
    """Return nginx with deploy/nginx.conf in front of two servers; it ends TLS with a certificate."""
    port = free_port()
    config = folder / "nginx.conf"
    text = _on_ports("nginx.conf", port, ports)
    text = text.replace("/var/log/nginx/", f"{folder}/nginx.")
    if tls is not None:
        files = f"ssl_certificate {tls.certificate}; ssl_certificate_key {tls.key};"
        text = text.replace(f"listen 127.0.0.1:{port};", f"listen 127.0.0.1:{port} ssl; {files}")
    # For a test: one process in the foreground that writes only to its folder.
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind}; "
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = text.replace("http {", f"http {{\n    {temporary}", 1)
    text = text.replace("worker_processes auto;", "worker_processes 1;", 1)
    # A worker with another user could not write there: pytest's folders are for the user that runs it.
    user = "user root; " if os.geteuid() == 0 else ""
    config.write_text(f"{user}daemon off; pid {folder}/nginx.pid; error_log stderr;\n{text}")
    command = [require(NGINX), "-c", str(config), "-p", str(folder)]
    return Process(command, port, folder / "nginx.log", scheme="http" if tls is None else "https")


def caddy(folder: Path, ports: list[int]) -> Process:
    """Return Caddy with deploy/Caddyfile in front of two servers."""
    port = free_port()
    config = folder / "Caddyfile"
    text = _on_ports("Caddyfile", port, ports, listens=":8080")
    config.write_text(f"{{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}}\n{text}")
    command = [require(CADDY), "run", "--adapter", "caddyfile", "--config", str(config)]
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return Process(command, port, folder / "caddy.log", home)


APACHE_MODULES = (
    *("mpm_event", "authz_core", "headers", "proxy", "proxy_http", "proxy_balancer", "proxy_hcheck"),
    *("lbmethod_bybusyness", "slotmem_shm"),
)


def apache(folder: Path, ports: list[int]) -> Process:
    """Return Apache httpd with deploy/apache.conf in front of two servers."""
    port = free_port()
    config = folder / "httpd.conf"
    lines = [
        *(f"ServerRoot {folder}", f"DefaultRuntimeDir {folder}", f"PidFile {folder}/httpd.pid"),
        *(f"ErrorLog {folder}/error.log", "LogLevel warn", "ServerName localhost"),
        *(f"LoadModule {name}_module {MODULES_FOLDER}/mod_{name}.so" for name in APACHE_MODULES),
        # It runs no requests as root.
        *(("User www-data", "Group www-data") if os.geteuid() == 0 else ()),
    ]
    text = _on_ports("apache.conf", port, ports).replace("*:8080", f"127.0.0.1:{port}")
    config.write_text("\n".join([*lines, text]))
    command = [require(APACHE), "-DFOREGROUND", "-f", str(config)]
    return Process(command, port, folder / "apache.log", {"APACHE_LOG_DIR": str(folder)})


def envoy(folder: Path, ports: list[int]) -> Process:
    """Return Envoy with deploy/envoy.yaml in front of two servers."""
    port = free_port()
    config = folder / "envoy.yaml"
    form = "address: {}, port_value: {}".format
    config.write_text(
        _replace(
            (DEPLOY / "envoy.yaml").read_text(),
            {
                form("0.0.0.0", 8080): form("127.0.0.1", port),
                form("127.0.0.1", 3000): form("127.0.0.1", ports[0]),
                form("127.0.0.1", 3002): form("127.0.0.1", ports[1]),
            },
        )
    )
    assert ENVOY.path is not None, ENVOY.program.advice
    # Without the last flag, those that run at once would share memory.
    words = ["--concurrency", "1", "--log-level", "error", "--disable-hot-restart"]
    return Process([ENVOY.path, "-c", str(config), *words], port, folder / "envoy.log")


PROXIES: Mapping[str, Callable[[Path, list[int]], Process]] = {
    "haproxy": haproxy,
    "nginx": nginx,
    "caddy": caddy,
    "apache": apache,
    "envoy": envoy,
}
IN_CI = ("haproxy", "nginx", "caddy")
"""Those that `make test` installs; `make deploy` runs all."""


def _on_ports(name: str, port: int, ports: list[int], listens: str = LISTENS) -> str:
    real = {listens: port, "127.0.0.1:3000": ports[0], "127.0.0.1:3002": ports[1]}
    places = {old: f"127.0.0.1:{new}" for old, new in real.items()}
    if listens != LISTENS:
        places[listens] = f":{port}"
    return _replace((DEPLOY / name).read_text(), places)


def _replace(text: str, places: Mapping[str, str]) -> str:
    # All at once and whole numbers only: a free port such as 30021 begins with another one.
    found = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, places))})\b")
    assert set(found.findall(text)) == set(places)
    return found.sub(lambda match: places[match[1]], text)
