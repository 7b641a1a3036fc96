"""Offer the commands."""

from __future__ import annotations

import sys

import click

from rtdemo import __version__
from rtdemo.commands.bench import bench
from rtdemo.commands.doctor import doctor
from rtdemo.commands.flags import DefaultGroup
from rtdemo.commands.plugins import plugins
from rtdemo.commands.publish import publish
from rtdemo.commands.serve import serve
from rtdemo.commands.tail import tail
from rtdemo.errors import RtdemoError

INTERRUPTED = 130


# `rtdemo --port 4000` is `rtdemo serve --port 4000`.
@click.group(cls=DefaultGroup, default="serve")
@click.version_option(__version__, message="rtdemo %(version)s")
def rtdemo() -> None:
    """Put Python on a live web page over WebSocket and Server-Sent Events.

    Without a command, serve. All flags of that: rtdemo serve --help
    """


rtdemo.add_command(serve)
rtdemo.add_command(plugins)
rtdemo.add_command(publish)
rtdemo.add_command(tail)
rtdemo.add_command(doctor)
rtdemo.add_command(bench)


def main() -> None:
    """Run the command line; every error is one line on standard error and an exit code."""
    try:
        code = rtdemo(prog_name="rtdemo", standalone_mode=False)
    except click.ClickException as error:
        _leave(error.format_message(), error.exit_code)
    except RtdemoError as error:
        _leave(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    else:
        sys.exit(code)


def _leave(sentence: str, code: int) -> None:
    line = " ".join(sentence.split())
    print(f"rtdemo: {line}", file=sys.stderr)
    sys.exit(code)
