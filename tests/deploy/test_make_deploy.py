"""`make deploy` lets the known fault of one proxy pass, within its bound, and nothing else."""

from __future__ import annotations

import pytest

from tests.deploy.__main__ import unexpected


@pytest.mark.parametrize(
    ("fault", "is_known"),
    [
        ("apache websocket: 33 failed_attempts", True),
        ("apache websocket: 100 failed_attempts", True),
        ("apache websocket: 101 failed_attempts", False),
        ("apache websocket: 1 missing", False),
        ("apache sse: 1 failed_attempts", False),
        ("nginx websocket: 1 failed_attempts", False),
    ],
)
def test_apache_may_refuse_each_websocket_once(fault: str, is_known: bool) -> None:
    """Half of 200 clients are WebSockets."""
    assert (unexpected([fault], 200) == []) is is_known
