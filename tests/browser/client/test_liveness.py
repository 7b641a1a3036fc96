"""Whether the path of a connection works, by what arrives on it. All times are in milliseconds."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]

CHECK = """
        const path = new m.Liveness();
        // Check twice a second, as the page does, and return the moments at which the verdict changes.
        const checks = (from, to) => {
            const found = [];
            for (let now = from; now <= to; now += 500) {
                const verdict = path.check(now);
                if (verdict !== found.at(-1)?.[1]) found.push([now, verdict]);
            }
            return found;
        };
"""


async def test_two_missed_heartbeats_are_the_end(page: Page) -> None:
    """The first one that is missing is noticed too; whatever arrives counts."""
    body = f"""{CHECK}
        path.opened(1_000);
        path.heard(1_000, true);
        const found = [checks(1_000, 2_900)];
        path.heard(3_000);
        found.push(checks(3_000, 9_000));
        path.heard(9_100);
        return [...found, checks(9_200, 10_000), path.heardAt];
    """
    assert await run(page, "client/liveness", body) == [
        [[1_000, "alive"]],
        [[3_000, "alive"], [6_000, "missed"], [8_000, "dead"]],
        [[9_200, "alive"]],
        9_100,
    ]


async def test_page_that_slept_gives_the_path_one_more_heartbeat(page: Page) -> None:
    """Its timer was late: what has arrived may wait for its event. Then silence counts as before."""
    body = f"""{CHECK}
        path.opened(0);
        path.heard(0, true);
        checks(0, 1_000);
        const woke = checks(61_000, 70_000);
        path.heard(70_000);
        checks(70_000, 73_500);
        return [woke, checks(76_000, 80_000)];
    """
    assert await run(page, "client/liveness", body) == [
        [[61_000, "alive"], [62_000, "missed"], [64_000, "dead"]],
        [[76_000, "alive"], [77_000, "missed"], [79_000, "dead"]],
    ]


async def test_timers_once_a_second_are_not_late(page: Page) -> None:
    """Browsers slow the timers of a hidden page down to that."""
    body = """
        const path = new m.Liveness();
        path.opened(0);
        path.heard(0, true);
        return [1_000, 2_000, 3_000, 4_000, 5_000].map((now) => path.check(now));
    """
    found = await run(page, "client/liveness", body)
    assert found == ["alive", "alive", "missed", "missed", "dead"]


async def test_path_that_is_slow_from_its_start_is_not_dead(page: Page) -> None:
    """A proxy collects events: the first ones come after 20 s, then others after as long."""
    body = f"""{CHECK}
        path.opened(0);
        const found = [checks(0, 20_000), path.hasHeard];
        path.heard(20_000, true);
        found.push(checks(20_000, 40_000), path.hasHeard);
        path.heard(40_000);
        found.push(checks(40_000, 81_000));
        path.opened(100_000);
        return [...found, checks(100_000, 161_000)];
    """
    assert await run(page, "client/liveness", body) == [
        *([[0, "alive"], [3_000, "missed"]], False),
        *([[20_000, "alive"], [23_000, "missed"]], True),
        [[40_000, "alive"], [43_000, "missed"], [80_000, "dead"]],
        [[100_000, "alive"], [103_000, "missed"], [160_000, "dead"]],
    ]


async def test_expected_silence_does_not_count(page: Page) -> None:
    """Such as that of a fault that the reader injected."""
    body = f"""{CHECK}
        path.opened(0);
        path.heard(0, true);
        for (let now = 500; now <= 60_000; now += 500) path.excuse(now);
        return [checks(60_500, 66_000), path.heardAt];
    """
    assert await run(page, "client/liveness", body) == [
        [[60_500, "alive"], [63_000, "missed"], [65_000, "dead"]],
        0,
    ]


async def test_silence_of_a_server_without_heartbeats_proves_nothing(page: Page) -> None:
    """An older one does not know the parameter; each connection may reach another server."""
    body = f"""{CHECK}
        path.opened(0);
        path.heard(0);
        const found = [checks(500, 120_000), path.hasHeartbeats];
        path.heard(120_000, true);
        found.push(checks(120_500, 126_000), path.hasHeartbeats);
        path.opened(130_000);
        path.heard(130_000);
        return [...found, checks(130_500, 140_000), path.hasHeartbeats];
    """
    assert await run(page, "client/liveness", body) == [
        *([[500, "alive"]], False),
        *([[120_500, "alive"], [123_000, "missed"], [125_000, "dead"]], True),
        *([[130_500, "alive"]], False),
    ]
