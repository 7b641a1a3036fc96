"""Varnish. A line is VCL of `vcl_recv`, unless it begins with `pipe:` and the like, or `-p`."""

from __future__ import annotations

from tests.matrix.proxies.proxy import Launch, Place, Proxy, indented
from tests.matrix.setup import Hop
from tests.system_packages import VARNISH

RIGHT = (
    'if (req.http.Upgrade ~ "(?i)websocket") { return (pipe); }',
    'if (req.url ~ "^/api/sse") { return (pipe); }',
    "pipe: if (req.http.Upgrade) { set bereq.http.Upgrade = req.http.Upgrade; }",
    "pipe: if (req.http.Upgrade) { set bereq.http.Connection = req.http.Connection; }",
    "-p pipe_timeout=3600",
)
TEMPLATE = """\
vcl 4.1;
@DIRECTOR@
sub vcl_recv {
@RECV@\
}
sub vcl_pipe {
@PIPE@\
}
sub vcl_backend_fetch {
@BACKEND@\
}
sub vcl_backend_response {
@FETCH@\
}
sub vcl_deliver {
@DELIVER@\
}
"""


def render(hop: Hop, place: Place, binary: str) -> Launch:
    """Return Varnish for a hop."""
    places: dict[str, list[str]] = {
        "pipe: ": [],
        "backend: ": [],
        "fetch: ": [],
        "deliver: ": [],
        "-p ": [],
        "": [],
    }
    for line in (*hop.lines, *hop.outer):
        kind = next(kind for kind in places if line.startswith(kind))
        places[kind].append(line.removeprefix(kind))
    backends = "\n".join(
        f'backend s{number} {{ .host = "127.0.0.1"; .port = "{port}"; }}'
        for number, port in enumerate(place.upstreams)
    )
    text = TEMPLATE.replace("@DIRECTOR@", backends)
    for marker, kind in (
        ("@RECV@", ""),
        ("@PIPE@", "pipe: "),
        ("@FETCH@", "fetch: "),
        ("@BACKEND@", "backend: "),
    ):
        text = text.replace(marker, indented(tuple(places[kind]), 4))
    text = text.replace("@DELIVER@", indented(tuple(places["deliver: "]), 4))
    command = [binary, "-F", "-a", f"127.0.0.1:{place.port}", "-f", str(place.folder / "v.vcl")]
    command += ["-n", str(place.folder / "work"), "-s", "malloc,16m", "-T", "none", "-j", "none"]
    for parameter in ("thread_pool_min=20", "thread_pools=1", *places["-p "]):
        command += ["-p", parameter]
    return Launch(tuple(command), {"v.vcl": text})


PROXY = Proxy("Varnish", VARNISH, render, RIGHT, version=("-V",))
