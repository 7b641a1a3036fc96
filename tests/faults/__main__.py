"""Attack the server from outside, and print a line for each attack: figures, bounds and verdict.

Each attack has a server of its own, in a process of its own, on a free port of loopback. Figures come
from the answers, from /proc and from a bystander. The command exits with 1 if one of them does not hold.
Attacks that mostly wait for the server's time limits run at the same time, and the others one by one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp

from benchmarks.process import allow_open_files
from tests import interruptible
from tests.faults.attack import Attack, Figures, Verdict
from tests.faults.table import ATTACKS
from tests.faults.target import Setup

MAX_ATTACK_S, MAX_LONG_ATTACK_S = 90.0, 900.0
"""After this time, an attack counts as failed."""


async def judge(attack: Attack, is_long: bool = False) -> Verdict:
    """Make one attack; return its figures and whether they hold."""
    start = time.monotonic()
    figures: Figures = {}
    reason = ""
    with tempfile.TemporaryDirectory(prefix="rtdemo-faults-") as folder:
        try:
            async with asyncio.timeout(MAX_LONG_ATTACK_S if is_long else MAX_ATTACK_S):
                figures = await attack.run(Setup(Path(folder), is_long))
        except (OSError, AssertionError, TimeoutError, ValueError, aiohttp.ClientError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            reason = f"could not run: {lines[-1][:200]}"
    return Verdict(attack, figures, reason, time.monotonic() - start)


async def verdicts(attacks: Sequence[Attack], is_long: bool) -> AsyncIterator[Verdict]:
    """Make all attacks, first those that wait."""
    waiting = [judge(attack, is_long) for attack in attacks if attack.waits]
    for verdict in await asyncio.gather(*waiting):
        yield verdict
    for attack in attacks:
        if not attack.waits:
            yield await judge(attack, is_long)


def chosen(only: Sequence[str], is_long: bool) -> list[Attack]:
    """Return the attacks with the names, rows or beginnings of names that are given; all without any."""
    return [
        attack
        for attack in ATTACKS
        if (is_long or not attack.only_long)
        and (not only or any(attack.row == one or attack.name.startswith(one) for one in only))
    ]


async def run(options: argparse.Namespace) -> int:
    """Make the chosen attacks, print their lines, and return the exit code."""
    attacks = chosen(options.only, options.long)
    if not attacks:
        names = ", ".join(attack.name for attack in ATTACKS)
        print(
            f"--only: there is no attack {', '.join(options.only)}; there are {names}", file=sys.stderr
        )
        return 2
    failed = 0
    async for verdict in verdicts(attacks, options.long):
        failed += not verdict.holds
        print(_json(verdict) if options.json else verdict, flush=True)
    if not options.json:
        print(f"{len(attacks) - failed} of {len(attacks)} hold")
    return 1 if failed else 0


def _json(verdict: Verdict) -> str:
    attack = verdict.attack
    fields = {"row": attack.row, "name": attack.name, "attack": attack.what, "holds": verdict.holds}
    return json.dumps(
        {
            **fields,
            "figures": dict(verdict.figures),
            "error": verdict.error,
            "seconds": round(verdict.seconds, 1),
        }
    )


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="name, its beginning, or row; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each attack")
    parser.add_argument("--long", action="store_true", help="let each flood last five minutes")
    allow_open_files()
    return interruptible.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
