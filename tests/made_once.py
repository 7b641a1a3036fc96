"""Make once for all tests of a process what no test changes, and what takes most of a short test's time.

Each replacement returns what the original returns.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from rtdemo.plugin_system import discovery
from rtdemo.web import static_files


@pytest.fixture(autouse=True, scope="session")
def made_once() -> Iterator[None]:
    """Keep what is made while the tests run."""
    with pytest.MonkeyPatch.context() as patch:
        # Each client of httpx reads the certificates of all authorities: 50 ms of CPU time.
        patch.setattr("httpx._transports.default.create_ssl_context", _tls_context)
        # Each server joins the page's modules: 35 ms, and half as much again under coverage.
        patch.setattr(static_files, "StaticFiles", functools.cache(static_files.StaticFiles))
        # Each server looks through all installed distributions: 10 ms.
        patch.setattr(discovery, "entry_points", _entry_points)
        yield


def _tls_context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> Any:
    if verify is True and cert is None and trust_env:
        return _default_tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return httpx.create_ssl_context(verify, cert, trust_env)


@functools.cache
def _default_tls_context(_file: str | None, _folder: str | None) -> Any:
    return httpx.create_ssl_context()


def _entry_points(group: str) -> importlib.metadata.EntryPoints:
    return _entry_points_on(group, tuple(sys.path))


@functools.cache
def _entry_points_on(group: str, _path: tuple[str, ...]) -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=group)
