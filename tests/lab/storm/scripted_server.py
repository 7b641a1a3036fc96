"""A server that a test scripts byte by byte, and that ends and starts again in the test's process."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rtdemo.lab.bench import machine
from rtdemo.lab.storm.backoff import DEFAULTS
from rtdemo.lab.storm.result import Storm, StormSettings
from rtdemo.lab.storm.run import StormRun
from rtdemo.protocol import address as addresses
from tests.free_port import free_port

SETTLE_S = 0.1
"""Seconds before the signal and at the end: messages on loopback need no more."""
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Request:
    """One request.

    Arguments:
        life: how many times the server was started again before.
        number: of the request in this life, from 1.
        last_event_id: as the client sent it; empty without one.
    """

    life: int
    number: int
    last_event_id: str


Script = Callable[[Request], bytes]
"""Function that returns what a request is answered. An answer that begins with STREAM stays open."""


class ScriptedServer:
    """A server on loopback; it is also what storm ends and starts again.

    Arguments:
        script: of its answers.

    Attributes:
        lingers: whether it goes on accepting clients after the signal, which cuts all, until `stop`.
    """

    description = "a scripted server"
    restarts_itself = True

    def __init__(self, script: Script) -> None:
        self.port = free_port()
        self.requests: list[Request] = []
        self.signals: list[signal.Signals] = []
        self.is_closed = False
        self.lingers = False
        self._script = script
        self._life = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # it was stopped after it accepted the connection
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        given = re.search(rb"Last-Event-ID: (.*)\r\n", head)
        number = sum(one.life == self._life for one in self.requests) + 1
        request = Request(self._life, number, given[1].decode() if given else "")
        self.requests.append(request)
        answer = self._script(request)
        writer.write(answer)
        if not answer.startswith(STREAM):
            writer.close()

    def send(self, number: signal.Signals) -> None:
        self.signals.append(number)
        if self.lingers:
            self.cut_all()
        else:
            self.stop()

    def stop(self) -> None:
        """End all connections, and accept no further ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut_all()

    def cut_all(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def has_ended(self) -> bool:
        return self._server is None

    async def restart(self) -> None:
        self._life += 1
        await self.start()

    def check(self) -> None:
        pass

    async def close(self, patience_s: float) -> None:
        self.is_closed = True


@asynccontextmanager
async def scripted_server(script: Script) -> AsyncIterator[ScriptedServer]:
    """Run a scripted server while the block runs."""
    server = ScriptedServer(script)
    await server.start()
    try:
        yield server
    finally:
        server.stop()


async def run_storm(
    server: ScriptedServer, clients: int = 20, rule: str = DEFAULTS["sse"], seconds: float = 10.0
) -> Storm:
    """Run a storm of event streams on a scripted server; return its result."""
    address = addresses.parse(f"http://127.0.0.1:{server.port}/stream")
    settings = StormSettings(clients, ("sse",), {"sse": rule}, seconds=seconds)
    storm = Storm("", address.origin, machine.environment(""), settings)
    await StormRun(storm, address, server, lambda _line: None, SETTLE_S).run()
    return storm
