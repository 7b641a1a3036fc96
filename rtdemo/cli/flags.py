"""Make the command line's flags from the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from rtdemo.settings.field import Setting
from rtdemo.settings.settings import SETTINGS

FILES = click.argument("files", nargs=-1, type=click.Path(path_type=Path))
"""The plugin files of a command."""


class ClosedPipeError(Exception):
    """Say that nobody reads the output any more."""


class DefaultGroup(click.Group):
    """Take a command line that names no command for one of the default command.

    Arguments:
        default: that command's name.
        takes_words: whether it takes arguments, so that a word that is no command is its.
        modules: where further commands are, by their names; loaded when they are called.
    """

    def __init__(
        self,
        *args: Any,
        default: str = "",
        takes_words: bool = False,
        modules: Mapping[str, str] = MappingProxyType({}),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._default = default
        self._takes_words = takes_words
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names."""
        return sorted({*super().list_commands(ctx), *self._modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, loaded."""
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(self._modules[cmd_name]), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Raises:
            ClosedPipeError: of which click and rich both would make exit code 1.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ClosedPipeError from error
        except SystemExit as end:
            if isinstance(end.__context__, BrokenPipeError):
                raise ClosedPipeError from end
            raise

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command first where no command is named."""
        own = {"--help", "--version"}
        first = args[0] if args else "-"
        is_word = self._takes_words and first not in self.commands
        if first not in own and (first.startswith("-") or is_word):
            args = [self._default, *args]
        return super().parse_args(ctx, args)


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
