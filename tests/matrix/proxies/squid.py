"""Squid as a reverse proxy."""

from __future__ import annotations

from tests.matrix.proxies.proxy import Launch, Place, Proxy, indented
from tests.matrix.setup import Hop
from tests.system_packages import SQUID

RIGHT = ("http_upgrade_request_protocols websocket allow all",)
TEMPLATE = """\
http_port 127.0.0.1:@PORT@ accel vhost allow-direct
@SERVERS@\
http_access allow all
never_direct allow all
cache_mem 8 MB
pid_filename @FOLDER@/squid.pid
access_log none
cache_log @FOLDER@/cache.log
coredump_dir @FOLDER@
shutdown_lifetime 0 seconds
pinger_enable off
netdb_filename none
visible_hostname localhost
@LINES@\
"""


def render(hop: Hop, place: Place, binary: str) -> Launch:
    """Return Squid for a hop."""
    servers = tuple(
        f"cache_peer 127.0.0.1 parent {port} 0 no-query originserver name=s{number}"
        for number, port in enumerate(place.upstreams)
    )
    text = TEMPLATE.replace("@SERVERS@", indented(servers, 0)).replace("@LINES@", indented(hop.lines, 0))
    text = text.replace("@FOLDER@", str(place.folder)).replace("@PORT@", str(place.port))
    # Without -N it needs shared memory and a second user.
    command = (binary, "-N", "-n", f"m{place.port}", "-f", str(place.folder / "squid.conf"))
    return Launch(command, {"squid.conf": text})


PROXY = Proxy("squid", SQUID, render, RIGHT)
