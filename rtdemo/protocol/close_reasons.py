"""Name the ways in which a connection ends, with their WebSocket close codes."""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """Say why a connection ended: a close code of RFC 6455 section 7.4 and its sentence.

    1006 is never sent; it marks a peer that went without a word, as section 7.1.5 does.
    """

    CLIENT_LEFT = 1000, "client left"
    GOING_AWAY = 1001, "server going away"
    PROTOCOL_ERROR = 1002, "protocol error"
    UNSUPPORTED = 1003, "unsupported data"
    CONNECTION_LOST = 1006, "connection lost"
    BAD_UTF8 = 1007, "text is not UTF-8"
    POLICY = 1008, "policy"
    TOO_BIG = 1009, "message over 64 KiB"
    SERVER_ERROR = 1011, "server error"
    TOO_SLOW = 1013, "client too slow"

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.text} ({self.code})"
