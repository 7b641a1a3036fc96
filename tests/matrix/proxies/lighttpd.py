"""lighttpd with mod_proxy."""

from __future__ import annotations

from tests.matrix.proxies.proxy import Launch, Place, Proxy, indented
from tests.matrix.setup import Hop
from tests.system_packages import LIGHTTPD

RIGHT = (
    "server.stream-response-body = 2",
    'proxy.header = ( "upgrade" => "enable" )',
)
TEMPLATE = """\
server.document-root = "@FOLDER@"
server.bind = "127.0.0.1"
server.port = @PORT@
server.errorlog = "@FOLDER@/error.log"
server.pid-file = "@FOLDER@/lighttpd.pid"
server.upload-dirs = ( "@FOLDER@" )
server.modules = ( "mod_proxy", @MODULES@ )
@TLS@\
@OUTER@\
proxy.server = ( "" => ( @SERVERS@ ) )
@LINES@\
"""


def render(hop: Hop, place: Place, binary: str) -> Launch:
    """Return lighttpd for a hop."""
    modules = ["mod_openssl"] if hop.certificate else []
    modules += [line.removeprefix("module: ") for line in hop.outer if line.startswith("module: ")]
    outer = tuple(line for line in hop.outer if not line.startswith("module: "))
    tls: tuple[str, ...] = ()
    if hop.certificate:
        tls = (
            'ssl.engine = "enable"',
            f'ssl.pemfile = "{place.authority.bundle(hop.certificate)}"',
            f'server.feature-flags += ( "server.h2proto" => "{"enable" if hop.http2 else "disable"}" )',
        )
    servers = ", ".join(f'( "host" => "127.0.0.1", "port" => {port} )' for port in place.upstreams)
    text = TEMPLATE.replace("@SERVERS@", servers).replace("@TLS@", indented(tls, 0))
    text = text.replace("@MODULES@", ", ".join(f'"{name}"' for name in modules))
    text = text.replace('"mod_proxy",  )', '"mod_proxy" )')
    text = text.replace("@OUTER@", indented(outer, 0)).replace("@LINES@", indented(hop.lines, 0))
    text = text.replace("@FOLDER@", str(place.folder)).replace("@PORT@", str(place.port))
    command = (binary, "-D", "-f", str(place.folder / "lighttpd.conf"))
    return Launch(command, {"lighttpd.conf": text})


PROXY = Proxy("lighttpd", LIGHTTPD, render, RIGHT)
