"""Specifications of the hooks that a plugin may implement."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

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
