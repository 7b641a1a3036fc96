"""The files that bench writes: the run file, and the HTML page."""

from __future__ import annotations

import re
import resource
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from rtdemo.errors import FileError
from rtdemo.lab import result_file
from rtdemo.lab.bench import charts, report, run_file, verdict
from rtdemo.lab.bench.result import Run
from tests.lab.bench.made_runs import a_run, concluded

VERSION_1 = Path(__file__).with_name("run_version_1.json").read_bytes()
"""A file that an older bench wrote."""


@pytest.fixture
def run() -> Run:
    return concluded(a_run({"websocket": 2.0, "sse": 3.0}))


def test_a_run_file_reads_back_equal(run: Run, tmp_path: Path) -> None:
    """A run that is written and read is equal, including the histogram of each second."""
    file = tmp_path / "run.json"
    result_file.write(file, msgspec.json.encode(run))
    assert run_file.read(file) == run
    assert msgspec.json.decode(file.read_bytes())["format"] == "rtdemo-bench"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_of_version_1_is_still_read(tmp_path: Path) -> None:
    """A file that an older bench wrote has other keys; its figures are the same."""
    file = tmp_path / "old.json"
    file.write_bytes(VERSION_1)
    run = run_file.read(file)
    old = msgspec.json.decode(VERSION_1)["rounds"][0]
    [one] = run.rounds
    assert (one.clock_error, one.server_cpu) == (old["clockError"], old["serverCpu"])
    assert (one.memory, one.others) == (old["memory"], old["others"])
    assert (one.figures.jitter, one.figures.periods) == (
        old["figures"]["jitter"],
        {"message": 100.0, "status": 250.0},
    )
    assert one.costs[0].cpu == old["costs"][0]["cpu"]
    assert len(one.figures.blocks[0].due) == old["figures"]["due"]
    assert verdict.compare_runs(run, run, "sse").code in ("too-little-data", "not-comparable")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            b'{"format": "rtdemo-bench", "version": 3}',
            "is a run file of version 3, but this rtdemo reads 1 to 2",
        ),
        (b'{"format": "another", "version": 1}', "is not a run file; create one"),
        (b'{"format": "rtdemo-bench", "version": 1}', "is not a run file: "),
        (b'{"format": "rtdemo-bench", "version": 1, "rounds": 3}', "is not a run file: "),
        (b'{"format": "rtdemo-bench", "version": 2}', "is not a run file: "),
        (b"[1]", "is not a run file: "),
        (b"\x00\xff", "is not a run file: "),
        (b'{"format": "\xff"}', "is not a run file: "),
        (b"", "is not a run file: "),
    ],
)
def test_other_files_are_refused(text: bytes, words: str, tmp_path: Path) -> None:
    """A file that is not a run file of this version causes an error of one line."""
    file = tmp_path / "other.json"
    file.write_bytes(text)
    with pytest.raises(FileError) as refused:
        run_file.read(file)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(FileError, match="cannot be read: No such file"):
        run_file.read(tmp_path / "missing.json")


def test_a_file_is_written_completely_or_not_at_all(run: Run, tmp_path: Path) -> None:
    """A failed write leaves no file behind, and a device is not replaced."""
    with pytest.raises(FileError, match="cannot be written"):
        result_file.write(tmp_path / "no" / "run.json", b"x")
    whole, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(FileError, match="cannot be written"):
            result_file.write(tmp_path / "run.json", b"x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (whole, hard))
    with pytest.raises(FileError, match="No space left"):
        result_file.write(Path("/dev/full"), b"x")
    result_file.write(Path("/dev/null"), b"x")
    assert list(tmp_path.iterdir()) == []


def page(run: Run) -> str:
    return report.html_page(run, verdict.transport_comparison(run)).decode()


def test_the_answer_comes_first(run: Run, tmp_path: Path) -> None:
    """The file has the headline, the verdicts with codes and units, and each figure as a number."""
    file = tmp_path / "run.json"
    result_file.write(file, msgspec.json.encode(run))
    found = msgspec.json.decode(file.read_bytes())
    assert list(found)[:4] == ["format", "version", "headline", "verdicts"]
    assert found["headline"] == found["verdicts"][0]["sentence"] == run.headline
    assert found["verdicts"][0]["code"] == "websocket-faster"
    assert found["verdicts"][0]["lowMs"] < 3.0 < 9.0
    figures = {one["code"]: one for one in found["summary"]}
    assert figures["p50"]["websocketMs"] == pytest.approx(2.0, rel=0.2)
    assert figures["bytes"]["sseBytes"] == 100
    assert (figures["p50"]["outcome"], figures["bytes"]["outcome"]) == ("more", "equal")
    assert {"code", "basis", "websocketMs", "sseMs", "outcome", "lowMs", "highMs"} == figures[
        "p99"
    ].keys()


@pytest.mark.parametrize("place", ["no/run.json", "file/run.json"])
def test_a_file_that_cannot_be_written_is_refused_before_the_run(place: str, tmp_path: Path) -> None:
    """The check creates nothing, and a device is not opened."""
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        result_file.check_writable(tmp_path / place)
    for fine in (tmp_path / "run.json", tmp_path / "file", Path("/dev/full")):
        result_file.check_writable(fine)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


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
    text = page(run)
    outline = Outline()
    outline.feed(text)
    assert outline.references == []
    assert not outline.tags & {"script", "link", "img", "iframe", "object"}
    assert re.findall(r"url\(|@import", text) == []
    assert text.count("<svg") == 2
    assert f"<h1>{run.headline}</h1>" in text


def test_the_page_of_a_run_without_latency(run: Run) -> None:
    """Without latencies there are no charts; the other figures are present."""
    for one in run.rounds:
        one.clock_error = None
        for block in one.figures.blocks:
            block.sent.counts.clear()
            block.due.counts.clear()
    text = page(concluded(run))
    assert "<svg" not in text
    assert "rate kept" in text
    assert "p99.9" not in text
    assert "<h1>Latency is unknown, because the server&#39;s clock is.</h1>" in text


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
