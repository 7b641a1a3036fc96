"""Fuzz the parsers with mutated bytes, guided by coverage: `make fuzz`.

Each target runs in a process of its own. Inputs that reach new code are kept in `.fuzz/`, and the next
run begins with them. An input that breaks a promise is kept there too.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS

FOLDER = Path(".fuzz")
"""Where inputs are kept between runs, below the current folder."""
SECONDS = 60
"""Seconds for all targets together."""
INPUT_TIMEOUT_S = 20
"""Seconds after which an input counts as one that hangs."""
_PROGRESS = re.compile(r"^#(\d+)\s+\w+ +cov: (\d+)", re.MULTILINE)
_LAST_LINES = 30
"""Lines of a failed target's output that are printed."""


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz one target in a process of its own, print its line, and return whether all promises held.

    Arguments:
        name: of the target.
        seconds: for which inputs are made.
    """
    fuzzing = TARGETS[name]
    inputs, words = FOLDER / name, FOLDER / f"{name}.words"
    inputs.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(fuzzing.seeds):
        (inputs / f"seed-{number}").write_bytes(seed)
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in fuzzing.words))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.run_target", name),
            *(f"-max_total_time={seconds}", f"-timeout={INPUT_TIMEOUT_S}", f"-dict={words}"),
            *(f"-max_len={fuzzing.max_bytes}", f"-artifact_prefix={FOLDER / name}-", str(inputs)),
        ],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    progress = _PROGRESS.findall(done.stderr)
    inputs_made, covered = map(int, progress[-1]) if progress else (0, 0)
    verdict = "holds" if done.returncode == 0 else "FAILS"
    print(f"{name:15}{inputs_made:>9,} inputs  {covered:>6,} edges of code  {verdict}", flush=True)
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        print(*lines[-_LAST_LINES:], sep="\n")
        print(f"repeat: PYTHONPATH=.venv/fuzz .venv/bin/python -m tests.fuzz.run_target {name} FILE")
    return done.returncode == 0


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def main() -> None:
    """Fuzz the targets one after the other; exit with 1 if one of them fails."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="Fuzz the parsers.")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for all targets together")
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; default: all")
    given = parser.parse_args()
    if unknown := set(given.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    names = given.targets or list(TARGETS)
    results = [fuzz(name, max(1, given.seconds // len(names))) for name in names]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
