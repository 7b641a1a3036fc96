"""Groups of commands: the default command, and commands that are loaded when they are called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

import click


class ClosedPipeError(Exception):
    """The reader of the output has closed the pipe."""


class DefaultGroup(click.Group):
    """A group that runs its default command if the command line names none.

    Arguments:
        default: name of the default command.
        takes_words: whether a first word that is no command is an argument of the default command.
        modules: the modules of further commands, by name; a module is imported when it is needed.
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
        """Return the names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *self._modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, and import its module if need be; None if there is no such command."""
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(self._modules[cmd_name]), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Raises:
            ClosedPipeError: if the reader of the output has gone; click and rich would exit with 1.
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
        """Insert the default command if no command is named."""
        own = {"--help", "--version"}
        first = args[0] if args else "-"
        is_word = self._takes_words and first not in self.commands
        if first not in own and (first.startswith("-") or is_word):
            args = [self._default, *args]
        return super().parse_args(ctx, args)
