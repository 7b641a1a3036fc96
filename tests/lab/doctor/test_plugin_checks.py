"""Checks that plugins add to `rtdemo doctor`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtdemo import Check, Finding
from rtdemo.lab.doctor import plugin_checks as doctor
from rtdemo.plugin_system.discovery import discover
from rtdemo.plugin_system.manager import PluginManager
from tests.docs.markdown import blocks
from tests.lab.doctor.doctor_run import served

OK = Finding("ok", "seen")
UNKNOWN_VERDICT = Finding("good", "")  # type: ignore[arg-type]  # a plugin may return one


async def finding_later(_: str) -> Finding:
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


@pytest.mark.parametrize("run", [lambda _: OK, finding_later])
async def test_finding_is_returned(run: Callable[[str], Any]) -> None:
    """A check may be a function or a coroutine function, and gets the URL."""
    asked: list[str] = []

    def asking(url: str) -> Any:
        asked.append(url)
        return run(url)

    assert await doctor.run_plugin_check(Check("mine", asking), "http://h") == OK
    assert asked == ["http://h"]


@pytest.mark.parametrize(
    ("run", "seen"),
    [
        (raising, "OSError: no luck"),
        (leaving, "SystemExit: 3"),
        (lambda _: "fine", "returned str; return a Finding"),
        (lambda _: UNKNOWN_VERDICT, "returned Finding; return a Finding with verdict ok, warn or fail"),
        (hanging, "did not finish in 0.05 s"),
        (sleeping, "did not finish in 0.05 s"),
    ],
)
async def test_any_error_is_a_failed_check(
    run: Callable[[str], Any], seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception, a wrong result or a time-out does not end the run."""
    monkeypatch.setattr(doctor, "PLUGIN_CHECK_TIMEOUT_S", 0.05 if "0.05" in seen else 30.0)
    found = await doctor.run_plugin_check(Check("mine", run), "http://h")
    assert found.verdict == "fail"
    assert seen in found.seen


async def test_example_of_the_documentation_works(tmp_path: Path) -> None:
    """The check in the documentation reports an open and a closed /metrics."""
    (example,) = (
        block
        for block in blocks("docs/plugin-reference.md", "python")
        if block.name == "metrics_closed.py"
    )
    file = tmp_path / example.name
    file.write_text(example.text)
    manager = PluginManager(lambda: 0.0)
    assert (
        manager.load([source for source in discover("", [file])[0] if source.origin == str(file)]) == []
    )
    [(plugin, check)] = manager.hooks.checks()
    async with served() as server:
        found = await doctor.run_plugin_check(check, server.web_url)
        closed = await doctor.run_plugin_check(check, f"{server.web_url}/nothing")
    assert (plugin, check.name) == ("metrics_closed", "metrics")
    assert (found.verdict, found.seen) == ("warn", "anybody can read /metrics")
    assert closed == Finding("ok", "answered 404")
