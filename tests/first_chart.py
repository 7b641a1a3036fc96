"""Time a new user's way to the first chart, in a fresh environment, and take a picture of it.

    python -m tests.first_chart --picture first-chart.png

The wheel is built first, since a user finds one. Then every step is timed: the environment,
`pip install`, the server, the script of README.md, and Chromium until the chart has its line.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.docs.markdown import ROOT, blocks
from tests.system_packages import CHROMIUM, require

SITES = {"HOST": "127.0.0.1", "PORT": "0", "WEBSOCKET_HOST": "127.0.0.1", "WEBSOCKET_PORT": "0"}
SCRIPT = "loss.py"
"""The block of README.md that publishes."""
PRODUCER = "loss"
TIMEOUT_MS = 60_000
PICTURE_AFTER_MS = 3000
"""Until then, the chart has some more values."""
HAS_LINE = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let dark = 0;
    for (let at = 0; at < data.length; at += 4) {
        dark += data[at + 3] > 200 && data[at] + data[at + 1] + data[at + 2] < 150;
    }
    return dark > 100;
}"""
"""Whether a chart has a line: nothing else in it is as dark, and a single point has fewer pixels."""


class Steps:
    """Print each step with its seconds.

    Attributes:
        total: seconds of all steps so far.
    """

    def __init__(self) -> None:
        self.total = 0.0

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Time the block."""
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        self.total += seconds
        print(f"{seconds:6.1f} s  {what}", flush=True)


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this folder; return its path."""
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run the installed server on free ports while the block runs; yield its address."""
    process = subprocess.Popen(
        [folder / "env/bin/rtdemo", "serve"],
        cwd=folder,
        env={**os.environ, **SITES, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        found = (re.search(r"view +(http://\S+)/view$", line.rstrip()) for line in process.stdout)
        yield next(match[1] for match in found if match)
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def running(script: Path, address: str, python: Path) -> Iterator[None]:
    """Run a script that publishes to a server while the block runs."""
    process = subprocess.Popen([python, script], env={**os.environ, "RTDEMO_URL": address})
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def wait_for_line(page: Page) -> None:
    """Wait until the card's chart has its line."""
    chart = page.get_by_role("article", name=PRODUCER, exact=True).locator("canvas").first
    chart.wait_for(timeout=TIMEOUT_MS)
    page.wait_for_function(HAS_LINE, arg=chart.element_handle(), timeout=TIMEOUT_MS)


def measure(folder: Path, picture: Path) -> float:
    """Go the whole way; return its seconds."""
    wheel = build_wheel(folder / "wheel")
    (script,) = (block.text for block in blocks("README.md", "python") if block.name == SCRIPT)
    (folder / SCRIPT).write_text(script)
    steps = Steps()
    with steps.step("a fresh environment"):
        venv.create(folder / "env", with_pip=True)
    with steps.step("pip install"):
        command: list[str | Path] = [
            folder / "env/bin/pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            wheel,
        ]
        subprocess.run(command, check=True)
    with sync_playwright() as playwright, ExitStack() as stack:
        with steps.step("start of the server"):
            address = stack.enter_context(server(folder))
        with steps.step(f"{SCRIPT} runs, and Chromium shows its chart"):
            stack.enter_context(running(folder / SCRIPT, address, folder / "env/bin/python"))
            chromium = playwright.chromium.launch(
                executable_path=require(CHROMIUM), args=["--no-sandbox"]
            )
            stack.callback(chromium.close)
            page = chromium.new_page(viewport={"width": 1280, "height": 720})
            page.goto(f"{address}/view")
            wait_for_line(page)
        page.wait_for_timeout(PICTURE_AFTER_MS)
        page.screenshot(path=picture)
    return steps.total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--picture", type=Path, default=Path("first-chart.png"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "wheel").mkdir()
        print(f"{measure(Path(folder), options.picture):6.1f} s  in all")


if __name__ == "__main__":
    main()
