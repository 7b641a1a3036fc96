"""The real server in this process, and what must hold whatever a client sends to it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from rtdemo.engine.interface import Draft
from rtdemo.protocol.message import Message
from rtdemo.server.server import Server
from rtdemo.settings.settings import Settings
from tests.raw_client import CLOSE, PING, PONG, TEXT, Frame, RawClient, frame, frames, request, turns

HANG_S = 10.0
"""Seconds in which every answer ends; the server needs milliseconds."""
_TURNS = 8
"""Turns of the loop in which the server reads and answers what has arrived."""
_END_OF_HEAD = b"\r\n\r\n"
_Result = TypeVar("_Result")


class FuzzedServer:
    """A server on its own loop, and one client at a time that sends it any bytes.

    Everything here blocks until it is done, so that a fuzzer can call it.
    """

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._errors = _Errors()
        logging.getLogger().addHandler(self._errors)
        self._loop.set_exception_handler(lambda _, context: self._errors.lines.append(str(context)))
        settings = Settings(
            host="127.0.0.1",
            port=0,
            single_site=True,
            without=("broadcast", "chat", "message", "status"),
        )
        self.server = Server(settings)
        self._run(self.server.start())

    def close(self) -> None:
        """Stop the server."""
        self._run(self.server.stop())
        self._loop.close()
        logging.getLogger().removeHandler(self._errors)

    def request(self, data: bytes) -> bytes:
        """Send bytes that may be no request, or several; return all that is answered until the end.

        Raises:
            AssertionError: the answer is an error of the server, or an error was logged.
        """
        answer = self._run(self._request(data))
        self.check_log()
        for status in statuses(answer):
            assert status < 500, answer
        return answer

    def converse(self, text: bytes) -> list[Frame]:
        """Send a text frame and a ping over a WebSocket; return the frames after the welcome.

        The last one is the pong, or a close frame.

        Raises:
            AssertionError: an error was logged.
        """
        replies = self._run(self._converse(text))
        self.check_log()
        return replies[1:]

    def publish(self, text: str) -> None:
        """Put a message into the log."""

        async def published() -> None:
            await self.server.hub.publish([Draft(Message(text), "publish")])

        self._run(published())

    def check_log(self) -> None:
        """Raise AssertionError if the server has logged an error or a traceback."""
        lines = self._errors.lines.copy()
        self._errors.lines.clear()
        assert not lines, lines[0]

    def _run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return self._loop.run_until_complete(asyncio.wait_for(work, HANG_S))

    async def _request(self, data: bytes) -> bytes:
        client = await RawClient(self.server, "sse").connect()
        try:
            await client.send(data)
            await turns(_TURNS)
            client.end()
            return await client.read_to_end()
        except ConnectionError:  # the server has closed, and there was more to read for it
            return client.received
        finally:
            client.socket.close()

    async def _converse(self, text: bytes) -> list[Frame]:
        client = await RawClient(self.server, "websocket").connect()
        try:
            await client.send(request(self.server, "websocket"))
            await client.read_until(_END_OF_HEAD)
            await client.send(frame(TEXT, text) + frame(PING, b""))
            while not _is_answered(client.received):
                assert await client.read_more(), "the server closed without a close frame"
            return frames(client.received, is_all=False)
        finally:
            client.leave()


def _is_answered(received: bytes) -> bool:
    found = frames(received, is_all=False)
    return bool(found) and found[-1].opcode in (PONG, CLOSE)


def statuses(answer: bytes) -> list[int]:
    """Return the status codes of the answers to one or more requests."""
    return [int(code) for code in re.findall(rb"(?:^|\n)HTTP/1\.[01] (\d{3}) ", answer)]


class _Errors(logging.Handler):
    """Collects what must not be logged, whatever a client sends."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.lines.append(self.format(record))
