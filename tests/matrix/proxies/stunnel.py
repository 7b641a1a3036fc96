"""stunnel: TLS ends there, and it changes nothing."""

from __future__ import annotations

from tests.matrix.proxies.proxy import Launch, Place, Proxy
from tests.matrix.setup import Hop
from tests.system_packages import STUNNEL

TEMPLATE = """\
foreground = yes
pid =
syslog = no
debug = err
[web]
accept = 127.0.0.1:@PORT@
connect = 127.0.0.1:@SERVER@
cert = @BUNDLE@
"""


def render(hop: Hop, place: Place, binary: str) -> Launch:
    """Return stunnel for a hop."""
    text = TEMPLATE.replace("@PORT@", str(place.port)).replace("@SERVER@", str(place.upstreams[0]))
    text = text.replace("@BUNDLE@", str(place.authority.bundle(hop.certificate or "trusted")))
    text += "".join(f"{line}\n" for line in hop.lines)
    return Launch((binary, str(place.folder / "stunnel.conf")), {"stunnel.conf": text})


PROXY = Proxy("stunnel", STUNNEL, render, (), version=("-version",))
