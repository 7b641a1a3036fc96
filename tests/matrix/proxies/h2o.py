"""h2o."""

from __future__ import annotations

from tests.matrix.proxies.proxy import Launch, Place, Proxy, indented
from tests.matrix.setup import Hop
from tests.system_packages import H2O

RIGHT = (
    "proxy.preserve-host: ON",
    "proxy.timeout.io: 60000",
    "proxy.websocket: ON",
    "proxy.websocket.timeout: 300000",
)
TEMPLATE = """\
pid-file: @FOLDER@/h2o.pid
error-log: @FOLDER@/error.log
num-threads: 1
listen:
  host: 127.0.0.1
  port: @PORT@
@TLS@\
@LINES@\
hosts:
  default:
    paths:
      "/":
        proxy.reverse.url: "http://127.0.0.1:@SERVER@/"
@OUTER@\
"""


def render(hop: Hop, place: Place, binary: str) -> Launch:
    """Return h2o for a hop."""
    tls: tuple[str, ...] = ()
    if hop.certificate:
        tls = (
            "ssl:",
            f"  certificate-file: {place.authority.chain(hop.certificate)}",
            f"  key-file: {place.authority.key(hop.certificate)}",
        )
    text = TEMPLATE.replace("@TLS@", indented(tls, 2)).replace("@LINES@", indented(hop.lines, 0))
    text = text.replace("@OUTER@", indented(hop.outer, 8)).replace("@FOLDER@", str(place.folder))
    text = text.replace("@PORT@", str(place.port)).replace("@SERVER@", str(place.upstreams[0]))
    return Launch((binary, "-m", "worker", "-c", str(place.folder / "h2o.conf")), {"h2o.conf": text})


PROXY = Proxy("h2o", H2O, render, RIGHT)
