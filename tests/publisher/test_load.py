"""`python -m tests.publisher.load` finds what does not add up."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from rtdemo.server.server import Server
from tests.publisher.load import Arrivals, arrivals, last_id, percentiles, problems, publish_values


def events(*messages: tuple[int, int]) -> bytes:
    """Return an event stream with a message for each offset and value; the last event is not whole."""
    made = b""
    for offset, value in messages:
        payload = {"producer": "load", "value": value, "sentAt": offset * 1000, "id": f"e-{offset}"}
        made += b"data: %b\nid: e-%d\n\n" % (json.dumps(payload).encode(), offset)
    return made + b'data: {"producer": "lo'


@pytest.mark.parametrize(
    ("connections", "expected"),
    [
        ([[(1, 0), (2, 1)], [], [(3, 2)]], Arrivals(3, 0, 0, 0, 1.0, (0, 0, 0))),
        ([[(1, 1), (2, 2)], [(5, 8), (6, 11)]], Arrivals(4, 0, 0, 2, 3.0, (1, 5, 2))),
        ([[(1, 0), (2, 1)], [(3, 1)]], Arrivals(3, 1, 0, 0, 1.0, (0, 0, 0))),
        ([[(1, 5), (2, 4)]], Arrivals(2, 0, 1, 0, 1.0, (0, 5, 0))),
        ([[(1, 0)], [(4, 1)]], Arrivals(2, 0, 0, 2, 3.0, (0, 0, 0))),
    ],
)
def test_what_arrived(
    connections: list[list[tuple[int, int]]], expected: Arrivals, tmp_path: Path
) -> None:
    """Whole, with an outage, a repetition, a wrong order, and a gap in the log."""
    files = []
    for number, messages in enumerate(connections):
        files.append(tmp_path / str(number))
        files[-1].write_bytes(events(*messages))
    assert arrivals(files) == expected
    assert last_id(files[0]) == f"e-{connections[0][-1][0]}"
    assert last_id(tmp_path / "missing") == ""


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("publisher", {}, ""),
        ("publisher", {"dropped": 3}, "10 published, but 11 counted"),
        ("publisher", {"accepted": 9, "dropped": 1}, "9 accepted, but the log has had 8"),
        ("arrived", {"received": 7}, "the log has had 8, but 7 arrived"),
        ("arrived", {"repeated": 2}, "2 repeated"),
    ],
)
def test_sums_that_do_not_agree(part: str, change: dict[str, int], words: str) -> None:
    """Each is said."""
    found: dict[str, Any] = {
        "publisher": {"published": 10, "accepted": 8, "dropped": 2, "refused": 0, "waiting": 0},
        "log": {"messages": 8},
        "arrived": {"received": 8, "repeated": 0, "unordered": 0, "gaps": 0},
    }
    found[part].update(change)
    assert "; ".join(problems(found)) == words


async def test_figures_of_the_publishing_process(server: Server) -> None:
    """The process reports each of them; a field of `PublishCounts` that is new is one, too."""
    found = await asyncio.to_thread(publish_values, rate=1000.0, seconds=0.01, names=2)
    assert found.published == len(server.hub.engine.log) == 10
    assert found.call_us["p50"] > 0


def test_percentiles_are_in_microseconds() -> None:
    """The longest is one of them."""
    found = percentiles([1000 * n for n in range(1, 102)])
    assert found == {"p50": 51.0, "p99": 100.0, "p99.9": 100.0, "max": 101.0}
