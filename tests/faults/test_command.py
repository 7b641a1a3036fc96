"""`make faults`: its quick attacks as tests, and what its lines and exit codes mean."""

from __future__ import annotations

import asyncio
import json
import math
import sys

import pytest

from tests.faults.__main__ import chosen, judge
from tests.faults.attack import Attack, Bound, Figures, Verdict, none
from tests.faults.table import ATTACKS
from tests.faults.target import Setup

ROWS = [str(row) for row in range(1, 14)]


@pytest.mark.parametrize("attack", [one for one in ATTACKS if one.in_suite], ids=lambda one: one.name)
async def test_attack_does_no_harm(attack: Attack) -> None:
    """The attack is made on a server in a process of its own, and all its figures hold."""
    verdict = await judge(attack)
    assert verdict.holds, str(verdict)


def test_each_row_has_a_line_and_each_name_is_unique() -> None:
    assert {attack.row for attack in ATTACKS} == {*ROWS, "limit"}
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


async def nothing(_: Setup) -> Figures:
    return {"open": 0, "RSS": 12.345}


async def unreachable(_: Setup) -> Figures:
    raise OSError("cannot connect\nto port 1")


def attack(*bounds: Bound) -> Attack:
    return Attack("name", "1", "words", nothing, bounds)


@pytest.mark.parametrize(
    ("bound", "holds", "line"),
    [
        (none("open"), True, "open 0 (0)"),
        (Bound("RSS", high=10, unit="MiB"), False, "RSS 12.35 MiB (at most 10)"),
        (Bound("RSS", 10, 13, "MiB"), True, "RSS 12.35 MiB (10 to 13)"),
        (Bound("RSS", low=13), False, "RSS 12.35 (at least 13)"),
        (Bound("delay", high=20, unit="ms"), False, "delay not measured ms (at most 20)"),
    ],
)
async def test_line_has_figure_bound_and_verdict(bound: Bound, holds: bool, line: str) -> None:
    """A figure that was not measured does not hold."""
    verdict = await judge(attack(bound))
    assert verdict.holds is holds
    assert line in str(verdict)
    assert ("holds" if holds else "FAILS") in str(verdict)


def test_what_never_ends_is_no_number() -> None:
    verdict = Verdict(attack(Bound("cut", 10, 11, "s")), {"cut": math.inf})
    assert not verdict.holds
    assert "cut never s (10 to 11)" in str(verdict)


async def test_attack_that_cannot_be_made_has_failed() -> None:
    """It has one line with the reason, and does not end the command."""
    verdict = await judge(Attack("name", "1", "words", unreachable, ()))
    assert not verdict.holds
    assert str(verdict).endswith("could not run: to port 1")


def test_only_selects_rows_and_beginnings_of_names() -> None:
    assert {one.row for one in chosen(["1"], is_long=False)} == {"1"}
    assert [one.name for one in chosen(["names-at"], is_long=False)] == ["names-at-the-limit"]
    assert "idle-to-the-end" not in [one.name for one in chosen([], is_long=False)]
    assert [one.name for one in chosen(["idle-to-the-end"], is_long=True)] == ["idle-to-the-end"]


@pytest.mark.parametrize(("only", "code"), [("names-at", 0), ("no such attack", 2)])
async def test_command_prints_json_and_exits_with_its_verdict(only: str, code: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults", "--json", "--only", only),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == code, err
    if code:
        assert err.count(b"\n") == 1
        assert b"names-at-the-limit" in err
    else:
        assert json.loads(out)["holds"] is True
