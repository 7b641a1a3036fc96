"""Garbage that earlier tests of this process have left."""

from __future__ import annotations

import gc
import warnings


def collect_garbage() -> None:
    """Collect it without a warning, so that a test that collects garbage is warned of its own only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
