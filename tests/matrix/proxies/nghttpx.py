"""nghttpx, the proxy of nghttp2. Its lines are those of its configuration file."""

from __future__ import annotations

from tests.matrix.proxies.proxy import Launch, Place, Proxy
from tests.matrix.setup import Hop
from tests.system_packages import NGHTTPX

RIGHT = ("add-x-forwarded-for=yes",)


def render(hop: Hop, place: Place, binary: str) -> Launch:
    """Return nghttpx for a hop."""
    lines = [
        f"frontend=127.0.0.1,{place.port}{'' if hop.certificate else ';no-tls'}",
        *(f"backend=127.0.0.1,{port}" for port in place.upstreams),
        "workers=1",
        "single-process=yes",
        "errorlog-file=/dev/stderr",
        "accesslog-file=/dev/null",
    ]
    if hop.certificate:
        lines += [
            f"private-key-file={place.authority.key(hop.certificate)}",
            f"certificate-file={place.authority.chain(hop.certificate)}",
        ]
        if not hop.http2:
            lines.append("npn-list=http/1.1")
    file = place.folder / "nghttpx.conf"
    return Launch((binary, f"--conf={file}"), {file.name: "\n".join([*lines, *hop.lines, ""])})


PROXY = Proxy("nghttpx", NGHTTPX, render, RIGHT, version=("--version",))
