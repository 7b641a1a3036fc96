"""Run `rtdemo doctor` behind real proxies, and judge each of its lines by independent measurements.

Prints a line for each set-up and each complaint, and writes docs/proxies.md after a full run. The exit
code is 1 if doctor is wrong or misleading anywhere.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests import interruptible
from tests.matrix import document
from tests.matrix.chain import StartError
from tests.matrix.examination import Outcome, examine, prepare
from tests.matrix.facts import Facts
from tests.matrix.table import SETUPS

AT_ONCE = 8
"""Set-ups examined at the same time: each mostly waits."""


def lines(outcome: Outcome, *, verbose: bool) -> list[str]:
    """Return the lines about one set-up."""
    found = [f"{outcome.verdict:<11}{outcome.setup.name} ({outcome.seconds:.0f} s)"]
    if outcome.error:
        found.append(f"    {outcome.error}")
    if outcome.unlike:
        found.append(f"    the facts do not show: {', '.join(outcome.unlike)}")
    for complaint in outcome.complaints:
        found.append(f"    {complaint.kind}: {complaint.line or '(no line)'}")
        found.append(f"        in truth: {complaint.truth}")
    if verbose:
        found += document.facts_lines(outcome.facts)
        for check in outcome.report.get("checks", ()):
            found.append(f"    {check['verdict']:<5}{check['check']} [{check['code']}] {check['seen']}")
            if check["fix"]:
                found.append(f"         fix: {check['fix']}")
    return found


async def run(options: argparse.Namespace) -> int:
    """Examine the chosen set-ups; return the exit code."""
    chosen = [
        setup
        for setup in SETUPS
        if not options.only or any(one.lower() in setup.name.lower() for one in options.only)
    ]
    if not chosen:
        print(f"--only: no set-up has {' or '.join(options.only)} in its name", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(setup.name for setup in chosen))
        return 0
    known = _known(options.facts) if options.facts else {}
    began = time.monotonic()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="rtdemo-matrix-", ignore_cleanup_errors=True) as name:
        try:
            laboratory = await prepare(Path(name))
        except StartError as error:
            print(error, file=sys.stderr)
            return 2
        turns = asyncio.Semaphore(options.at_once)

        async def one(number: int) -> None:
            async with turns:
                setup = chosen[number]
                outcome = await examine(
                    setup, laboratory, only_truth=options.truth, known=known.get(setup.name)
                )
            outcomes.append(outcome)
            if options.json:
                # After each one: a run that is interrupted keeps what it found.
                options.json.write_text(json.dumps([one.json() for one in outcomes], indent=1))
            print("\n".join(lines(outcome, verbose=options.verbose)), flush=True)

        # Those that wait longest first.
        order = sorted(range(len(chosen)), key=lambda number: -chosen[number].idle_s)
        await asyncio.gather(*map(one, order))
    return _summarise(outcomes, options, time.monotonic() - began)


def _summarise(outcomes: list[Outcome], options: argparse.Namespace, seconds: float) -> int:
    counts = Counter(outcome.verdict for outcome in outcomes)
    figures = ", ".join(f"{counts[kind]} {kind}" for kind in ("right", "misleading", "wrong", "not run"))
    print(f"{len(outcomes)} set-ups: {figures}; {seconds:.0f} s")
    outcomes.sort(key=lambda outcome: SETUPS.index(outcome.setup))
    if options.docs or not (options.only or options.truth or options.facts):
        document.write(outcomes)
    return 0 if counts["right"] == len(outcomes) else 1


def _rewrite(files: list[Path], options: argparse.Namespace) -> int:
    """Write docs/proxies.md from files of earlier runs; of one set-up, the last file counts."""
    by_name = {setup.name: setup for setup in SETUPS}
    found = {}
    for file in files:
        for fields in json.loads(file.read_text()):
            if setup := by_name.get(fields["setup"]["name"]):
                found[setup.name] = Outcome.load(fields, setup)
    for outcome in found.values():
        print("\n".join(lines(outcome, verbose=options.verbose)))
    options.docs = True
    return _summarise(list(found.values()), options, 0.0)


def _known(file: Path) -> dict[str, Facts]:
    """Return the facts in a file of an earlier run, by set-up."""
    found = json.loads(file.read_text())
    return {
        one["setup"]["name"]: Facts.load(one["facts"]) for one in found if one["verdict"] != "not run"
    }


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="make matrix", description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], metavar="TEXT", help="set-ups with this in their names"
    )
    parser.add_argument("--list", action="store_true", help="print the names of the set-ups")
    parser.add_argument("--truth", action="store_true", help="measure the facts only")
    parser.add_argument("--verbose", action="store_true", help="print the facts and doctor's lines")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to a file")
    parser.add_argument("--facts", type=Path, metavar="FILE", help="take the facts from such a file")
    parser.add_argument("--docs", action="store_true", help="write docs/proxies.md after a partial run")
    parser.add_argument(
        "--from",
        action="append",
        type=Path,
        dest="files",
        metavar="FILE",
        help="write it from such files",
    )
    parser.add_argument("--at-once", type=int, default=AT_ONCE, metavar="N", help="set-ups at a time")
    options = parser.parse_args()
    if options.files:
        return _rewrite(options.files, options)
    return interruptible.run(run(options))


if __name__ == "__main__":
    sys.exit(main())
