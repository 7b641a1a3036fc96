"""Describe a peer as plugins and logs see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Literal

Transport = Literal["websocket", "sse"]
TRANSPORTS: tuple[Transport, ...] = ("websocket", "sse")
LABELS: Mapping[Transport, str] = {"websocket": "WebSocket", "sse": "SSE"}


def new_id() -> str:
    """Return a client id of 128 random bits: whoever knows it may speak for the client."""
    return token_hex(16)


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """Hold what is known of one peer; it never changes while the peer is connected.

    Arguments:
        transport: `"websocket"` or `"sse"`.
        remote: the peer's address, without its port.
        user: the name that authentication gave, if any.
        query: the request's query, the first value of each name.
        id: the secret that `POST /api/messages` asks for; left out of `repr`.
    """

    transport: Transport
    remote: str = ""
    user: str | None = None
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    id: str = field(default_factory=new_id, repr=False)

    @property
    def label(self) -> str:
        """The transport as people write it: `WebSocket` or `SSE`."""
        return LABELS[self.transport]

    @property
    def tag(self) -> str:
        """The first eight digits of the id: enough for a log, too little to speak for it."""
        return self.id[:8]

    def __str__(self) -> str:
        return f"{self.transport} client {self.tag}"
