"""The files that bench writes: the run file, and the HTML page."""

from __future__ import annotations

import re
import resource
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from rtdemo.errors import FileError
from rtdemo.lab.bench import charts, report, result
from rtdemo.lab.bench.result import Run
from tests.lab.bench.made_runs import a_run


@pytest.fixture
def run() -> Run:
    return a_run({"websocket": 2.0, "sse": 3.0})


def test_a_run_file_reads_back_equal(run: Run, tmp_path: Path) -> None:
    """A run that is written and read is equal, including the histogram of each second."""
    file = tmp_path / "run.json"
    result.write(file, msgspec.json.encode(run))
    assert result.read(file) == run
    assert msgspec.json.decode(file.read_bytes())["format"] == "rtdemo-bench"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            b'{"format": "rtdemo-bench", "version": 2}',
            "is a run file of version 2, but this rtdemo reads 1",
        ),
        (b'{"format": "another", "version": 1}', "is not a run file; create one"),
        (b'{"format": "rtdemo-bench", "version": 1}', "is not a run file: "),
        (b"[1]", "is not a run file: "),
        (b"\x00\xff", "is not a run file: "),
        (b"", "is not a run file: "),
    ],
)
def test_other_files_are_refused(text: bytes, words: str, tmp_path: Path) -> None:
    """A file that is not a run file of this version causes an error of one line."""
    file = tmp_path / "other.json"
    file.write_bytes(text)
    with pytest.raises(FileError) as refused:
        result.read(file)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(FileError, match="cannot be read: No such file"):
        result.read(tmp_path / "missing.json")


def test_a_file_is_written_completely_or_not_at_all(run: Run, tmp_path: Path) -> None:
    """A failed write leaves no file behind, and a device is not replaced."""
    with pytest.raises(FileError, match="cannot be written"):
        result.write(tmp_path / "no" / "run.json", b"x")
    whole, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(FileError, match="cannot be written"):
            result.write(tmp_path / "run.json", b"x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (whole, hard))
    with pytest.raises(FileError, match="No space left"):
        result.write(Path("/dev/full"), b"x")
    result.write(Path("/dev/null"), b"x")
    assert list(tmp_path.iterdir()) == []


class Outline(HTMLParser):
    """Collect the tags and references of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]


def test_the_page_needs_nothing_else(run: Run) -> None:
    """The page has no script, no external address, and no style but its own."""
    run.target = 'http://h/"><script>alert(1)</script>'
    text = report.html_page(run).decode()
    outline = Outline()
    outline.feed(text)
    assert outline.references == []
    assert not outline.tags & {"script", "link", "img", "iframe", "object"}
    assert re.findall(r"url\(|@import", text) == []
    assert text.count("<svg") == 2
    assert "SSE&#39;s p99 is " in text


def test_the_page_of_a_run_without_latency(run: Run) -> None:
    """Without latencies there are no charts; the other figures are present."""
    for one in run.rounds:
        one.clock_error = None
        for block in one.figures.blocks:
            block.sent.counts.clear()
            block.due.counts.clear()
    text = report.html_page(run).decode()
    assert "<svg" not in text
    assert "rate kept" in text
    assert "p99.9" not in text


def test_charts_stay_in_their_box(run: Run) -> None:
    """Every point is between 0 and 100 percent, and both charts have the same scale."""
    by_percentile, over_time = charts.plots(run)
    for line in [*by_percentile.lines, *over_time.lines]:
        points = [float(number) for number in re.findall(r"[\d.]+", line.path)]
        assert points
        assert min(points) >= 0
        assert max(points) <= 100
    assert by_percentile.up == over_time.up
    assert [label.text for label in by_percentile.across][-1] == "max"
