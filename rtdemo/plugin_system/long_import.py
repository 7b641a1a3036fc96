"""Report an import of a plugin that takes long, and let Ctrl-C end it."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

LONG_S = 3.0
"""Seconds after which an import is reported: the server serves nobody before its end."""


@contextmanager
def reported(name: str, origin: str) -> Iterator[None]:
    """Import a plugin in the block. All its code runs, and a loop may have no end.

    Arguments:
        name: of the plugin.
        origin: where it was found, such as a path.
    """
    program = f"python {Path(origin).name}" if origin.endswith(".py") else "python"
    timer = threading.Timer(
        LONG_S,
        log.warning,
        (
            "plugin %r (%s) is still being imported after %g s: its code must end before its producers "
            "run; a program that publishes is run by itself: %s",
            *(name, origin, LONG_S, program),
        ),
    )
    timer.daemon = True
    timer.start()
    # The event loop's handler would wait for the end of the import. Only the main thread has signals.
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.default_int_handler) if is_main else None
    try:
        yield
    finally:
        timer.cancel()
        if before is not None:
            signal.signal(signal.SIGINT, before)
