"""The set-ups: what stands before the servers, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tests.matrix.proxies import LINE, PROXIES, apache, haproxy
from tests.matrix.setup import Hop, Setup


def right(kind: str, **more: object) -> Hop:
    """Return a proxy in whose configuration everything is right."""
    return replace(Hop(kind, PROXIES[kind].right), **more)  # type: ignore[arg-type]  # fields of a hop


def changed(hop: Hop, *add: str, without: str = "", outer: Iterable[str] = ()) -> Hop:
    """Return a hop with further lines, and without those that begin with a text."""
    kept = tuple(line for line in hop.lines if not (without and line.startswith(without)))
    return replace(hop, lines=(*kept, *add), outer=(*hop.outer, *outer))


def line(**options: float) -> Hop:
    """Return a bad line."""
    return Hop(LINE, options=options)


TLS: dict[str, Any] = {"certificate": "trusted", "http2": True}
DEFLATE_STREAMS = (
    "AddOutputFilterByType DEFLATE text/event-stream",
    "Header edit Cache-Control no-transform max-age=0",
)
GZIP = ("gzip on;", "gzip_types text/event-stream;", "gzip_min_length 0;")
NGINX = right("nginx")
NGINX_TLS = right("nginx", **TLS)
HAPROXY = right("haproxy")
HAPROXY_TLS = right("haproxy", **TLS)
BUFFERING = changed(
    NGINX, "proxy_buffering on;", "proxy_ignore_headers X-Accel-Buffering;", without="proxy_buffering"
)
BUFFERING_CURE = ("proxy_buffering off",)
COMPRESSOR = (
    'filter={"name": "envoy.filters.http.compressor", "typed_config": {"@type": '
    '"type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor", '
    '"response_direction_config": {"common_config": {"min_content_length": 30, '
    '"content_type": ["text/event-stream"]}}, "compressor_library": {"name": "gzip", '
    '"typed_config": {"@type": '
    '"type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip"}}}}'
)
RATE_LIMIT = (
    'filter={"name": "envoy.filters.http.local_ratelimit", "typed_config": {"@type": '
    '"type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit", '
    '"stat_prefix": "limit", "token_bucket": {"max_tokens": 12, "tokens_per_fill": 1, '
    '"fill_interval": "1s"}, "filter_enabled": {"default_value": {"numerator": 100}}, '
    '"filter_enforced": {"default_value": {"numerator": 100}}}}'
)

NGINX_SETUPS = (
    Setup(
        "nginx: only proxy_pass",
        (Hop("nginx"),),
        ("http 1.0", "host", "forwarding", "no upgrade"),
        idle_s=70,
        heartbeat_s=25,
        culprit="nginx",
    ),
    Setup(
        "nginx: Host is the name of the upstream",
        (Hop("nginx", options={"named": 1}),),
        ("host",),
        culprit="nginx",
        cure=("proxy_set_header host",),
    ),
    Setup("nginx: right", (NGINX,), idle_s=70, heartbeat_s=25),
    Setup("nginx TLS: right", (NGINX_TLS,)),
    Setup("nginx buffers", (BUFFERING,), ("held",), culprit="nginx", cure=BUFFERING_CURE),
    Setup(
        "nginx TLS buffers",
        (replace(BUFFERING, certificate="trusted", http2=True),),
        ("held",),
        culprit="nginx",
        cure=BUFFERING_CURE,
    ),
    Setup(
        "nginx compresses",
        (changed(NGINX, *GZIP),),
        ("compressed",),
        culprit="nginx",
        cure=("gzip off",),
    ),
    Setup(
        "nginx compresses and buffers",
        (changed(BUFFERING, *GZIP),),
        ("compressed", "held"),
        culprit="nginx",
        cure=("gzip off",),
    ),
    Setup(
        "nginx reads for 5 s",
        (changed(NGINX, "proxy_read_timeout 5s;", without="proxy_read_timeout"),),
        ("sse silence", "ws silence"),
        culprit="nginx",
        cure=("proxy_read_timeout",),
    ),
    Setup(
        "nginx without Upgrade",
        (changed(NGINX, without="proxy_set_header Upgrade"),),
        ("no upgrade",),
        culprit="nginx",
        cure=("proxy_set_header upgrade",),
    ),
    Setup(
        "nginx with HTTP/1.0",
        (changed(NGINX, without="proxy_http_version"),),
        ("http 1.0", "no upgrade"),
        culprit="nginx",
        cure=("proxy_http_version 1.1",),
    ),
    Setup(
        "nginx rewrites Host",
        (changed(NGINX, "proxy_set_header Host inner.example;", without="proxy_set_header Host"),),
        ("host",),
        arguments=("--allow-host", "inner.example"),
        culprit="nginx",
        cure=("proxy_set_header host",),
    ),
    Setup(
        "nginx removes Last-Event-ID",
        (changed(NGINX, 'proxy_set_header Last-Event-ID "";'),),
        ("no last-event-id",),
        culprit="nginx",
        cure=("last-event-id",),
    ),
    Setup(
        "nginx removes Origin",
        (changed(NGINX, 'proxy_set_header Origin "";'),),
        ("no origin",),
        culprit="nginx",
        cure=("origin",),
    ),
    Setup(
        "nginx removes the subprotocol",
        (changed(NGINX, 'proxy_set_header Sec-WebSocket-Protocol "";'),),
        ("no subprotocol",),
        culprit="nginx",
        cure=("sec-websocket-protocol",),
    ),
    Setup(
        "nginx limits requests: 503",
        (
            changed(
                NGINX,
                "limit_req zone=few burst=8 nodelay;",
                outer=("limit_req_zone $server_addr zone=few:1m rate=1r/s;",),
            ),
        ),
        ("503",),
        culprit="nginx",
        cure=("limit_req",),
    ),
    Setup(
        "nginx limits requests: 429",
        (
            changed(
                NGINX,
                "limit_req zone=few burst=8 nodelay;",
                "limit_req_status 429;",
                outer=("limit_req_zone $server_addr zone=few:1m rate=1r/s;",),
            ),
        ),
        ("429",),
        culprit="nginx",
        cure=("limit_req",),
    ),
    Setup(
        "nginx allows 4 connections",
        (changed(NGINX, "limit_conn few 4;", outer=("limit_conn_zone $server_addr zone=few:1m;",)),),
        ("streams",),
        culprit="nginx",
        cure=("limit_conn",),
    ),
    Setup(
        "nginx wants a password",
        (changed(NGINX, 'auth_basic "site";', "auth_basic_user_file /dev/null;"),),
        ("401",),
    ),
    Setup(
        "nginx redirects to a sign-in page",
        (changed(NGINX, "if ($cookie_session = '') { return 302 /login?next=$request_uri; }"),),
        ("redirect",),
    ),
    Setup(
        "nginx answers with the page",
        (changed(NGINX, "default_type text/html;", "return 200 '<!doctype html><title>app</title>';"),),
        ("html",),
    ),
    Setup(
        "nginx forbids the WebSocket",
        (changed(NGINX, "if ($uri = /ws) { return 403; }"),),
        ("ws 403",),
        culprit="nginx",
    ),
    Setup(
        "nginx caches",
        (
            changed(
                NGINX,
                "proxy_cache store;",
                "proxy_cache_valid 200 1m;",
                "proxy_ignore_headers Cache-Control Expires X-Accel-Expires;",
                "proxy_buffering on;",
                "proxy_ignore_headers X-Accel-Buffering;",
                without="proxy_buffering",
                outer=("proxy_cache_path @FOLDER@/store keys_zone=store:1m;",),
            ),
        ),
        ("cached",),
        culprit="nginx",
        cure=("proxy_cache",),
    ),
    Setup("nginx: server down", (NGINX,), ("502",), server="none"),
    Setup(
        "nginx: server hangs",
        (changed(NGINX, "proxy_read_timeout 3s;", without="proxy_read_timeout"),),
        ("504",),
        server="silent",
    ),
    Setup(
        "nginx limits bodies",
        (changed(NGINX, "client_max_body_size 1k;"),),
        ("large post",),
        culprit="nginx",
        cure=("client_max_body_size",),
    ),
    Setup(
        "nginx TLS without HTTP/2",
        (replace(NGINX_TLS, http2=False),),
        ("http/1.1 only",),
        culprit="nginx",
        cure=("http2",),
    ),
    Setup(
        "nginx TLS with 4 streams",
        (changed(NGINX_TLS, outer=("server: http2_max_concurrent_streams 4;",)),),
        ("h2 streams",),
        culprit="nginx",
        cure=("http2_max_concurrent_streams",),
    ),
    *(
        Setup(
            f"nginx TLS: certificate {kind}", (right("nginx", certificate=kind, http2=True),), (fault,)
        )
        for kind, fault in (
            ("expired", "expired"),
            ("other name", "name"),
            ("self-signed", "untrusted"),
            ("incomplete", "untrusted"),
        )
    ),
    Setup(
        "nginx below /rt/",
        (replace(NGINX, options={"strips": 1}),),
        ("prefix",),
        path="/rt",
    ),
    Setup(
        "nginx below /rt/, path kept",
        (replace(NGINX, options={"keeps": 1}),),
        path="/rt",
        keeps_path=True,
    ),
    Setup("nginx, 2 servers, own logs", (NGINX,), ("post elsewhere", "two logs"), servers=2),
    Setup(
        "nginx, 2 servers, Redis",
        (NGINX,),
        ("post elsewhere",),
        servers=2,
        redis=True,
        culprit="nginx",
        cure=("hash", "sticky"),
    ),
    Setup(
        "nginx, 2 servers, Redis, hash",
        (changed(NGINX, outer=("upstream: hash $remote_addr consistent;",)),),
        servers=2,
        redis=True,
    ),
    Setup("nginx 1.31: only proxy_pass", (Hop("nginx-new"),), ("host", "no upgrade"), culprit="nginx"),
    Setup("nginx 1.31 TLS: right", (right("nginx-new", **TLS),)),
    Setup(
        "nginx 1.31 TLS buffers",
        (replace(BUFFERING, kind="nginx-new", certificate="trusted", http2=True),),
        ("held",),
        culprit="nginx",
        cure=BUFFERING_CURE,
    ),
)
HAPROXY_SETUPS = (
    Setup(
        "HAProxy: timeouts of Debian",
        (Hop("haproxy", haproxy.DEBIAN),),
        ("clumped", "forwarding"),
        idle_s=70,
        heartbeat_s=25,
        culprit="HAProxy",
        cure=("option http-no-delay",),
    ),
    Setup("HAProxy: right", (HAPROXY,), idle_s=70, heartbeat_s=25),
    Setup("HAProxy TLS: right", (HAPROXY_TLS,)),
    Setup(
        "HAProxy: client timeout of 5 s",
        (
            changed(
                changed(HAPROXY, "timeout client 5s", without="timeout client"), without="timeout tunnel"
            ),
        ),
        ("ws silence",),
        culprit="HAProxy",
        cure=("timeout client", "timeout tunnel"),
    ),
    Setup(
        "HAProxy: server timeout of 5 s",
        (
            changed(
                changed(HAPROXY, "timeout server 5s", without="timeout server"), without="timeout tunnel"
            ),
        ),
        ("sse silence", "ws silence"),
        culprit="HAProxy",
        cure=("timeout server",),
    ),
    Setup(
        "HAProxy: tunnel timeout of 5 s",
        (changed(HAPROXY, "timeout tunnel 5s", without="timeout tunnel"),),
        ("ws silence",),
        culprit="HAProxy",
        cure=("timeout tunnel",),
    ),
    Setup(
        "HAProxy: compression obeys no-transform",
        (changed(HAPROXY, "compression algo gzip", "compression type text/event-stream"),),
    ),
    Setup(
        "HAProxy: maxconn 4",
        (changed(HAPROXY, outer=("server: maxconn 4",)),),
        ("streams",),
        culprit="HAProxy",
        cure=("maxconn",),
    ),
    Setup(
        "HAProxy TLS with 4 streams",
        (changed(HAPROXY_TLS, outer=("global: tune.h2.max-concurrent-streams 4",)),),
        ("h2 streams",),
        culprit="HAProxy",
        cure=("tune.h2",),
    ),
    Setup(
        "HAProxy limits requests: 429",
        (
            changed(
                HAPROXY,
                outer=(
                    "stick-table type ip size 1k expire 10s store http_req_rate(10s)",
                    "http-request track-sc0 src",
                    "http-request deny deny_status 429 if { sc_http_req_rate(0) gt 16 }",
                ),
            ),
        ),
        ("429",),
        culprit="HAProxy",
    ),
    Setup(
        "HAProxy removes Upgrade",
        (changed(HAPROXY, outer=("http-request del-header Upgrade",)),),
        ("no upgrade",),
        culprit="HAProxy",
        cure=("del-header upgrade",),
    ),
    Setup(
        "HAProxy: server down",
        (HAPROXY,),
        ("503",),
        server="none",
    ),
    Setup(
        "HAProxy, 2 servers, own logs",
        (changed(HAPROXY, outer=("backend: balance roundrobin",)),),
        ("post elsewhere", "two logs"),
        servers=2,
    ),
    Setup(
        "HAProxy, 2 servers, Redis, cookie",
        (
            changed(
                HAPROXY,
                outer=(
                    "backend: balance roundrobin",
                    "backend: cookie rtdemo insert indirect nocache httponly",
                    "server: cookie NUMBER",
                ),
            ),
        ),
        servers=2,
        redis=True,
    ),
)
CADDY_SETUPS = (
    Setup("Caddy 2.6: defaults", (Hop("caddy"),), idle_s=70, heartbeat_s=25),
    Setup("Caddy TLS: defaults", (Hop("caddy-new", **TLS),)),
    Setup("Caddy: encode gzip", (Hop("caddy", outer=("encode gzip",)),)),
    Setup(
        "Caddy: encode all",
        (
            Hop(
                "caddy-new",
                ("header_down -Cache-Control",),
                ("encode {", "    zstd", "    match header Content-Type text/event-stream*", "}"),
            ),
        ),
        ("compressed",),
        culprit="Caddy",
        cure=("encode",),
    ),
    Setup(
        "Caddy: stream_timeout of 5 s",
        (Hop("caddy-new", ("stream_timeout 5s",)),),
        ("ws age",),
        culprit="Caddy",
        cure=("stream_timeout",),
    ),
    Setup(
        "Caddy: read_timeout of 5 s",
        (Hop("caddy-new", ("transport http {", "    read_timeout 5s", "}")),),
        ("sse silence", "ws silence"),
        culprit="Caddy",
        cure=("read_timeout",),
    ),
    Setup(
        "Caddy removes Upgrade",
        (Hop("caddy", ("header_up -Upgrade",)),),
        ("no upgrade",),
        culprit="Caddy",
        cure=("header_up -upgrade",),
    ),
    Setup(
        "Caddy rewrites Host",
        (Hop("caddy", ("header_up Host inner.example",)),),
        ("host",),
        arguments=("--allow-host", "inner.example"),
        culprit="Caddy",
        cure=("header_up host",),
    ),
)
APACHE_SETUPS = (
    Setup(
        "Apache: only ProxyPass",
        (Hop("apache", apache.BARE),),
        ("host", "no upgrade"),
        idle_s=70,
        heartbeat_s=25,
        culprit="Apache",
        cure=("upgrade=websocket",),
    ),
    Setup("Apache: right", (right("apache"),)),
    Setup(
        # Its HTTP/2 works on six requests of a connection at a time until some end.
        "Apache TLS: six streams",
        (right("apache", **TLS),),
        ("h2 streams",),
    ),
    Setup(
        "Apache compresses",
        (changed(right("apache"), "SetOutputFilter DEFLATE"),),
        ("compressed",),
        culprit="Apache",
        cure=("deflate", "no-gzip"),
    ),
    Setup(
        "Apache compresses with Brotli",
        (changed(right("apache"), "SetOutputFilter BROTLI_COMPRESS"),),
        ("compressed",),
        culprit="Apache",
        cure=("brotli", "no-brotli"),
    ),
    Setup(
        "Apache throttles",
        (changed(right("apache"), "SetOutputFilter RATE_LIMIT", "SetEnv rate-limit 12"),),
        ("slow",),
    ),
    Setup(
        "Apache: ProxyTimeout of 5 s",
        (changed(right("apache"), "ProxyTimeout 5", without="ProxyTimeout"),),
        ("sse silence",),
        culprit="Apache",
        cure=("proxytimeout", "timeout="),
    ),
)
ENVOY = right("envoy")
ENVOY_SETUPS = (
    Setup(
        "Envoy: only a route",
        (Hop("envoy"),),
        ("sse age", "no upgrade", "forwarding"),
        idle_s=20,
        culprit="Envoy",
        cure=("timeout",),
    ),
    Setup("Envoy: right", (ENVOY,)),
    Setup("Envoy TLS: right", (right("envoy", **TLS),)),
    Setup("Envoy: compressor obeys no-transform", (changed(ENVOY, COMPRESSOR),)),
    Setup(
        "Envoy compresses",
        (changed(ENVOY, COMPRESSOR, 'entry.response_headers_to_remove=["cache-control"]'),),
        ("compressed",),
        culprit="Envoy",
        cure=("compressor",),
    ),
    Setup(
        "Envoy: idle timeout of 5 s",
        (changed(ENVOY, 'manager.stream_idle_timeout="5s"'),),
        ("sse silence", "ws silence"),
        culprit="Envoy",
        cure=("idle_timeout",),
    ),
    Setup(
        "Envoy: streams of 6 s at most",
        (changed(ENVOY, 'manager.common_http_protocol_options={"max_stream_duration": "6s"}'),),
        ("sse age", "ws age"),
        culprit="Envoy",
        cure=("max_stream_duration",),
    ),
    Setup("Envoy limits requests: 429", (changed(ENVOY, RATE_LIMIT),), ("429",), culprit="Envoy"),
)
OTHER_SETUPS = (
    Setup(
        "h2o: only a URL",
        (Hop("h2o"),),
        ("host", "no upgrade"),
        idle_s=34,
        heartbeat_s=25,
        culprit="h2o",
        cure=("proxy.websocket",),
    ),
    Setup("h2o TLS: right", (right("h2o", **TLS),)),
    Setup(
        "h2o: timeout of 5 s",
        (changed(right("h2o"), "proxy.timeout.io: 5000", without="proxy.timeout.io"),),
        ("sse silence",),
        culprit="h2o",
        cure=("proxy.timeout.io",),
    ),
    Setup(
        "nghttpx: only addresses",
        (Hop("nghttpx"),),
        ("forwarding",),
        idle_s=70,
        heartbeat_s=25,
        culprit="nghttpx",
    ),
    Setup("nghttpx TLS: right", (right("nghttpx", **TLS),)),
    Setup(
        "nghttpx TLS: reads for 5 s",
        (changed(right("nghttpx", **TLS), "backend-read-timeout=5s"),),
        ("sse silence", "ws silence"),
        culprit="nghttpx",
        cure=("backend-read-timeout",),
    ),
    Setup(
        "Varnish: only a backend",
        (Hop("varnish"),),
        ("no upgrade",),
        idle_s=70,
        heartbeat_s=25,
        culprit="Varnish",
        cure=("pipe",),
    ),
    Setup("Varnish: right", (right("varnish"),)),
    Setup(
        "Varnish: between bytes 5 s",
        (changed(Hop("varnish"), "-p between_bytes_timeout=5"),),
        ("sse silence", "no upgrade"),
        culprit="Varnish",
        cure=("between_bytes_timeout",),
    ),
    Setup(
        "lighttpd: only proxy.server",
        (Hop("lighttpd"),),
        ("held", "no upgrade"),
        culprit="lighttpd",
        cure=("server.stream-response-body",),
    ),
    Setup("lighttpd: right", (right("lighttpd"),)),
    Setup("lighttpd TLS: right", (right("lighttpd", **TLS),)),
    Setup(
        "Squid: only accel",
        (Hop("squid"),),
        ("no upgrade",),
        idle_s=70,
        heartbeat_s=25,
        culprit="squid",
        cure=("http_upgrade_request_protocols",),
    ),
    Setup("Squid: right", (right("squid"),)),
    Setup("Traefik: defaults", (Hop("traefik"),), idle_s=70, heartbeat_s=25),
    Setup("Traefik TLS: defaults", (Hop("traefik", **TLS),)),
    Setup(
        "Traefik limits requests: 429",
        (Hop("traefik", ('few={"rateLimit": {"average": 1, "burst": 12}}',)),),
        ("429",),
        culprit="Traefik",
    ),
    Setup("stunnel", (Hop("stunnel", certificate="trusted"),)),
)
DOUBLE_SETUPS = (
    Setup("nginx TLS, HAProxy: right", (NGINX_TLS, HAPROXY), arguments=("--trusted-proxies", "2")),
    Setup(
        "nginx TLS, HAProxy clumps",
        (NGINX_TLS, changed(HAPROXY, without="option http-no-delay")),
        ("clumped",),
        arguments=("--trusted-proxies", "2"),
        culprit="HAProxy",
        cure=("option http-no-delay",),
    ),
    Setup(
        "Caddy TLS, Varnish",
        (Hop("caddy-new", **TLS), right("varnish")),
        arguments=("--trusted-proxies", "2"),
    ),
    Setup(
        "HAProxy TLS, nginx buffers",
        (HAPROXY_TLS, BUFFERING),
        ("held",),
        arguments=("--trusted-proxies", "2"),
        culprit="nginx",
        cure=BUFFERING_CURE,
    ),
    Setup(
        "Caddy TLS, nginx buffers",
        (Hop("caddy-new", **TLS), BUFFERING),
        ("held",),
        arguments=("--trusted-proxies", "2"),
        culprit="nginx",
        cure=BUFFERING_CURE,
    ),
    Setup(
        "nginx TLS, nginx reads for 5 s",
        (NGINX_TLS, changed(NGINX, "proxy_read_timeout 5s;", without="proxy_read_timeout")),
        ("sse silence", "ws silence"),
        arguments=("--trusted-proxies", "2"),
        culprit="nginx",
        cure=("proxy_read_timeout",),
    ),
    Setup(
        "Envoy TLS, Apache without upgrade",
        (right("envoy", **TLS), changed(Hop("apache", apache.BARE), "ProxyPreserveHost On")),
        ("no upgrade",),
        arguments=("--trusted-proxies", "2"),
        culprit="Apache",
        cure=("upgrade=websocket",),
    ),
    Setup(
        "stunnel, nginx: right",
        (Hop("stunnel", certificate="trusted"), NGINX),
    ),
)
LINE_SETUPS = (
    Setup("nginx on a slow line", (line(bytes_per_s=24_000), NGINX), ("slow",)),
    Setup("nginx far away", (line(delay_s=0.3), NGINX), ("far",)),
    Setup("nginx TLS far away", (line(delay_s=0.3), NGINX_TLS), ("far",)),
    Setup("a line drops silence", (line(drop_after_s=5), NGINX), ("sse drop", "ws drop")),
    Setup("a line cuts by age", (line(max_age_s=6),), ("sse age", "ws age")),
    Setup("an unknown proxy holds to the next", (line(hold_next=1),), ("held",)),
    Setup("an unknown proxy holds to the end", (line(hold_end=1),), ("held",)),
    Setup("an unknown proxy holds 16 KB", (line(hold_bytes=16_384),), ("held",)),
    Setup("an unknown proxy clumps", (line(clump_s=0.2),), ("clumped",)),
    Setup("no proxy", (line(),)),
)
PASSWORD = "Basic c2l0ZTpzZWNyZXQ="
"""The header of the user `site` with the password `secret`."""
STRANGE_SETUPS = (
    Setup(
        "nginx wants a password, and gets it",
        (
            changed(
                NGINX,
                f"if ($http_authorization != '{PASSWORD}') {{ return 401; }}",
                'proxy_set_header Authorization "";',
            ),
        ),
        headers={"Authorization": PASSWORD},
    ),
    Setup(
        "nginx changes the content type",
        (changed(NGINX, "proxy_hide_header Content-Type;", "add_header Content-Type text/plain;"),),
        ("content type",),
        culprit="nginx",
    ),
    Setup(
        "nginx refuses POST",
        (changed(NGINX, "limit_except GET { deny all; }"),),
        ("post 403",),
        culprit="nginx",
    ),
    Setup(
        "nginx closes after each request",
        (changed(NGINX, outer=("keepalive_timeout 0;",)),),
    ),
    Setup(
        "HAProxy signs in with HTML",
        (
            changed(
                HAPROXY,
                outer=(
                    "http-request return status 200 content-type text/html "
                    "string '<html><form action=/login>Sign in</form></html>' "
                    "unless { req.cook(session) -m found }",
                ),
            ),
        ),
        ("html",),
    ),
    Setup(
        "HAProxy forwards TCP",
        (
            Hop(
                "haproxy",
                ("timeout connect 3s", "timeout client 60s", "timeout server 60s"),
                ("mode tcp", "backend: mode tcp"),
                options={"tcp": 1},
            ),
        ),
    ),
    Setup(
        "HAProxy closes after each request",
        (changed(HAPROXY, "option httpclose"),),
    ),
    Setup(
        "Apache speaks HTTP/1.0",
        (changed(right("apache"), "SetEnv force-proxy-request-1.0 1"),),
        ("http 1.0",),
        culprit="Apache",
        cure=("force-proxy-request-1.0", "http/1.1"),
    ),
    Setup(
        "Apache with RewriteRule",
        (
            Hop(
                "apache",
                (
                    "RewriteEngine On",
                    "RewriteCond %{HTTP:Upgrade} websocket [NC]",
                    "RewriteRule ^/(.*) ws://SERVER/$1 [P,L]",
                    "ProxyPass / http://SERVER/ flushpackets=on",
                    "ProxyPreserveHost On",
                ),
            ),
        ),
    ),
    Setup(
        "Varnish stores answers",
        (
            Hop(
                "varnish",
                (
                    *PROXIES["varnish"].right[:1],
                    *PROXIES["varnish"].right[2:],
                    "fetch: set beresp.do_stream = false;",
                ),
            ),
        ),
        ("held",),
        culprit="Varnish",
        cure=("do_stream", "return (pipe)"),
    ),
    Setup(
        "Varnish compresses",
        (
            Hop(
                "varnish",
                (
                    *PROXIES["varnish"].right[:1],
                    *PROXIES["varnish"].right[2:],
                    "fetch: set beresp.do_gzip = true;",
                ),
            ),
        ),
        ("compressed",),
        culprit="Varnish",
        cure=("do_gzip", "return (pipe)"),
    ),
    Setup(
        "Traefik: compress",
        (Hop("traefik", ('small={"compress": {}}',)),),
    ),
    Setup(
        "Traefik buffers",
        (Hop("traefik", ('whole={"buffering": {"maxResponseBodyBytes": 10000000}}',)),),
        ("sse buffered whole",),
        culprit="Traefik",
        cure=("buffering",),
    ),
    Setup(
        "Envoy TLS with 4 streams",
        (
            changed(
                right("envoy", **TLS), 'manager.http2_protocol_options={"max_concurrent_streams": 4}'
            ),
        ),
        ("h2 streams",),
        culprit="Envoy",
        cure=("max_concurrent_streams",),
    ),
    Setup(
        "nghttpx TLS with 4 streams",
        (changed(right("nghttpx", **TLS), "frontend-http2-max-concurrent-streams=4"),),
        ("h2 streams",),
        culprit="nghttpx",
        cure=("frontend-http2-max-concurrent-streams",),
    ),
    Setup(
        "Caddy limits bodies",
        (Hop("caddy", outer=("request_body {", "    max_size 1KB", "}")),),
        ("large post",),
        culprit="Caddy",
        cure=("max_size",),
    ),
    Setup(
        "h2o compresses",
        (changed(right("h2o"), "compress: ON"),),
    ),
    Setup(
        "lighttpd: deflate leaves streams alone",
        (
            changed(
                right("lighttpd"),
                'deflate.mimetypes = ( "text/event-stream" )',
                'deflate.allowed-encodings = ( "gzip" )',
                "deflate.min-compress-size = 10",
                outer=("module: mod_deflate",),
            ),
        ),
    ),
    Setup("lighttpd TLS, nginx: right", (right("lighttpd", **TLS), NGINX)),
    Setup(
        "stunnel, Varnish, nginx buffers",
        (Hop("stunnel", certificate="trusted"), right("varnish"), BUFFERING),
        ("held",),
        culprit="nginx",
        cure=BUFFERING_CURE,
    ),
    Setup("HAProxy on a middling line", (line(bytes_per_s=400_000, delay_s=0.0), HAPROXY)),
    Setup("Caddy TLS at 100 ms", (line(delay_s=0.1), Hop("caddy-new", **TLS))),
    Setup("a line clumps before Caddy", (line(clump_s=0.04), Hop("caddy")), ("clumped",)),
    Setup(
        "a line drops silence after 12 s",
        (line(drop_after_s=12), NGINX),
        ("ws drop",),
        idle_s=30,
        heartbeat_s=25,
    ),
)
FURTHER_SETUPS = (
    Setup(
        "HAProxy TLS waits for bodies of requests",
        (changed(HAPROXY_TLS, "option http-buffer-request"),),
    ),
    Setup(
        "nginx with small buffers",
        (changed(NGINX, "proxy_buffer_size 1k;", "proxy_buffers 4 1k;", "proxy_busy_buffers_size 2k;"),),
    ),
    Setup(
        "nginx limits the rate",
        # It counts from the beginning of an answer, so silence before an event leaves room for it.
        (changed(NGINX, "limit_rate 24k;"),),
    ),
    Setup(
        "nginx TLS caches",
        (
            changed(
                NGINX_TLS,
                "proxy_cache store;",
                "proxy_cache_valid 200 1m;",
                "proxy_cache_lock on;",
                "proxy_ignore_headers Cache-Control Expires X-Accel-Expires;",
                "proxy_buffering on;",
                "proxy_ignore_headers X-Accel-Buffering;",
                without="proxy_buffering",
                outer=("proxy_cache_path @FOLDER@/store keys_zone=store:1m;",),
            ),
        ),
        ("cached",),
        culprit="nginx",
        cure=("proxy_cache",),
    ),
    Setup("Caddy TLS: flush_interval", (Hop("caddy-new", ("flush_interval 300ms",), **TLS),)),
    Setup("Caddy TLS: encode zstd gzip", (Hop("caddy-new", (), ("encode zstd gzip",), **TLS),)),
    Setup(
        "Caddy: writes for 6 s",
        (
            Hop(
                "caddy-new",
                (),
                (
                    *("options: servers {", "options:     timeouts {", "options:         write 6s"),
                    *("options:     }", "options: }"),
                ),
            ),
        ),
        ("sse age",),
        culprit="Caddy",
        cure=("write",),
    ),
    Setup(
        "Envoy: idle timeout of the route",
        (changed(ENVOY, 'route.idle_timeout="5s"'),),
        ("sse silence", "ws silence"),
        culprit="Envoy",
        cure=("idle_timeout",),
    ),
    Setup(
        "Envoy: route streams for 6 s at most",
        (changed(ENVOY, 'route.max_stream_duration={"max_stream_duration": "6s"}'),),
        ("sse age", "ws age"),
        culprit="Envoy",
        cure=("max_stream_duration",),
    ),
    Setup(
        "Traefik: writes for 6 s",
        (Hop("traefik", (), ("--entryPoints.web.transport.respondingTimeouts.writeTimeout=6s",)),),
        ("sse age",),
        culprit="Traefik",
        cure=("writetimeout",),
    ),
    Setup(
        "Traefik: reads for 6 s",
        (Hop("traefik", (), ("--entryPoints.web.transport.respondingTimeouts.readTimeout=6s",)),),
    ),
    Setup(
        "Apache: mod_buffer lets flushed events pass",
        (
            changed(
                right("apache"),
                "SetOutputFilter BUFFER",
                outer=("LoadModule buffer_module /usr/lib/apache2/modules/mod_buffer.so",),
            ),
        ),
    ),
    Setup(
        "Apache: timeout of ProxyPass",
        (
            Hop(
                "apache",
                (
                    "ProxyPass / http://SERVER/ upgrade=websocket flushpackets=on timeout=5",
                    "ProxyPreserveHost On",
                ),
            ),
        ),
        ("sse silence",),
        culprit="Apache",
        cure=("timeout",),
    ),
    Setup(
        "Varnish: pipe timeout of 5 s",
        (changed(right("varnish"), "-p pipe_timeout=5", without="-p pipe_timeout"),),
        ("sse silence", "ws silence"),
        culprit="Varnish",
        cure=("pipe_timeout",),
    ),
    Setup("Squid: small read-ahead", (changed(right("squid"), "read_ahead_gap 1 KB"),)),
    Setup(
        "Squid: reads for 5 s",
        (changed(right("squid"), "read_timeout 5 seconds"),),
        ("sse silence",),
        culprit="squid",
        cure=("read_timeout",),
    ),
    Setup(
        "lighttpd: writes for 5 s",
        (changed(right("lighttpd"), "server.max-write-idle = 5"),),
    ),
    Setup(
        "stunnel: idle for 5 s",
        (Hop("stunnel", ("TIMEOUTidle = 5",), certificate="trusted"),),
        ("sse silence", "ws silence"),
    ),
    Setup(
        "nginx TLS compresses, HAProxy clumps",
        (
            changed(NGINX_TLS, *GZIP),
            changed(HAPROXY, without="option http-no-delay"),
        ),
        ("compressed", "clumped"),
        arguments=("--trusted-proxies", "2"),
    ),
    Setup(
        "Caddy TLS rewrites Host, nginx reads for 5 s",
        (
            Hop("caddy-new", ("header_up Host inner.example",), **TLS),
            changed(NGINX, "proxy_read_timeout 5s;", without="proxy_read_timeout"),
        ),
        ("host", "sse silence", "ws silence"),
        arguments=("--trusted-proxies", "2", "--allow-host", "inner.example"),
    ),
)
SETUPS = (
    *NGINX_SETUPS,
    *HAPROXY_SETUPS,
    *CADDY_SETUPS,
    *APACHE_SETUPS,
    *ENVOY_SETUPS,
    *OTHER_SETUPS,
    *DOUBLE_SETUPS,
    *LINE_SETUPS,
    *STRANGE_SETUPS,
    *FURTHER_SETUPS,
)
