"""Latency that jumped for good."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_a_jump_is_seen_and_a_slow_message_is_none(page: Page) -> None:
    """Only the least latency of a whole block counts, and only a change beyond both errors."""
    body = """
        const jumps = (shift, slow = () => false) => {
            const detector = new m.JumpDetector();
            const found = [];
            for (let at = 0; at < 20_000; at += 100) {
                const value = 2 + (at >= 10_000 ? shift : 0) + (slow(at) ? 500 : 0);
                if (detector.jumps(at, { value, error: 0.4 })) found.push(at);
            }
            return found;
        };
        return [jumps(0.7), jumps(5), jumps(-5), jumps(0, (at) => at % 1000 !== 0)];
    """
    none, up, down, slow = await run(page, "measure/jump", body)
    assert none == slow == []
    for found in (up, down):
        assert len(found) == 1
        assert 10_000 < found[0] <= 12_100
