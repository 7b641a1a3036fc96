"""Runs with made-up figures, for tests that do not measure."""

from __future__ import annotations

from random import Random

from rtdemo.lab.bench import verdict
from rtdemo.lab.bench.machine import Environment
from rtdemo.lab.bench.result import Figures, ParityCheck, Received, Round, Run, RunSettings, SecondBlock
from rtdemo.lab.bench.run import turn_order
from rtdemo.lab.bench.summary import summarize
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.timing.histogram import Latencies


def latencies(*seconds: float) -> Latencies:
    found = Latencies()
    for one in seconds:
        found.record(one)
    return found


def a_round(transport: Transport, level: float, seed: int, messages: int = 200) -> Round:
    """Return a round of ten seconds with latencies around `level` milliseconds, on both bases."""
    chance = Random(seed)
    level *= chance.lognormvariate(0, 0.05)
    blocks = []
    for _ in range(10):
        some = latencies(*(level / 1000 * chance.lognormvariate(0, 0.4) for _ in range(messages)))
        blocks.append(SecondBlock(some, some))
    every = messages * 10
    figures = Figures(blocks, messages=every, due=every, kept=every, numbered=every)
    figures.periods = {"message": 2000.0}
    return Round(
        transport=transport,
        seconds=10.0,
        connections=100,
        steps={"tcp": latencies(0.001, 0.002), "total": latencies(0.003, 0.004)},
        figures=figures,
        received=Received(every, 100 * every, 95 * every, every),
        clock_error=0.05,
        clock_offset=1000.0,
        costs=[],
        server_cpu=0.00002 * messages * 10,
    )


def concluded(run: Run) -> Run:
    """Add the verdicts and the summary to a run, as the command does at the end."""
    comparison = verdict.transport_comparison(run)
    run.verdicts = verdict.verdicts(run, None, comparison)
    run.headline = run.verdicts[0].sentence
    run.summary = summarize(run, comparison)
    return run


def a_run(levels: dict[Transport, float], rounds: int = 3, seed: int = 1, messages: int = 200) -> Run:
    """Return a run with rounds in turns, and latencies around these levels in milliseconds."""
    turns = turn_order(tuple(name for name in TRANSPORTS if name in levels), rounds)
    environment = Environment("0", "3", "here", 2, "rtdemo 0")
    settings = RunSettings(rounds=rounds, transports=tuple(levels))
    return Run(
        at="2026-01-01T00:00:00+00:00",
        target="own server",
        environment=environment,
        settings=settings,
        parity=[ParityCheck("compression", "ok", "none")],
        rounds=[a_round(name, levels[name], seed * 1000 + n, messages) for n, name in enumerate(turns)],
    )
