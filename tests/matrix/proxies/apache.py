"""Apache httpd with mod_proxy."""

from __future__ import annotations

from tests.matrix.proxies.proxy import Launch, Place, Proxy, indented
from tests.matrix.setup import Hop
from tests.system_packages import APACHE

MODULES_FOLDER = "/usr/lib/apache2/modules"
MODULES = (
    *("mpm_event", "authn_core", "authz_core", "authn_file", "authz_user", "auth_basic", "headers"),
    *("reqtimeout", "proxy", "proxy_http", "proxy_wstunnel", "setenvif"),
    *("ssl", "http2", "socache_shmcb", "deflate", "brotli", "filter", "cache", "cache_disk", "rewrite"),
    *("proxy_balancer", "lbmethod_byrequests", "slotmem_shm", "ratelimit", "env"),
)
BARE = ("ProxyPass / http://SERVER/",)
RIGHT = (
    "ProxyPass / http://SERVER/ upgrade=websocket flushpackets=on",
    "ProxyPreserveHost On",
    "ProxyTimeout 60",
)
TEMPLATE = """\
ServerRoot @FOLDER@
DefaultRuntimeDir @FOLDER@
PidFile @FOLDER@/httpd.pid
ErrorLog @FOLDER@/error.log
LogLevel error
ServerName localhost
Listen 127.0.0.1:@PORT@
@MODULES@\
User www-data
Group www-data
StartServers 1
ThreadsPerChild 64
MaxRequestWorkers 128
@OUTER@\
<VirtualHost 127.0.0.1:@PORT@>
@TLS@\
@LINES@\
</VirtualHost>
"""


def render(hop: Hop, place: Place, binary: str) -> Launch:
    """Return Apache for a hop; SERVER in a line is the next hop's address."""
    modules = tuple(f"LoadModule {name}_module {MODULES_FOLDER}/mod_{name}.so" for name in MODULES)
    tls: tuple[str, ...] = ()
    if hop.certificate:
        tls = (
            "SSLEngine on",
            f"SSLCertificateFile {place.authority.chain(hop.certificate)}",
            f"SSLCertificateKeyFile {place.authority.key(hop.certificate)}",
            f"Protocols {'h2 http/1.1' if hop.http2 else 'http/1.1'}",
        )
    text = TEMPLATE.replace("@MODULES@", indented(modules, 0)).replace("@OUTER@", indented(hop.outer, 0))
    text = text.replace("@LINES@", indented(hop.lines or BARE, 4)).replace("@TLS@", indented(tls, 4))
    text = text.replace("SERVER/", f"127.0.0.1:{place.upstreams[0]}/")
    text = text.replace("@FOLDER@", str(place.folder)).replace("@PORT@", str(place.port))
    command = (binary, "-DFOREGROUND", "-f", str(place.folder / "httpd.conf"))
    return Launch(command, {"httpd.conf": text})


PROXY = Proxy("Apache", APACHE, render, RIGHT)
