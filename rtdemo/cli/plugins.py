"""The commands `rtdemo plugins list`, `new` and `check`."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from rtdemo.cli import flags_from_settings, logs, plugin_list, scaffold
from rtdemo.cli.command_group import DefaultGroup
from rtdemo.plugin_system.discovery import discover, find
from rtdemo.plugin_system.manager import PluginManager
from rtdemo.settings.settings import load


# `rtdemo plugins my.py` is `rtdemo plugins list my.py`.
@click.group(cls=DefaultGroup, default="list", takes_words=True)
def plugins() -> None:
    """List plugins, write a new one, or check one.

    Without a command, it runs list. For the options of list: rtdemo plugins list --help
    """


@plugins.command("list")
@flags_from_settings.FILES
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@flags_from_settings.options(["plugins_dir", "without"])
def list_plugins(files: tuple[Path, ...], as_json: bool, **given: object) -> None:
    """List the plugins that `rtdemo serve` loads, with their hooks, producers and settings.

    FILES are additional plugin files.
    """
    settings = load(given, os.environ)
    flags_from_settings.check_files(files, or_else="; the commands are list, new, check")
    logs.setup("warning", "text")
    sources, _ = discover(settings.plugins_dir, files)
    entries = plugin_list.describe(s for s in sources if s.name not in settings.without)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(entries), indent=2))
        return
    click.echo(plugin_list.plugins_table(entries))
    if any(entry.settings for entry in entries):
        click.echo("\n" + plugin_list.settings_table(entries))


@plugins.command()
@click.argument("name")
def new(name: str) -> None:
    """Write a package with a new plugin NAME, and its test, to the folder rtdemo-NAME."""
    folder = scaffold.create(name, Path())
    click.echo(f"wrote {folder}; next:")
    click.echo(f"  pip install -e './{folder}[test]'")
    click.echo(f"  rtdemo plugins check {folder}")
    click.echo(f"  cd {folder} && pytest")


@plugins.command()
@click.argument("path")
@click.pass_context
def check(ctx: click.Context, path: str) -> int:
    """Run each producer of a plugin on virtual time, and report problems with their fixes.

    PATH is a plugin file, the folder of a package, or the name of an installed plugin. The exit code is
    1 if a producer fails.
    """
    # Only this command needs the test kit, which loads the server.
    from rtdemo.testing import conformance

    # The line of a producer has its error already; the log would repeat it.
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
