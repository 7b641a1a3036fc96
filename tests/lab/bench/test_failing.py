"""Which measured producers bench reports as failing."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtdemo.lab.bench import run_file
from rtdemo.lab.bench.failing import MAX_NAMED, sentences
from rtdemo.lab.bench.target import ProducerInfo
from rtdemo.protocol.client import TRANSPORTS
from tests.lab.bench.bench_command import bench, plugin_server

SHAKY = """
from itertools import count

from rtdemo import producer

turns = count()


@producer(every=0.2)
def good():
    return "good"


@producer(every=0.2)
def shaky():
    if next(turns) % 5 == 0:
        raise ValueError("no sensor")
    return "21"


@producer(every=0.2)
def broken():
    raise OSError("no disk")
"""


async def test_a_producer_that_fails_now_and_then_is_named(tmp_path: Path) -> None:
    """The figures lack its messages, and the report says why."""
    file = tmp_path / "run.json"
    async with plugin_server(tmp_path, SHAKY) as url:
        done = await bench(
            *(url, "-n", 1, "--seconds", 2, "--rounds", 1, "--transport", "sse"),
            *("--producers", "good,shaky", "--json", file),
        )
    assert done.code == 0
    [warning] = [each for each in run_file.read(file).warnings if each.code == "producer-failed"]
    assert warning.text.startswith("producer 'shaky' failed ")
    assert warning.text.endswith(" runs: ValueError: no sensor")
    assert f"warning: {warning.text}\n" in done.out


async def test_a_producer_that_always_fails_is_the_reason_of_silence(tmp_path: Path) -> None:
    """It had advised a longer run."""
    async with plugin_server(tmp_path, SHAKY) as url:
        done = await bench(
            *(url, "-n", 1, "--seconds", 5, "--rounds", 1, "--transport", "sse"),
            *("--producers", "broken"),
        )
    assert (done.code, done.out) == (2, "")
    assert "sent no message within 5 s; producer 'broken' failed " in done.problems
    assert done.problems.endswith(" runs: OSError: no disk\n")


def info(runs: int, failures: int, state: str = "running", name: str = "dice") -> ProducerInfo:
    return ProducerInfo(name, TRANSPORTS, False, False, 1.0, state, runs, failures)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (info(10, 0), info(30, 0), []),
        (info(10, 2), info(30, 2), []),
        (info(10, 2), info(30, 5), ["producer 'dice' failed 3 of 20 runs: see the server's log"]),
        # Restarted, so all of its failures are new.
        (info(10, 2), info(4, 1), ["producer 'dice' failed 1 of 4 runs: see the server's log"]),
        (info(10, 2), info(4, 3), ["producer 'dice' failed 3 of 4 runs: see the server's log"]),
        (info(30, 20, "disabled"),) * 2 + (["producer 'dice' is disabled: see the server's log"],),
    ],
)
def test_only_failures_since_the_run_began_count(
    before: ProducerInfo, now: ProducerInfo, words: list[str]
) -> None:
    """A server that failed last week is not blamed for it today."""
    assert sentences((before,), [now]) == words


def test_an_async_generator_counts_its_values_as_runs() -> None:
    """So its failures are no part of them; and the server may show the error."""
    now = ProducerInfo("dice", TRANSPORTS, False, True, None, "running", 9, 1, "OSError: no\nport")
    assert sentences((), [now]) == [r"producer 'dice' failed once: OSError: no\nport"]


def test_few_producers_are_named() -> None:
    """A report stays short, however many fail."""
    many = [info(2, 1, name=f"dice{number}") for number in range(20)]
    found = sentences((), many)
    assert len(found) == MAX_NAMED + 1
    assert found[-1] == "17 more producers failed"
