"""`rtdemo doctor` is right in four set-ups with real proxies, by clients that it does not use.

`make matrix` does the same in all of tests/matrix/table.py. tests/lab/doctor/test_proxy_setups.py has
plain HTTP, timeouts and fixes.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.matrix.__main__ import lines
from tests.matrix.examination import Outcome, examine, prepare
from tests.matrix.proxies import LINE, PROXIES
from tests.matrix.setup import Setup
from tests.matrix.table import SETUPS
from tests.system_packages import require

pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]
CORE = (
    "nginx TLS buffers",
    "HAProxy TLS: right",
    "Caddy 2.6: defaults",
    "HAProxy TLS, nginx buffers",
)
IDLE_S, HEARTBEAT_S = 8, 6.0
"""Silence longer than the heartbeat: of a shorter one doctor does not judge whether it is cut."""


def core() -> dict[str, Setup]:
    """Return the set-ups, with less silence than `make matrix` examines."""
    by_name = {setup.name: setup for setup in SETUPS}
    return {name: replace(by_name[name], idle_s=IDLE_S, heartbeat_s=HEARTBEAT_S) for name in CORE}


@pytest.fixture(scope="session")
def outcomes() -> dict[str, Outcome]:
    """Examine all of them at once: each mostly waits."""
    for setup in core().values():
        for hop in setup.hops:
            if hop.kind != LINE:
                require(PROXIES[hop.kind].program)

    async def all_at_once(folder: Path) -> list[Outcome]:
        laboratory = await prepare(folder)
        runs = (examine(setup, laboratory, is_quick=True) for setup in core().values())
        return await asyncio.gather(*runs)

    # Not in pytest's folder, which the other user that a proxy becomes cannot enter.
    with tempfile.TemporaryDirectory(prefix="rtdemo-matrix-", ignore_cleanup_errors=True) as name:
        found = asyncio.run(all_at_once(Path(name)))
    return {outcome.setup.name: outcome for outcome in found}


@pytest.mark.parametrize("name", CORE)
def test_each_line_is_true(outcomes: dict[str, Outcome], name: str) -> None:
    """No fault is missed, no line reports one that is not there, and the fix is for the right proxy."""
    outcome = outcomes[name]
    assert outcome.verdict == "right", "\n".join(lines(outcome, verbose=True))
