"""List plugins, write a new one, and check one."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from rtdemo import conformance, inventory, logs, scaffold
from rtdemo.commands import flags, table
from rtdemo.discovery import discover
from rtdemo.inventory import Entry
from rtdemo.plugin_manager import PluginManager
from rtdemo.settings import load
from rtdemo.sources import find


# `rtdemo plugins my.py` is `rtdemo plugins list my.py`.
@click.group(cls=flags.DefaultGroup, default="list", takes_words=True)
def plugins() -> None:
    """List the plugins that serve would load, write a new one, or check one.

    Without a command, list. All flags of that: rtdemo plugins list --help
    """


@plugins.command("list")
@flags.FILES
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@flags.options(["plugins_dir", "without"])
def list_plugins(files: tuple[Path, ...], as_json: bool, **given: object) -> None:
    """List plugins, their producers and settings, with the plugin FILES besides those found."""
    settings = load(given, os.environ)
    flags.check_files(files, or_else="; the commands are list, new, check")
    logs.setup("warning", "text")
    sources, _ = discover(settings.plugins_dir, files)
    entries = inventory.take(source for source in sources if source.name not in settings.without)
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
    return table.aligned(["PLUGIN", "VERSION", "HOOKS", "PRODUCERS", "FROM", "STATE"], rows)


def _settings_table(entries: list[Entry]) -> str:
    rows = [
        [[s.variable], [s.value], [s.default], [entry.name], [s.help]]
        for entry in entries
        for s in entry.settings
    ]
    return table.aligned(["SETTING", "VALUE", "DEFAULT", "PLUGIN", "WHAT"], rows)


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
    verdicts = []
    for verdict in conformance.check_plugins(manager):
        click.echo(str(verdict))
        verdicts.append(verdict)
    return 0 if all(verdict.is_ok for verdict in verdicts) else 1
