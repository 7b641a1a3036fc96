"""What a connection came through, as its server reports it: process, HTTP, TLS, proxies."""

from __future__ import annotations

import msgspec

from rtdemo.protocol.client import Transport


class ConnectionInfo(msgspec.Struct, rename="camel", frozen=True):
    """Conditions of one connection. A fair comparison needs equal ones on both sides.

    Arguments:
        server: the server's name in the deployment; empty if it is the only one.
        process: id of the process that holds the connection.
        transport: `"websocket"` or `"sse"`.
        http: HTTP version of the request as it arrived.
        tls: whether the server itself decrypts the connection.
        no_delay: whether Nagle's algorithm is off (TCP_NODELAY); null if unknown.
        compression: compression of the messages from the server; null for none.
        forwarding: names of the request's headers that proxies add.
        remote: IP address of the peer: the client, or the last proxy before the server.
    """

    server: str
    process: int
    transport: Transport
    http: str
    tls: bool
    no_delay: bool | None
    compression: str | None
    forwarding: list[str]
    remote: str
