"""Checks that plugins add to `rtdemo doctor`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from rtdemo import Check, Finding
from rtdemo.lab.doctor import plugin_checks
from rtdemo.lab.doctor.plugin_checks import make

OK = Finding("ok", "seen")


async def later(_: str) -> Finding:
    await asyncio.sleep(0)
    return OK


def raising(_: str) -> Finding:
    raise OSError("no\nluck")


def leaving(_: str) -> Finding:
    raise SystemExit(3)


def hanging(_: str) -> Finding:
    threading.Event().wait()
    return OK


async def sleeping(_: str) -> Finding:
    await asyncio.Event().wait()
    return OK


@pytest.mark.parametrize("run", [lambda _: OK, later])
async def test_finding_is_passed_on(run: Callable[[str], Any]) -> None:
    """Of a function or of a coroutine, which gets the address."""
    asked: list[str] = []

    def asking(url: str) -> Any:
        asked.append(url)
        return run(url)

    assert await make(Check("mine", asking), "http://h") == OK
    assert asked == ["http://h"]


@pytest.mark.parametrize(
    ("run", "seen"),
    [
        (raising, "OSError: no luck"),
        (leaving, "SystemExit: 3"),
        (lambda _: "fine", "returned str; a check returns a Finding"),
        (lambda _: Finding("good", ""), "returned Finding; a check returns a Finding, ok, warn or fail"),  # type: ignore[arg-type]
        (hanging, "came to no end in 0.05 s"),
        (sleeping, "came to no end in 0.05 s"),
    ],
)
async def test_what_goes_wrong_is_a_failed_check(
    run: Callable[[str], Any], seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else is harmed by it."""
    monkeypatch.setattr(plugin_checks, "LIMIT", 0.05 if "0.05" in seen else 30.0)
    found = await make(Check("mine", run), "http://h")
    assert found.verdict == "fail"
    assert seen in found.seen
