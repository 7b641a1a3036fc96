"""The exit codes of `rtdemo bench`, with made-up measurements instead of real ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rtdemo.cli import bench as cli
from rtdemo.errors import ServerError
from rtdemo.lab.bench import run_file
from rtdemo.lab.bench.result import Run
from tests.lab.bench.made_runs import a_run

Bench = Callable[..., int]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Run the command with the figures of a made-up run."""

    def command(run: Run, *arguments: object) -> int:
        async def measure(found: Run, *_: object) -> None:
            found.rounds, found.environment = run.rounds, run.environment
            found.cut_short = run.cut_short

        monkeypatch.setattr(cli, "measure", measure)
        code: int = cli.bench.main([*map(str, arguments)], standalone_mode=False)
        return code

    return command


@pytest.mark.parametrize(
    ("factor", "limit", "code", "words"),
    [
        (1, "bytes+50%", 0, ""),
        (2, "bytes+50%", 1, "rtdemo: SSE: bytes per message went from 100.0 to 200.0 B"),
        (2, "bytes+150%", 0, ""),
        (
            0,
            "bytes+50%",
            3,
            "rtdemo: SSE: bytes+50% could not be checked: it needs this figure from 3",
        ),
    ],
)
def test_a_figure_that_got_worse_fails(
    *,
    factor: int,
    limit: str,
    code: int,
    words: str,
    bench: Bench,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """--fail-if exits 1 for a worse figure, 0 if it is not worse, and 3 if it is unknown."""
    file = tmp_path / "old.json"
    file.write_bytes(msgspec.json.encode(a_run({"sse": 1.0})))
    run = a_run({"sse": 1.0}, seed=2)
    for one in run.rounds:
        one.received.bytes *= factor
        one.received.messages *= bool(factor)
    assert bench(run, "--compare", file, "--fail-if", limit) == code
    out, err = capsys.readouterr()
    assert out.startswith("SSE is as fast as before (difference under ")
    assert err.startswith(words)
    assert err.count("\n") == bool(words)


def test_an_interrupted_run_has_its_own_code(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """The report says that it was cut short."""
    run = a_run({"websocket": 1.0, "sse": 1.0})
    run.cut_short = True
    assert bench(run) == 130
    assert "CUT SHORT" in capsys.readouterr().out


def test_no_line_of_a_short_run_is_unreadable(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """With little data no number has more than four digits before its point, and no line is long."""
    for messages, rounds in ((0, 1), (1, 1), (1, 3), (3, 3), (25, 3), (100, 3)):
        bench(a_run({"websocket": 1.0, "sse": 30.0}, rounds=rounds, messages=messages))
        out = capsys.readouterr().out
        headline, *others = out.splitlines()
        assert len(headline) <= 140
        assert max(map(len, others)) <= 100, out
        # The first time without a colon, which the line about it has.
        table = "".join(
            re.split(r"\nLatency from \w+(?: time)?\b(?!:)", out.partition("Connecting")[0])[1:]
        )
        assert re.findall(r"\d{5,}|[\d,]{6,}\.", table) == []
        assert re.findall(r"to \+?\d{3,} %", out) == []


def test_what_cannot_be_measured_exits_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is down is not a regression: CI must not take one for the other."""

    async def fail(*_: object) -> None:
        raise ServerError("http://h", "cannot be reached", "is the server running?")

    monkeypatch.setattr(cli, "measure", fail)
    with pytest.raises(ServerError) as failed:
        cli.bench.main([], standalone_mode=False)
    assert failed.value.exit_code == 2


def test_the_file_has_what_was_printed(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first line of the report is the file's headline; a line says what each latency measures."""
    file = tmp_path / "run.json"
    assert bench(a_run({"websocket": 1.0, "sse": 9.0}), "--json", file) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == run_file.read(file).headline
    due, sent = [line for line in lines if re.match(r"Latency from (due time|sentAt): ", line)]
    assert due.endswith("; stalls of the server count.")
    assert sent.endswith(": network and client alone.")
