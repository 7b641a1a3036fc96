"""Flags of the command line, made from the settings that settings/settings.py declares."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from rtdemo.settings.field import Setting
from rtdemo.settings.settings import SETTINGS

_METAVARS: dict[type, str] = {str: "TEXT", int: "NUMBER", float: "NUMBER"}
"""What the help shows for the value of a flag."""
FILES = click.argument("files", nargs=-1, type=click.Path(path_type=Path))
"""The argument FILES of a command: plugin files."""


def options(names: Iterable[str] = tuple(SETTINGS)) -> Callable[[Any], Any]:
    """Return a decorator that adds the flags of some settings, by default of all, to a command."""
    wanted = list(names)

    def decorate(command: Any) -> Any:
        for name in reversed(wanted):
            command = _option(SETTINGS[name])(command)
        return command

    return decorate


def _option(setting: Setting) -> Any:
    help_text = f"{setting.help} [{setting.variable}]"
    if setting.default not in ("", (), False):
        help_text += f" Default: {_default_text(setting.default)}."
    if setting.kind is bool:
        flag = f"{setting.flag}/--no-{setting.flag[2:]}"
        return click.option(flag, setting.name, default=None, help=help_text)
    if setting.kind is tuple:
        return click.option(
            setting.flag, setting.name, metavar="LIST", help=help_text, multiple=True, callback=_joined
        )
    return click.option(setting.flag, setting.name, metavar=_METAVARS[setting.kind], help=help_text)


def _joined(_context: click.Context, _flag: click.Parameter, values: tuple[str, ...]) -> str | None:
    """Return the lists of a flag that may be given several times as one; None if it was not given."""
    return ",".join(values) or None


def _default_text(default: Any) -> str:
    if default is True:
        return "on"
    return f"{default:.0f}" if isinstance(default, float) and default.is_integer() else str(default)


def check_files(files: Iterable[Path], or_else: str = "") -> None:
    """Check that the plugin files exist.

    Arguments:
        files: the plugin files.
        or_else: the end of the error's sentence.

    Raises:
        click.BadParameter: if one does not exist.
    """
    for file in files:
        if not file.is_file():
            raise click.BadParameter(f"there is no plugin file {str(file)!r}{or_else}")
