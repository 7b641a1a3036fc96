"""Tell a plugin's own error from the order to stop it."""

from __future__ import annotations

import asyncio


def raise_if_stopped(error: BaseException) -> None:
    """Raise an error again where it means that the code is to stop, not that it failed by itself.

    A plugin may raise anything: `SystemExit` and a `CancelledError` that nobody asked for are
    failures of the plugin like any other, and end neither the server nor a connection.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling()
    if cancelled or isinstance(error, GeneratorExit):
        raise error


def one_line(error: BaseException) -> str:
    """Return an error's type and sentence without line breaks, 300 characters at the most."""
    # What a plugin raises may hold anything, lone surrogates included, or raise itself.
    try:
        text = str(error)[:1000].encode(errors="backslashreplace").decode()
    except Exception as second:
        text = f"its text cannot be had: {type(second).__name__}"
    sentence = " ".join(text.split())
    name = type(error).__name__
    return (f"{name}: {sentence}" if sentence else name)[:300]


def printable(text: str) -> str:
    """Escape what would move a terminal's cursor or worse: text may come from anybody."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
