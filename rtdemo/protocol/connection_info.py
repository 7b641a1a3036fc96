"""Say what a connection came through, as its server tells it."""

from __future__ import annotations

import msgspec

from rtdemo.protocol.client import Transport


class ConnectionInfo(msgspec.Struct, rename="camel", frozen=True):
    """Hold what two connections must have in common to be compared.

    Arguments:
        server: its name among the servers of the deployment; empty where it is the only one.
        process: the id of the process that holds the connection.
        http: version of the request as it arrived.
        no_delay: whether Nagle's algorithm is off (TCP_NODELAY); null where that cannot be told.
        compression: of what the server sends; null for none.
        forwarding: headers by which proxies tell of themselves.
        remote: the address of whoever is connected: a client, or the last proxy.
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
