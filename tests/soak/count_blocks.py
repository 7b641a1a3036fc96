"""A plugin that reports how much of Python's memory is in use, for the soak's readings."""

from __future__ import annotations

import gc
import sys

from rtdemo import hookimpl

QUESTION, ANSWER = "count blocks", "blocks: "


@hookimpl
def receive(text: str) -> str | None:
    """Return the number of blocks in use: an object has one or more, a string or number too."""
    if text != QUESTION:
        return None
    gc.collect()
    return f"{ANSWER}{sys.getallocatedblocks()}"
