"""A program in a clone, run by a Python without rtdemo's packages, finds the folder rtdemo/."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_sentence_says_which_environment_is_missing() -> None:
    """It ends the program at once, without a chain of rtdemo's own modules."""
    # -S: without site-packages, as another Python.
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import rtdemo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: rtdemo's packages are missing in this Python (msgspec): activate the "
        "environment (. .venv/bin/activate), or install rtdemo (pip install FOLDER)"
    )
    assert done.stderr.count("  File ") == 2
