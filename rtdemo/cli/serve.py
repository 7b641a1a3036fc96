"""The command `rtdemo serve`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import click

from rtdemo.cli import flags_from_settings, logs
from rtdemo.settings.settings import load


@click.command()
@flags_from_settings.FILES
@flags_from_settings.options()
def serve(files: tuple[Path, ...], **given: object) -> int:
    """Serve the page and its streams.

    FILES are plugin files, loaded after all other plugins.
    """
    settings = load(given, os.environ)
    flags_from_settings.check_files(files)
    logs.setup(settings.log_level, settings.log_format)
    # Not at the top: the help needs no server, and the parent of several workers no application.
    from rtdemo.server import open_files, socket_activation, sockets

    open_files.raise_limit()
    handover = sockets.take_handover(os.environ)
    activated = socket_activation.take_sockets(os.environ)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        if settings.workers != 1 and handover is None:
            from rtdemo.server.worker_process import own_command
            from rtdemo.server.workers import Workers

            socket_activation.check_workers(activated)
            return runner.run(Workers(settings, own_command()).run())
        from rtdemo.server.server import Server

        runner.run(Server(settings, files, handover=handover, activated=activated).run())
        return 0


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
