"""Coded ends of a connection, with their WebSocket close codes."""

from __future__ import annotations

from enum import Enum

from rtdemo.protocol.message import MAX_MESSAGE_BYTES


class Reason(Enum):
    """Why a connection ended: a close code (RFC 6455 section 7.4) and a short text.

    1006 is never sent. It marks a peer that left without a close frame (section 7.1.5).

    Attributes:
        code: the WebSocket close code.
        text: the reason, as the close frame and the log give it.
    """

    CLIENT_LEFT = 1000, "client left"
    GOING_AWAY = 1001, "server going away"
    PROTOCOL_ERROR = 1002, "protocol error"
    UNSUPPORTED = 1003, "unsupported data"
    CONNECTION_LOST = 1006, "connection lost"
    BAD_UTF8 = 1007, "text is not UTF-8"
    POLICY = 1008, "policy"
    RATE_LIMIT = 1008, "rate limit"
    TOKEN_EXPIRED = 1008, "token expired"
    TOO_BIG = 1009, f"message over {MAX_MESSAGE_BYTES // 1024} KiB"
    SERVER_ERROR = 1011, "server error"
    TOO_SLOW = 1013, "client too slow"

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.text} ({self.code})"
