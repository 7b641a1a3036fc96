"""The list of plugins that `rtdemo plugins list` prints, as tables or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

import msgspec

from rtdemo.plugin_system.discovery import Source
from rtdemo.plugin_system.manager import Plugin, PluginManager
from rtdemo.plugin_system.options import Option, Secret
from rtdemo.plugin_system.producer import Producer
from rtdemo.protocol.client import TRANSPORTS, Client, Transport
from rtdemo.settings.folders import bundled


class PluginEntry(msgspec.Struct):
    """A plugin in the list. `state` is `loaded`, or `error: ` and the error in one line."""

    name: str
    version: str
    origin: str
    hooks: list[str]
    producers: list[ProducerEntry]
    state: str
    settings: list[SettingEntry]

    @property
    def shown_origin(self) -> str:
        """Where it was found, in short: `built-in`, or a path relative to the working folder."""
        path = Path(self.origin)
        if path.parent == bundled("plugins"):
            return "built-in"
        here = Path.cwd()
        return str(path.relative_to(here)) if path.is_relative_to(here) else self.origin


class ProducerEntry(msgspec.Struct):
    """A producer in the list. `period` is in seconds; None if it has no period."""

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
    """A setting in the list. `value` and `default` are hidden if it is a secret."""

    name: str
    variable: str
    value: str
    default: str
    help: str


def describe(sources: Iterable[Source]) -> list[PluginEntry]:
    """Load plugins and return their entries; the state of one that fails to load is its error."""
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
    # Call the hooks as for a client without a query.
    for transport in TRANSPORTS:
        manager.producers_for(Client(transport))
    manager.collect_shared()
    found: dict[str, list[ProducerEntry]] = {}
    for supervisor in manager.registry.supervisors:
        found.setdefault(supervisor.plugin, []).append(_producer(supervisor.producer))
    return found


def _producer(p: Producer) -> ProducerEntry:
    return ProducerEntry(p.name, p.every, list(p.transports), p.shared, p.is_stream)


def _loaded(plugin: Plugin, producers: list[ProducerEntry]) -> PluginEntry:
    settings = [_setting(name, option) for name, option in plugin.options.items()]
    return PluginEntry(
        plugin.name, plugin.version, plugin.origin, plugin.hooks, producers, "loaded", settings
    )


def _failed(source: Source, problem: str) -> PluginEntry:
    return PluginEntry(source.name, source.version, source.origin, [], [], f"error: {problem}", [])


def _setting(name: str, option: Option[object]) -> SettingEntry:
    default = str(option.default) if option.has_default else "(none)"
    value = option.shown
    if option.type is Secret:
        # The default may be a plain text by mistake; hide that too.
        value = default = repr(Secret())
    return SettingEntry(name, option.variable, value, default, option.help)


def plugins_table(entries: list[PluginEntry]) -> str:
    """Return the table of plugins, with their hooks and producers."""
    rows = [
        [
            [entry.name],
            [entry.version or "-"],
            entry.hooks or ["-"],
            [str(producer) for producer in entry.producers] or ["-"],
            [entry.shown_origin],
            [entry.state],
        ]
        for entry in entries
    ]
    return _aligned(["PLUGIN", "VERSION", "HOOKS", "PRODUCERS", "FROM", "STATE"], rows)


def settings_table(entries: list[PluginEntry]) -> str:
    """Return the table of the plugins' settings."""
    rows = [
        [[s.variable], [s.value], [s.default], [entry.name], [s.help]]
        for entry in entries
        for s in entry.settings
    ]
    return _aligned(["SETTING", "VALUE", "DEFAULT", "PLUGIN", "WHAT"], rows)


def _aligned(head: Sequence[str], rows: Sequence[Sequence[Sequence[str]]]) -> str:
    # Each row has a cell for each column, and each cell is a list of lines.
    lines = [tuple(head)]
    for row in rows:
        lines.extend(zip_longest(*row, fillvalue=""))
    flat = [[" ".join(cell.split()) for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in flat) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in flat
    )
