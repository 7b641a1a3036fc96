"""Offer the commands."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Any

import click

from rtdemo import __version__, logs
from rtdemo.errors import RtdemoError
from rtdemo.server import Server
from rtdemo.settings import SETTINGS, Setting, load

log = logging.getLogger(__name__)

INTERRUPTED = 130


class Commands(click.Group):
    """Take `rtdemo --port 4000` for `rtdemo serve --port 4000`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `serve` first where no command is named."""
        own = {"--help", "--version"}
        if not args or (args[0].startswith("-") and args[0] not in own):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Commands)
@click.version_option(__version__, message="rtdemo %(version)s")
def rtdemo() -> None:
    """Put Python on a live web page over WebSocket and Server-Sent Events.

    Without a command, serve. All flags of that: rtdemo serve --help
    """


def _option(setting: Setting) -> Any:
    words = f"{setting.help} [{setting.variable}]"
    if setting.default not in ("", (), False):
        words += f" Default: {setting.default}."
    if setting.kind is bool:
        flag = f"{setting.flag}/--no-{setting.flag[2:]}"
        return click.option(flag, setting.name, default=None, help=words)
    return click.option(setting.flag, setting.name, metavar=setting.kind.__name__.upper(), help=words)


def _settings_options(command: Any) -> Any:
    for setting in reversed(list(SETTINGS.values())):
        command = _option(setting)(command)
    return command


@rtdemo.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@_settings_options
def serve(files: tuple[Path, ...], **flags: object) -> None:
    """Serve the page and its streams, with the plugin FILES besides those that are found."""
    settings = load(flags, os.environ)
    for file in files:
        if not file.is_file():
            raise click.BadParameter(f"there is no plugin file {str(file)!r}")
    logs.setup(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(Server(settings, files).run())


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def main() -> None:
    """Run the command line; every error is one line on standard error and an exit code."""
    try:
        rtdemo(prog_name="rtdemo", standalone_mode=False)
    except click.ClickException as error:
        _leave(error.format_message(), error.exit_code)
    except RtdemoError as error:
        _leave(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)


def _leave(sentence: str, code: int) -> None:
    line = " ".join(sentence.split())
    print(f"rtdemo: {line}", file=sys.stderr)
    sys.exit(code)
