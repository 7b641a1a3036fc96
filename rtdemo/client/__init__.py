"""Receive a server's messages in asyncio, over WebSocket or SSE, across lost connections.

`async with connect("http://localhost:3000", rewind="10m") as stream` gives a stream, and `async for
message in stream` its messages.
"""

from rtdemo.client.ledger import Ledger
from rtdemo.client.message import Message
from rtdemo.client.stream import Stream, connect
from rtdemo.errors import (
    AddressError,
    LoginError,
    NoStreamError,
    NotSentError,
    RefusedError,
    ServerError,
    UnreachableError,
)

__all__ = [
    "AddressError",
    "Ledger",
    "LoginError",
    "Message",
    "NoStreamError",
    "NotSentError",
    "RefusedError",
    "ServerError",
    "Stream",
    "UnreachableError",
    "connect",
]
