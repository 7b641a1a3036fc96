"""HAProxy and nginx with the configurations of deploy/, on other ports."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.certificate import Certificate
from tests.cluster.process import Process
from tests.redis_server import free_port
from tests.system_packages import HAPROXY, NGINX, require

DEPLOY = Path(__file__).parents[2] / "deploy"


def haproxy(folder: Path, ports: list[int]) -> Process:
    """Return HAProxy with deploy/haproxy.cfg in front of two servers."""
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(_on_ports((DEPLOY / "haproxy.cfg").read_text(), port, ports))
    return Process([require(HAPROXY), "-db", "-f", str(config)], port, folder / "haproxy.log")


def nginx(folder: Path, ports: list[int], tls: Certificate | None = None) -> Process:
    """Return nginx with deploy/nginx.conf in front of two servers; it ends TLS with a certificate."""
    port = free_port()
    config = folder / "nginx.conf"
    text = _on_ports((DEPLOY / "nginx.conf").read_text(), port, ports)
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


def _on_ports(text: str, port: int, ports: list[int]) -> str:
    real = {"0.0.0.0:8080": port, "127.0.0.1:3000": ports[0], "127.0.0.1:3002": ports[1]}
    # All at once and whole numbers only: a free port such as 30021 begins with another one.
    addresses = re.compile(rf"\b({'|'.join(map(re.escape, real))})\b")
    assert sorted(addresses.findall(text)) == sorted(real)
    return addresses.sub(lambda found: f"127.0.0.1:{real[found[1]]}", text)
