"""The record of a page's main thread."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser import main_thread
from tests.browser.main_thread import MainThread, Task, record
from tests.browser.page_load import Load

SPIN = """() => {
    const spin = () => { for (const end = performance.now() + 300; performance.now() < end;); };
    setInterval(spin, 500);
    // A frame is drawn for each change.
    setInterval(() => { document.title = String(document.body.append(".")); }, 50);
}"""


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.empty_page
async def test_long_tasks_and_frames_are_found(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every part of the time, each with the CPU time that it got."""
    monkeypatch.setattr(main_thread, "PART_S", 1.0)
    await page.evaluate(SPIN)
    found = MainThread()
    await record(page, found, 2.0)
    assert found.seconds == 2.0
    # Others may be long, too, where the machine pauses. These are, with a fifth of a core.
    assert any(task.wall >= 300 for task in found.long_by_cpu)
    assert all(task.wall > main_thread.LONG_MS for task in found.long)
    assert found.cpu > sum(task.cpu for task in found.long) / 1000 > 0
    assert found.drawn > 0
    assert min(found.pieces) > 0
    assert set(found.rows()) == {"long tasks", "drawing", "main thread", "host"}


def test_both_times_of_long_tasks_are_told() -> None:
    """One that the machine only kept waiting is not long by its own CPU time, but counts as long."""
    thread = MainThread(60.0, 6.0, [Task(90.0, 10.0), Task(30.0, 30.0), Task(70.0, 60.0)], 700, 5, 3)
    line = (
        "2 by the clock, 1 of them by their own CPU time; 3 over 25 ms; longest 90 ms, of CPU time 60 ms"
    )
    assert thread.rows() == {
        "long tasks": line,
        "drawing": "700 frames drawn, 5 late, 3 dropped",
        "main thread": "100 ms of CPU time a second",
    }
    load = Load(["10", "10"], [2_000_000, 5_000_000], thread)
    assert load.failures == ["2 tasks over 50 ms", "the heap grew by 3.0 MB", "3 frames dropped"]
    assert "growth +3.00 MB" in load.lines()
