"""Fixes for each symptom, worded for the proxies that were detected.

Text between backticks is a whole directive, to copy into the proxy's configuration. Some limits cannot
be changed, so their fix is in rtdemo: Heroku's router closes a connection after 55 s without a byte
(devcenter.heroku.com/articles/http-routing), Cloudflare after 120 s
(developers.cloudflare.com/fundamentals/reference/connection-limits).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_SHORTEN_HEARTBEAT = "start rtdemo with --heartbeat %(lower)g"
_FORWARDS_BY_DEFAULT = "forwards it by default: remove what deletes it"

FIXES: Mapping[str, Mapping[str, str]] = {
    "certificate expired": {
        "": "renew the certificate and reload the server",
        "nginx": "renew the certificate, then run `nginx -s reload`",
        "HAProxy": "renew the certificate, then reload HAProxy",
    },
    "certificate name": {
        "": "get a certificate that has the name %(host)s, or use a name that the certificate has",
    },
    "certificate untrusted": {
        "": "serve the complete chain of a certificate that browsers trust; "
        "for your own certificate authority, set SSL_CERT_FILE to its file",
    },
    "version": {
        "": "configure the proxy to use HTTP/1.1 to rtdemo",
        "nginx": "`proxy_http_version 1.1;`",
        "Apache": "remove SetEnv force-proxy-request-1.0",
        "lighttpd": "remove force-http10",
    },
    "host": {
        "": "configure the proxy to forward Host unchanged, "
        "or start rtdemo with --allow-origin %(origin)s",
        "nginx": "`proxy_set_header Host $http_host;`",
        "HAProxy": "remove http-request set-header Host",
        "Caddy": "`header_up Host {http.request.hostport}`",
        "Cloudflare": "remove the Host override from the origin rule",
        "Apache": "`ProxyPreserveHost On`",
        "Envoy": "remove host_rewrite_literal and auto_host_rewrite",
        "Varnish": "remove set bereq.http.Host",
        "h2o": "`proxy.preserve-host: ON`",
        "nghttpx": "remove host-rewrite=yes",
        "squid": "remove forcedomain= from cache_peer",
    },
    "forwarding": {
        "": "configure the proxy to add X-Forwarded-For; "
        "without it and --production, its clients may count as local users",
        "nginx": "`proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`",
        "HAProxy": "`option forwardfor`",
        "Envoy": "`use_remote_address: true`",
        "nghttpx": "`add-x-forwarded-for=yes`",
        "squid": "`forwarded_for on`",
    },
    "trust in proxies": {
        "": "start rtdemo with --trusted-proxies and the number of proxies, such as 1; "
        "without it all clients share the limits of one address",
    },
    "held": {
        "": "configure the proxy to forward text/event-stream without buffering",
        "nginx": "`proxy_buffering off;`",
        "HAProxy": "remove http-response wait-for-body, and the filter and compression lines for"
        " text/event-stream",
        "Caddy": "`flush_interval -1`",
        "Cloudflare": "add a cache rule that bypasses the cache for /api/sse",
        "Apache": "add flushpackets=on to ProxyPass; remove mod_buffer and mod_deflate for it",
        "Envoy": "remove the filters envoy.filters.http.buffer and envoy.filters.http.compressor",
        "Varnish": 'in vcl_recv: `if (req.url ~ "^/api/sse") { return (pipe); }`',
        "lighttpd": "`server.stream-response-body = 2`",
        "h2o": "`compress: OFF`",
    },
    "held and cached": {
        "": "bypass the cache for /api/, and forward text/event-stream without buffering",
        "nginx": "`proxy_cache off; proxy_buffering off;`",
        "Varnish": 'in vcl_recv: `if (req.url ~ "^/api/") { return (pass); }`',
    },
    "held and compressed": {
        "": "configure the proxy to forward text/event-stream without buffering and compression",
        "nginx": "`proxy_buffering off; gzip off;`",
        "Caddy": "`flush_interval -1`, and exclude /api/sse from encode",
        "Apache": "`SetEnv no-gzip 1`, and add flushpackets=on to ProxyPass",
        "Envoy": "remove the filters envoy.filters.http.buffer and envoy.filters.http.compressor",
        "Varnish": 'in vcl_recv: `if (req.url ~ "^/api/sse") { return (pipe); }`',
        "lighttpd": "`server.stream-response-body = 2`, and remove text/event-stream from"
        " deflate.mimetypes",
    },
    "clumped": {
        "": "send small packets at once (TCP_NODELAY), and flush after each event",
        "nginx": "`tcp_nodelay on;`",
        "HAProxy": "`option http-no-delay`",
        "Caddy": "`flush_interval -1`",
        "Apache": "add flushpackets=on to ProxyPass",
    },
    "compression": {
        "": "do not compress text/event-stream: compression can delay events",
        "nginx": "`gzip off;`",
        "HAProxy": "remove text/event-stream from compression type",
        "Caddy": "exclude /api/sse from encode",
        "Cloudflare": "add a compression rule that excludes /api/sse",
        "Apache": "`SetEnv no-gzip 1`; for Brotli, `SetEnv no-brotli 1`",
        "Envoy": "remove text/event-stream from content_type of envoy.filters.http.compressor",
        "Varnish": "remove set beresp.do_gzip = true",
        "h2o": "`compress: OFF`",
        "lighttpd": "remove text/event-stream from deflate.mimetypes",
    },
    "cached": {
        "": "configure the cache to obey `Cache-Control: no-cache`, or bypass it for /api/",
        "nginx": "`proxy_cache off;`",
        "Varnish": 'in vcl_recv: `if (req.url ~ "^/api/") { return (pass); }`',
        "squid": "`cache deny all`",
        "Apache": '`CacheDisable "/api/"`',
        "Cloudflare": "add a cache rule that bypasses the cache for /api/",
    },
    "upgrade": {
        "": "configure the proxy to set Upgrade and Connection again: they are valid for one hop only",
        "nginx": "`proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
        'proxy_set_header Connection "upgrade";`',
        "HAProxy": f"{_FORWARDS_BY_DEFAULT}, such as http-request del-header Upgrade",
        "Caddy": f"{_FORWARDS_BY_DEFAULT}, such as header_up -Upgrade",
        "Cloudflare": "turn on WebSockets under Network",
        "Apache": "add upgrade=websocket to ProxyPass (Apache 2.4.47 or later)",
        "Envoy": "`upgrade_configs: [{upgrade_type: websocket}]`",
        "Varnish": 'in vcl_recv: `if (req.http.upgrade ~ "(?i)websocket") { return (pipe); }`; in'
        " vcl_pipe: `set bereq.http.upgrade = req.http.upgrade; set bereq.http.connection ="
        " req.http.connection;`",
        "h2o": "`proxy.websocket: ON`",
        "lighttpd": '`proxy.header = ("upgrade" => "enable")`',
        "squid": "`http_upgrade_request_protocols websocket allow all`",
    },
    "media type": {
        "": "forward the header Content-Type unchanged",
        "nginx": "remove add_header Content-Type and proxy_hide_header Content-Type",
        "HAProxy": "remove http-response set-header Content-Type",
        "Caddy": "remove header Content-Type",
        "Apache": "remove Header set Content-Type and ForceType",
    },
    "negotiation": {
        "": "configure the proxy to forward Sec-WebSocket-Protocol",
        "nginx": "remove proxy_set_header Sec-WebSocket-Protocol",
        "HAProxy": "remove http-request del-header Sec-WebSocket-Protocol",
        "Caddy": "remove header_up -Sec-WebSocket-Protocol",
        "Apache": "remove RequestHeader unset Sec-WebSocket-Protocol",
    },
    "deflate": {
        "": "let no proxy add Sec-WebSocket-Extensions: compression of small messages costs more"
        " than it saves",
    },
    "origin": {
        "": "forward the header Origin unchanged, and let no other server answer for rtdemo",
        "nginx": "remove proxy_set_header Origin",
        "HAProxy": "remove http-request del-header Origin",
        "Caddy": "remove header_up -Origin",
        "Apache": "remove RequestHeader unset Origin",
    },
    "idle": {
        "": f"raise the proxy's idle timeouts above %(limit)d s, or {_SHORTEN_HEARTBEAT}",
        "nginx": "`proxy_read_timeout %(limit)ds;`",
        "HAProxy": "`timeout client %(limit)ds` `timeout server %(limit)ds` `timeout tunnel 1h`",
        "Caddy": f"raise read_timeout of the transport, or {_SHORTEN_HEARTBEAT}",
        "Heroku": _SHORTEN_HEARTBEAT,
        "Cloudflare": _SHORTEN_HEARTBEAT,
        "AWS load balancer": "raise its idle timeout above %(limit)d s",
        "Apache": "`ProxyTimeout %(limit)d`; remove timeout= from ProxyPass",
        "Envoy": "`stream_idle_timeout: %(limit)ds`, and in the route `idle_timeout: %(limit)ds`",
        "Varnish": "in vcl_backend_fetch: `set bereq.between_bytes_timeout = %(limit)ds;`, and start"
        " it with `-p pipe_timeout=%(limit)d`",
        "h2o": "`proxy.timeout.io: %(limit)d000`",
        "nghttpx": "`backend-read-timeout=%(limit)ds` `frontend-http2-read-timeout=%(limit)ds`",
        "lighttpd": "`server.max-read-idle = %(limit)d` `server.max-write-idle = %(limit)d`",
        "squid": "`read_timeout %(limit)d seconds`",
    },
    "silent drop": {
        "": "find what drops silent connections and shows no sign, such as a firewall or NAT, or"
        f" {_SHORTEN_HEARTBEAT}",
    },
    "short heartbeat": {
        "": f"{_SHORTEN_HEARTBEAT}, or raise the proxy's timeout for the client's silence",
    },
    "age": {
        "": "find what closes connections by their age or at a reload; clients reconnect and resume",
        "nginx": "remove or raise worker_shutdown_timeout; check whether nginx is reloaded often",
        "HAProxy": "remove or raise hard-stop-after; check whether HAProxy is reloaded often",
        "Caddy": "remove stream_timeout, and write of the timeouts in servers; check whether Caddy is"
        " reloaded often",
        "Traefik": "remove writeTimeout and readTimeout of the entry point's respondingTimeouts",
        "Envoy": "`timeout: 0s` in the route; remove max_stream_duration",
        "Apache": "remove RequestReadTimeout and connectiontimeout; check whether it restarts often",
        "Google load balancer": "raise the timeout of the backend service: it counts the whole stream",
    },
    "closed by the server": {
        "": "the code is rtdemo's own: look into its log",
    },
    "resume": {
        "": "configure the proxy to forward the header Last-Event-ID and the query",
        "nginx": "remove proxy_set_header Last-Event-ID and proxy_pass_request_headers off",
        "HAProxy": "remove http-request del-header Last-Event-ID",
        "Caddy": "remove header_up -Last-Event-ID",
        "Apache": "remove RequestHeader unset Last-Event-ID",
    },
    "log": {
        "": "let all servers at this address share one log: rtdemo serve --engine redis://HOST",
    },
    "sticky": {
        "": "send all requests of a client to the same server (sticky sessions); a shared Redis does not"
        " replace this",
        "nginx": "in the upstream block: `ip_hash;`",
        "HAProxy": "`cookie rtdemo insert indirect nocache`, and cookie NAME at each server",
        "Caddy": "`lb_policy cookie`",
        "Apache": "`ProxySet stickysession=ROUTEID`, with a route at each BalancerMember",
        "Envoy": "lb_policy: RING_HASH with a hash_policy by cookie",
        "Varnish": "use the director hash with client.identity",
        "Heroku": "`heroku features:enable http-session-affinity`",
        "AWS load balancer": "turn on stickiness in the target group",
    },
    "base path": {
        "": "start rtdemo with --base-path %(path)s, and let the proxy keep the path",
    },
    "post": {
        "": "configure the proxy to forward POST to /api/messages",
    },
    "large": {
        "": "find what limits the size of messages; rtdemo accepts 64 KiB",
    },
    "large post": {
        "": "raise the proxy's limit of a request's body to 64 KiB",
        "nginx": "`client_max_body_size 1m;`",
        "Apache": "`LimitRequestBody 1048576`",
        "Caddy": "raise or remove max_size of request_body",
        "lighttpd": "`server.max-request-size = 1024`",
        "squid": "`request_body_max_size 1 MB`",
    },
    "slow": {
        "": "send less: fewer producers, or smaller messages",
        "nginx": "remove limit_rate, if it is set; else send less",
        "Apache": "remove SetOutputFilter RATE_LIMIT, if it is set; else send less",
    },
    "streams": {
        "": "raise the proxy's limit of connections",
        "nginx": "raise or remove limit_conn; raise worker_connections",
        "HAProxy": "raise maxconn",
        "Caddy": "remove what limits connections",
    },
    "streams over http2": {
        "": "raise the number of streams on an HTTP/2 connection to 100",
        "nginx": "in the http block: `http2_max_concurrent_streams 100;`",
        "HAProxy": "`tune.h2.fe.max-concurrent-streams 100` (before HAProxy 2.9:"
        " `tune.h2.max-concurrent-streams 100`)",
        "Envoy": "`http2_protocol_options: {max_concurrent_streams: 100}`",
        "Apache": "it serves 6 streams of a connection at a time, and no directive changes that: use"
        " WebSocket for further tabs, or another proxy",
        "nghttpx": "`frontend-http2-max-concurrent-streams=100`",
        "h2o": "`http2-max-concurrent-requests-per-connection: 100`",
    },
    "http2": {
        "": "offer HTTP/2: a browser then sends all its streams over one connection",
        "nginx": "`http2 on;` (before nginx 1.25.1: `listen 443 ssl http2;`)",
        "HAProxy": "`bind :443 ssl crt FILE alpn h2,http/1.1`",
        "Apache": "`Protocols h2 http/1.1`",
        "Envoy": '`alpn_protocols: ["h2", "http/1.1"]`',
    },
    "broken http2": {
        "": "do not offer h2 in the TLS handshake (ALPN) where the server does not serve it",
    },
    "clock": {
        "": "synchronize both clocks by NTP; rtdemo corrects its own figures for the difference",
    },
    "backend": {
        "": "start rtdemo, and check the address that the proxy forwards to",
    },
    "gateway timeout": {
        "": "check that rtdemo answers, and that the proxy forwards a stream before its end",
    },
    "rate limit": {
        "": "raise the limit of requests for /api/ and /ws, or wait and run doctor again",
        "nginx": "raise or remove limit_req and limit_conn",
        "HAProxy": "raise the limit in http-request deny deny_status 429",
    },
    "overloaded": {
        "": "check whether rtdemo runs, and the proxy's limits of connections",
        "nginx": "raise or remove limit_req and limit_conn; check whether rtdemo runs",
        "HAProxy": "check whether rtdemo runs (option httpchk), and raise maxconn",
    },
    "sign in": {
        "": "send what the sign-in needs: --header 'Authorization: ...' or --header 'Cookie: ...'",
    },
    "login": {
        "": "give a login token of this server: --token, or the variable RTDEMO_TOKEN",
    },
    "expired": {
        "": "run doctor again with a token that lasts longer: --token, or the variable RTDEMO_TOKEN",
    },
    "forbidden": {
        "": "find the rule that refuses this path; browsers of users get the same answer",
        "nginx": "remove deny or return 403 for this path, or change allow",
        "HAProxy": "change the http-request deny that refuses this path",
    },
    "no answer": {
        "": "run doctor again; if it is the same, look into the logs of the proxy and of rtdemo",
    },
    "path": {
        "": "configure the proxy to forward %(path)s to rtdemo; for a server below a path, end URL"
        " with a slash: https://HOST/PATH/",
    },
}
"""By symptom and proxy; the entry under the empty name is the general rule."""


OF_SERVER = frozenset(
    (
        *("certificate name", "certificate untrusted", "trust in proxies", "short heartbeat", "log"),
        *("silent drop", "no answer", "closed by the server"),
        *("slow", "clock", "backend", "sign in", "login", "expired"),
    )
)
"""Symptoms whose general fix is not in the proxy's configuration."""


def fix(symptom: str, proxies: Sequence[str], **figures: float | str) -> str:
    """Return one line that describes how to fix a symptom.

    Arguments:
        symptom: a key of `FIXES`.
        proxies: names of the detected proxies. Where there are several, each may be the cause: the
            line has the directives of all. Without one, or for one without an entry, it has the
            general rule.
        figures: values for the line's placeholders.
    """
    by_proxy = FIXES[symptom]
    known = [name for name in proxies if name in by_proxy]
    lines = [f"{name}: {by_proxy[name]}" for name in known]
    if not known:
        where = f"in {' or '.join(proxies)}: " if proxies and symptom not in OF_SERVER else ""
        lines = [where + by_proxy[""]]
    elif len(known) < len(proxies):
        lines.insert(0, by_proxy[""])
    if len(proxies) > 1 and known:
        lines[0] = f"in the proxy that causes it ({' or '.join(proxies)}; --via finds it): {lines[0]}"
    return "; ".join(lines) % figures
