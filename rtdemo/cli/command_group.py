"""Groups of commands: the default command, and commands that are loaded when they are called."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeGuard

import click

_URL_OPTIONS = ("--to", "--url")
"""Options that users expect where the URL is an argument: `rtdemo publish` has --to."""


class ClosedPipeError(Exception):
    """The reader of the output has closed the pipe."""


class DefaultGroup(click.Group):
    """A group that runs its default command if the command line names none.

    Arguments:
        default: name of the default command.
        takes_words: whether a first word that is no command is an argument of the default command.
        package: package with a module for each command in `summaries`, named like the command. A module
            is imported when its command is called, so that the group's help loads none.
        summaries: one sentence about each of these commands, by name, for the group's help.
    """

    def __init__(
        self,
        *args: Any,
        default: str = "",
        takes_words: bool = False,
        package: str = "",
        summaries: Mapping[str, str] = MappingProxyType({}),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._default = default
        self._takes_words = takes_words
        self._package = package
        self._summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *self._summaries})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, and import its module if need be; None if there is no such command."""
        if cmd_name not in self._summaries:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(f"{self._package}.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command's name, the command, and the arguments after it.

        Raises:
            click.UsageError: if there is none; it names those that are alike.
        """
        # click itself knows no command that is not loaded.
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            ctx.fail(self._unknown_command(ctx, args[0]))
        return super().resolve_command(ctx, args)

    def _unknown_command(self, ctx: click.Context, name: str) -> str:
        alike = get_close_matches(name, self.list_commands(ctx))
        fix = f"did you mean {', or '.join(alike)}?" if alike else f"{ctx.command_path} --help lists all"
        if name.endswith(".py"):
            fix = f"for a plugin file: {ctx.command_path} {self._default} {name}"
        return f"there is no command {name!r}; {fix}"

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands; from the summaries if there are any, without their modules."""
        if not self._summaries:
            super().format_commands(ctx, formatter)
            return
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summaries[name]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Raises:
            ClosedPipeError: if the reader of the output has gone; click and rich would exit with 1.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ClosedPipeError from error
        except click.NoSuchOption as error:
            if error.option_name in _URL_OPTIONS and _takes_url(error.ctx):
                fix = _url_fix(error.ctx)
                problem = f"there is no option {error.option_name}; {fix}"
                raise click.UsageError(problem, error.ctx) from error
            raise
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


def _url_fix(ctx: click.Context) -> str:
    (url,) = (each for each in ctx.command.params if each.name == "url")
    if isinstance(url, click.Option):
        return f"use {url.opts[0]} URL"
    return f"give the URL without it: {ctx.command_path} http://localhost:3000"


def _takes_url(ctx: click.Context | None) -> TypeGuard[click.Context]:
    return ctx is not None and any(each.name == "url" for each in ctx.command.params)
