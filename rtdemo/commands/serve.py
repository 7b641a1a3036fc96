"""Serve."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import click

from rtdemo import logs
from rtdemo.commands import flags
from rtdemo.server import Server
from rtdemo.settings import load


@click.command()
@flags.FILES
@flags.options()
def serve(files: tuple[Path, ...], **given: object) -> None:
    """Serve the page and its streams, with the plugin FILES besides those that are found."""
    settings = load(given, os.environ)
    flags.check_files(files)
    logs.setup(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(Server(settings, files).run())


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
