"""Serve."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
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
    runner = asyncio.Runner(loop_factory=_loop_factory())
    try:
        runner.run(Server(settings, files).run())
    finally:
        _leave_threads()
        runner.close()


def _leave_threads() -> None:
    """End the process here where a plugin's thread still runs: closing would wait for it."""
    others = [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    if others and sys.exc_info()[0] is None:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
