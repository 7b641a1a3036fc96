"""A short soak keeps nothing, and a soak notices what a server keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.__main__ import Reading, Soak, soak
from tests.soak.visitors import Visits

SECONDS, CONNECTIONS, RATE = 4.0, 60, 30.0
READING = Reading(memory=50_000, descriptors=80, connections=60, tasks=3, timers=121, blocks=40_000)
KEEPS_CLIENTS = """
from rtdemo import hookimpl
kept = []

@hookimpl
def connected(client):
    kept.append([[client, number] for number in range(30)])
"""


async def test_short_soak_keeps_nothing(tmp_path: Path) -> None:
    """Clients that leave cleanly, by RST, or in the handshake leave nothing behind."""
    result = await soak(tmp_path, SECONDS, CONNECTIONS, RATE)
    assert result.visits == Visits(served=round(SECONDS * RATE), failed=0)
    assert result.before.connections == CONNECTIONS
    assert result.failures == [], result.table()
    assert result.table().endswith(": holds")


async def test_soak_notices_what_is_kept_of_visitors(tmp_path: Path) -> None:
    """A plugin that keeps what it knows of each client is a leak."""
    (tmp_path / "keeps.py").write_text(KEEPS_CLIENTS)
    result = await soak(tmp_path, SECONDS, CONNECTIONS, RATE * 2, [tmp_path / "keeps.py"])
    assert result.failures == ["blocks"], result.table()


@pytest.mark.parametrize(
    ("changes", "failures"),
    [
        ({}, []),
        ({"memory": 51_024}, []),
        ({"memory": 51_025}, ["memory"]),
        ({"descriptors": 81}, ["descriptors"]),
        ({"tasks": 4, "timers": 122}, ["tasks", "timers"]),
        ({"blocks": 41_300}, []),
        ({"blocks": 41_301}, ["blocks"]),
    ],
)
def test_verdict_allows_a_mebibyte_and_nothing_else(
    changes: dict[str, int], failures: list[str]
) -> None:
    """Memory may vary by 1 MiB, blocks by some; what is counted may not grow at all."""
    result = Soak(READING, replace(READING, **changes), 0, Visits(600, 0), seconds=10)
    assert result.failures == failures
    assert ("FAILS" in result.table()) == bool(failures)


def test_verdict_needs_every_client_to_be_served() -> None:
    """A connection that was to stay, and a visitor without an answer, are failures."""
    result = Soak(READING, READING, 1, Visits(598, 2), seconds=10)
    assert result.failures == ["1 connections lost", "2 visitors not served"]
