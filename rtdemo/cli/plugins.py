"""List plugins, write a new one, and check one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

import click
import msgspec

from rtdemo.cli import flags_from_settings, logs, scaffold
from rtdemo.cli.command_group import DefaultGroup
from rtdemo.plugin_system.discovery import Source, discover, find
from rtdemo.plugin_system.manager import Plugin, PluginManager
from rtdemo.plugin_system.options import Option, Secret
from rtdemo.plugin_system.producer import Producer
from rtdemo.plugin_system.supervisor import Supervisor
from rtdemo.protocol.client import TRANSPORTS, Client, Transport
from rtdemo.settings.folders import bundled
from rtdemo.settings.settings import load
from rtdemo.testing import conformance


# `rtdemo plugins my.py` is `rtdemo plugins list my.py`.
@click.group(cls=DefaultGroup, default="list", takes_words=True)
def plugins() -> None:
    """List the plugins that serve would load, write a new one, or check one.

    Without a command, list. All flags of that: rtdemo plugins list --help
    """


@plugins.command("list")
@flags_from_settings.FILES
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@flags_from_settings.options(["plugins_dir", "without"])
def list_plugins(files: tuple[Path, ...], as_json: bool, **given: object) -> None:
    """List plugins, their producers and settings, with the plugin FILES besides those found."""
    settings = load(given, os.environ)
    flags_from_settings.check_files(files, or_else="; the commands are list, new, check")
    logs.setup("warning", "text")
    sources, _ = discover(settings.plugins_dir, files)
    entries = take(source for source in sources if source.name not in settings.without)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(entries), indent=2))
        return
    click.echo(_plugins_table(entries))
    if any(entry.settings for entry in entries):
        click.echo("\n" + _settings_table(entries))


def _plugins_table(entries: list[Entry]) -> str:
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
    return aligned(["PLUGIN", "VERSION", "HOOKS", "PRODUCERS", "FROM", "STATE"], rows)


def _settings_table(entries: list[Entry]) -> str:
    rows = [
        [[s.variable], [s.value], [s.default], [entry.name], [s.help]]
        for entry in entries
        for s in entry.settings
    ]
    return aligned(["SETTING", "VALUE", "DEFAULT", "PLUGIN", "WHAT"], rows)


@plugins.command()
@click.argument("name")
def new(name: str) -> None:
    """Write the package of a new plugin NAME into the folder rtdemo-NAME."""
    folder = scaffold.create(name, Path())
    click.echo(f"wrote {folder}; next:")
    click.echo(f"  pip install -e './{folder}[test]'")
    click.echo(f"  rtdemo plugins check {folder}")
    click.echo(f"  cd {folder} && pytest")


@plugins.command()
@click.argument("path")
@click.pass_context
def check(ctx: click.Context, path: str) -> int:
    """Run each producer of a plugin as the server would; exit 1 where one fails.

    PATH is a plugin file, the folder of a package, or the name of an installed plugin.
    """
    # What a producer fails with is in its line already; the log would tell it twice.
    logs.setup("error", "text")
    manager = PluginManager(lambda: 0.0)
    source = find(path)
    for error in manager.load([source]):
        click.echo(f"fail  {error}")
        return 1
    (plugin,) = manager.plugins
    click.echo(f"ok    plugin {plugin.name!r} loads; hooks: {', '.join(plugin.hooks) or 'none'}")
    results = []
    for result in conformance.check_plugins(manager):
        click.echo(str(result))
        results.append(result)
    return 0 if all(result.is_ok for result in results) else 1


def aligned(head: Sequence[str], rows: Sequence[Sequence[Sequence[str]]]) -> str:
    """Return a heading and rows; a cell is a list of lines.

    Arguments:
        head: the columns' names.
        rows: each has a cell for each column; the last column may be as long as it likes.
    """
    lines = [tuple(head)]
    for row in rows:
        lines.extend(zip_longest(*row, fillvalue=""))
    flat = [[" ".join(cell.split()) for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in flat) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in flat
    )


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
    manager.collect_shared()
    found: dict[str, list[ProducerEntry]] = {}
    for account in manager.registry.supervisors:
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
