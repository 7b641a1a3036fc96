"""Groups of commands: the default command, and commands that are loaded when they are called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

import click


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
