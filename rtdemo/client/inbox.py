"""Messages between the socket and the program, bounded in size."""

from __future__ import annotations

import asyncio
from collections import deque

from rtdemo.client.message import Message

MAX_WAITING_CHARACTERS = 1024 * 1024
"""Characters of the messages that wait for the program. Beyond, nothing is read from the socket."""


class Inbox:
    """Hold messages until the program takes them; beyond the bound, the reader waits.

    A wait that is cancelled loses no message.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Message, str]] = deque()
        self._characters = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._end: Exception | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no message waits for the program."""
        return not self._waiting

    async def put(self, message: Message, position: str) -> None:
        """Add a message once there is room.

        Arguments:
            message: to add.
            position: after which the client continues, once the program has this message.
        """
        await self._room.wait()
        self._waiting.append((message, position))
        self._characters += len(message.text)
        if self._characters >= MAX_WAITING_CHARACTERS:
            self._room.clear()
        self._arrived.set()

    def end(self, error: Exception) -> None:
        """Let the program have this error after the last message."""
        self._end = error
        self._arrived.set()

    async def get(self) -> tuple[Message, str]:
        """Return the next message and the position after it.

        Raises:
            Exception: that of `end`, after the last message.
        """
        while not self._waiting:
            if self._end is not None:
                raise self._end
            self._arrived.clear()
            await self._arrived.wait()
        message, position = self._waiting.popleft()
        self._characters -= len(message.text)
        if self._characters <= MAX_WAITING_CHARACTERS // 2:
            self._room.set()
        return message, position
