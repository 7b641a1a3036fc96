"""Shorten the start of a run, in which several processes import the same files at the same time.

In a new checkout each process would also compile all of them. So each begins with another part of the
test files, and then finds the others compiled.
"""

from __future__ import annotations

import gc
import importlib
import warnings
from collections.abc import Generator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, Any, Any]:
    """Collect the tests without garbage collection: all that is made stays, and is never garbage."""
    gc.disable()
    config = session.config
    if hasattr(config, "workerinput"):
        number = int(config.workerinput["workerid"].removeprefix("gw"))
        files = sorted((config.rootpath / "tests").rglob("test_*.py"))
        begin = len(files) * number // config.workerinput["workercount"]
        import_all(config.rootpath, files[begin:] + files[:begin])
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def import_all(root: Path, files: Iterable[Path]) -> None:
    """Import files below a root in their order. pytest imports again what fails, and reports it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for file in files:
            with suppress(Exception, pytest.fail.Exception, pytest.skip.Exception):
                importlib.import_module(".".join(file.relative_to(root).with_suffix("").parts))
