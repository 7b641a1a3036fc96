"""How long a client waits before it reconnects."""

from __future__ import annotations

import pytest

from rtdemo.client.waits import MAX_ASKED_S, WAITS, asked_s


@pytest.mark.parametrize(
    ("failures", "longest"), [(0, 0.5), (1, 1.0), (3, 4.0), (4, 5.0), (10_000, 5.0)]
)
def test_waits_double_up_to_five_seconds(failures: int, longest: float) -> None:
    """Half of each is random. The page's are the same."""
    assert WAITS.backoff_s(failures, lambda: 0.0) == longest / 2
    assert WAITS.backoff_s(failures, lambda: 1.0) == longest


def test_wait_that_a_server_asks_for_is_never_shortened() -> None:
    """But it is bounded, and not the same for all clients."""
    assert (asked_s(2.0, lambda: 0.0), asked_s(2.0, lambda: 1.0)) == (2.0, 3.0)
    assert asked_s(1e9, lambda: 0.0) == MAX_ASKED_S
