"""Flags of the command line, made from the settings that settings/settings.py declares."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from rtdemo.settings.field import Setting
from rtdemo.settings.settings import SETTINGS

FILES = click.argument("files", nargs=-1, type=click.Path(path_type=Path))
"""The plugin files of a command."""


def options(names: Iterable[str] = tuple(SETTINGS)) -> Callable[[Any], Any]:
    """Return a decorator that adds the flags of these settings, all by default."""
    wanted = list(names)

    def decorate(command: Any) -> Any:
        for name in reversed(wanted):
            command = _option(SETTINGS[name])(command)
        return command

    return decorate


def _option(setting: Setting) -> Any:
    words = f"{setting.help} [{setting.variable}]"
    if setting.default not in ("", (), False):
        words += f" Default: {setting.default}."
    if setting.kind is bool:
        flag = f"{setting.flag}/--no-{setting.flag[2:]}"
        return click.option(flag, setting.name, default=None, help=words)
    return click.option(setting.flag, setting.name, metavar=setting.kind.__name__.upper(), help=words)


def check_files(files: Iterable[Path], or_else: str = "") -> None:
    """Refuse a plugin file that is not there.

    Raises:
        click.BadParameter: with its name.
    """
    for file in files:
        if not file.is_file():
            raise click.BadParameter(f"there is no plugin file {str(file)!r}{or_else}")
