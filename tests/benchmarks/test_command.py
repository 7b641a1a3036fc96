"""`python -m benchmarks` measures real servers; what it counts is checked, and no time."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.servers import ROOT, SERVERS
from benchmarks.workloads import WORKLOADS

SHORT = ("--rounds", "1", "--seconds", "1", "--connections", "20", "--settle", "0.1")
AT_ONCE = ("--quiet", "0", "--again", "0")
BOTH = ("--server", "rtdemo", "--server", "aiohttp")


async def command(*arguments: str) -> tuple[int, str, str]:
    """Run the command and return its exit code, output and errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()  # it ends its servers
            await process.wait()
    return process.returncode or 0, output.decode(), errors.decode()


async def measured(*arguments: str) -> dict[str, Any]:
    """Return what a short run prints as JSON."""
    code, output, errors = await command(*SHORT, *AT_ONCE, "--json", *arguments)
    assert code == 0, errors
    found: dict[str, Any] = json.loads(output)
    return found


def places(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return server and transport of each window."""
    return [(window["server"], window["transport"]) for window in found["windows"]]


KINDS = {one.kind: one for one in reversed(WORKLOADS)}
"""The first workload of each kind."""


@pytest.mark.parametrize("workload", KINDS.values(), ids=KINDS)
async def test_each_workload_measures_rtdemo(workload: Any) -> None:
    """Every connection stays, and something is delivered unless nothing is sent."""
    # Longer where what is delivered depends on the time: the machine may pause.
    seconds = ("--seconds", "3") if workload.kind in ("private", "echo") else ()
    found = await measured("--workload", workload.name, "--server", "rtdemo", *seconds)
    assert places(found) == [("rtdemo", transport) for transport in workload.transports]
    for window in found["windows"]:
        counted = window["window"]
        assert window["connections"] == 20
        assert counted["lost"] == 0
        match workload.kind:
            case "idle":
                assert counted["count"] == 0
            case "storm":
                assert counted["count"] == 20
            case "echo":
                assert counted["latency"]["taken"] == counted["count"] > 20
            case _:
                assert 0 < counted["latency"]["taken"] <= counted["count"]
                assert counted["received_bytes"] > 40 * counted["count"]
    assert [one["medians"] for one in found["summary"]] == [one["figures"] for one in found["windows"]]
    assert all(one["goals"] for one in found["summary"])


async def test_producers_that_nobody_picked_are_for_rtdemo_alone() -> None:
    """Its clients get what is published, ten times a second at the most, and none of the others'."""
    found = await measured("--workload", "fanout-unpicked", *BOTH)
    assert places(found) == [("rtdemo", "websocket"), ("rtdemo", "sse")]
    assert all(0 < window["window"]["count"] <= 20 * 10 for window in found["windows"])


async def test_every_server_is_measured_or_named_as_missing() -> None:
    """What is not installed is left out, and does not end the run."""
    found = await measured("--workload", "paced", "--transport", "sse")
    left_out = {sentence.partition(":")[0] for sentence in found["left_out"]}
    paced = {one.name for one in SERVERS if "sse" in one.transports and not one.only}
    assert {server for server, _ in places(found)} == paced - left_out
    assert left_out <= {one.name for one in SERVERS}
    assert "rtdemo" not in left_out


async def test_another_folder_is_measured_beside_this_one(tmp_path: Path) -> None:
    """The version in it has the folder's name."""
    other = tmp_path / "before"
    other.mkdir()
    (other / "rtdemo").symlink_to(ROOT / "rtdemo")
    (other / "plugins").symlink_to(ROOT / "plugins")
    (other / "templates").symlink_to(ROOT / "templates")
    found = await measured("--workload", "echo", "--server", "rtdemo", "--rtdemo-at", str(other))
    assert [server for server, _ in places(found)] == ["rtdemo", "rtdemo at before"]


async def test_growth_draws_a_plot(tmp_path: Path) -> None:
    """There is a line in each of two charts."""
    plot = tmp_path / "plot.svg"
    growth = ("--growth", "10,30", "--plot", str(plot))
    found = await measured(*growth, "--server", "rtdemo", "--transport", "sse")
    assert [window["connections"] for window in found["windows"]] == [10, 30]
    assert [curve["connections"] for curve in found["growth"]] == [[10, 30]]
    drawn = ElementTree.fromstring(plot.read_text(encoding="utf-8"))
    assert len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == 2


async def test_tables_name_workload_servers_and_goals() -> None:
    """The tables are on standard output, the progress is not."""
    code, output, errors = await command(
        *SHORT, *AT_ONCE, "--workload", "echo", "--server", "rtdemo", "--server", "aiohttp"
    )
    assert code == 0, errors
    title, heading, first, goals, second, _ = output.splitlines()
    assert title.startswith("echo: 20 connections")
    assert heading.split()[0] == "WebSocket"
    assert (first.split()[0], second.split()[0]) == ("rtdemo", "aiohttp")
    assert goals.strip() == "CPU unknown of ws (at most 1.1: not measured)"


@pytest.mark.parametrize(
    "wrong",
    [
        ("--connections", "0"),
        ("--connections", "1000000"),
        ("--seconds", "301"),
        ("--rounds", "0"),
        ("--growth", "10,0"),
        ("--growth", "ten"),
        ("--workload", "none"),
    ],
    ids=" ".join,
)
async def test_load_is_bounded(wrong: tuple[str, str]) -> None:
    """A number out of bounds ends the command before it starts anything."""
    code, output, errors = await command(*wrong)
    assert (code, output) == (2, "")
    assert wrong[0] in errors
