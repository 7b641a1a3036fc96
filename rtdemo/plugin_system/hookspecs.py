"""Specifications of the hooks that a plugin may implement."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import Protocol

import pluggy

from rtdemo.plugin_system.checks import Check
from rtdemo.plugin_system.producer import Producer
from rtdemo.protocol.client import Client
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import Broadcast

Reply = str | Broadcast | None

PROJECT = "rtdemo"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class HttpRequest(Protocol):
    """What `authenticate` sees of a request. It is aiohttp's own object, which has more."""

    @property
    def method(self) -> str:
        """HTTP method."""
        ...

    @property
    def path(self) -> str:
        """Path, without the query."""
        ...

    @property
    def query(self) -> Mapping[str, str]:
        """Parameters of the query."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers; the case of their names does not matter."""
        ...

    @property
    def cookies(self) -> Mapping[str, str]:
        """Cookies."""
        ...

    @property
    def remote(self) -> str | None:
        """The peer's IP address."""
        ...


@hookspec
def authenticate(request: HttpRequest) -> str | Awaitable[str | None] | None:
    """Return the name of the user that sends a request, or None."""


@hookspec
def producers(client: Client) -> Iterable[Producer] | None:
    """Return private producers for this connection; called at each connect."""


@hookspec
def shared_producers() -> Iterable[Producer] | None:
    """Return producers that run once for the whole deployment; called once, at start."""


@hookspec
def receive(client: Client, text: str) -> Reply | Awaitable[Reply]:
    """Return a reply to a client's text; every plugin is called, and each reply is sent."""


@hookspec
def connected(client: Client) -> None:
    """Note that a client has connected."""


@hookspec
def disconnected(client: Client, reason: Reason) -> None:
    """Note that a client has disconnected, and why."""


@hookspec
def checks() -> Iterable[Check] | None:
    """Return additional checks for `rtdemo doctor`."""
