"""Describe plugins to people: what each has, where it is from, how it is set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from rtdemo.client import TRANSPORTS, Client, Transport
from rtdemo.discovery import Source
from rtdemo.options import Option, Secret
from rtdemo.paths import bundled
from rtdemo.plugin_manager import Plugin, PluginManager
from rtdemo.producers import Producer
from rtdemo.supervisor import Supervisor

_NO_DEFAULT = Option(str).default
"""What the `default` of every Option without one is."""


class ProducerEntry(msgspec.Struct):
    """Describe a producer; `period` is in seconds, None where it has none."""

    name: str
    period: float | None
    transports: list[Transport]
    shared: bool
    stream: bool

    def __str__(self) -> str:
        when = f"every {self.period:g} s" if self.period is not None else "once, at connect"
        parts = [self.name, "async generator" if self.stream else when]
        if len(self.transports) == 1:
            parts.append(f"{self.transports[0]} only")
        if self.shared:
            parts.append("shared")
        return ", ".join(parts)


class SettingEntry(msgspec.Struct):
    """Describe a setting of a plugin, its values as people may see them."""

    name: str
    variable: str
    value: str
    default: str
    help: str


class Entry(msgspec.Struct):
    """Describe a plugin; `state` is `loaded` or `error: ` and a line."""

    name: str
    version: str
    origin: str
    hooks: list[str]
    producers: list[ProducerEntry]
    state: str
    settings: list[SettingEntry]

    @property
    def shown_origin(self) -> str:
        """The origin, short: `built-in`, or a path from the working folder."""
        path = Path(self.origin)
        if path.parent == bundled("plugins"):
            return "built-in"
        here = Path.cwd()
        return str(path.relative_to(here)) if path.is_relative_to(here) else self.origin


def take(sources: Iterable[Source]) -> list[Entry]:
    """Load plugins and describe them; one that cannot be loaded has its error as state."""
    manager = PluginManager(lambda: 0.0)
    known = list(sources)
    errors = {error.plugin: error.problem for error in manager.load(known)}
    producers = _producers(manager)
    loaded = {plugin.name: plugin for plugin in manager.plugins}
    return [
        _loaded(loaded[source.name], producers.get(source.name, []))
        if source.name in loaded
        else _failed(source, errors[source.name])
        for source in known
    ]


def _producers(manager: PluginManager) -> dict[str, list[ProducerEntry]]:
    # Hooks are asked as at a connect, by a client without a query.
    for transport in TRANSPORTS:
        manager.producers_for(Client(transport))
    manager.ask_shared()
    found: dict[str, list[ProducerEntry]] = {}
    for account in manager.roster.accounts:
        found.setdefault(account.plugin, []).append(_producer(account))
    return found


def _producer(account: Supervisor) -> ProducerEntry:
    p: Producer = account.producer
    return ProducerEntry(p.name, p.every, list(p.transports), p.shared, p.is_stream)


def _loaded(plugin: Plugin, producers: list[ProducerEntry]) -> Entry:
    settings = [_setting(name, option) for name, option in plugin.options.items()]
    return Entry(plugin.name, plugin.version, plugin.origin, plugin.hooks, producers, "loaded", settings)


def _failed(source: Source, problem: str) -> Entry:
    return Entry(source.name, source.version, source.origin, [], [], f"error: {problem}", [])


def _setting(name: str, option: Option[object]) -> SettingEntry:
    default = "(none)" if option.default is _NO_DEFAULT else str(option.default)
    value = option.shown
    if option.type is Secret:
        # Also where an author gave a plain text as its default.
        value = default = repr(Secret())
    return SettingEntry(name, option.variable, value, default, option.help)
