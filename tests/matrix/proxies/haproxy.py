"""HAProxy."""

from __future__ import annotations

from tests.matrix.proxies.proxy import Launch, Place, Proxy, indented
from tests.matrix.setup import Hop
from tests.system_packages import HAPROXY

DEBIAN = ("timeout connect 5000", "timeout client 50000", "timeout server 50000")
"""The timeouts of the configuration that Debian installs."""
RIGHT = (
    "option forwardfor",
    "option http-no-delay",
    "timeout connect 3s",
    "timeout client 60s",
    "timeout server 60s",
    "timeout tunnel 1h",
)
TEMPLATE = """\
global
    maxconn 500
@GLOBAL@\

defaults
    mode http
@LINES@\

frontend web
    bind 127.0.0.1:@PORT@ @TLS@
@OUTER@\
    default_backend servers

backend servers
@BACKEND@\
@SERVERS@\
"""


def render(hop: Hop, place: Place, binary: str) -> Launch:
    """Return HAProxy for a hop. `backend:` and `global:` before a line choose its section."""
    tls = ""
    if hop.certificate:
        alpn = "h2,http/1.1" if hop.http2 else "http/1.1"
        tls = f"ssl crt {place.authority.bundle(hop.certificate)} alpn {alpn}"
    sections: dict[str, list[str]] = {"global": [], "backend": [], "server": [], "": []}
    for line in hop.outer:
        section, colon, rest = line.partition(": ")
        sections[section if colon and section in sections else ""].append(
            rest if colon and section in sections else line
        )
    words = " ".join(sections["server"])
    servers = tuple(
        f"server s{number} 127.0.0.1:{port} {words.replace('NUMBER', f's{number}')}".rstrip()
        for number, port in enumerate(place.upstreams)
    )
    text = TEMPLATE.replace("@PORT@", str(place.port)).replace("@TLS@", tls)
    text = text.replace("@GLOBAL@", indented(tuple(sections["global"]), 4))
    text = text.replace("@LINES@", indented(hop.lines, 4))
    text = text.replace("@OUTER@", indented(tuple(sections[""]), 4))
    text = text.replace("@BACKEND@", indented(tuple(sections["backend"]), 4))
    text = text.replace("@SERVERS@", indented(servers, 4))
    return Launch((binary, "-db", "-f", str(place.folder / "haproxy.cfg")), {"haproxy.cfg": text})


PROXY = Proxy("HAProxy", HAPROXY, render, RIGHT)
