"""Examine a set-up with doctor and with the independent client, before and after the printed fixes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rtdemo.lab.token_stream.report import Report
from rtdemo.lab.token_stream.request import new_request
from rtdemo.lab.token_stream.run import Examination
from tests.cluster.process import Process
from tests.lab.token_stream import truth
from tests.lab.token_stream.cells import Cell
from tests.lab.token_stream.proxies import Hop, proxy, stub, with_fixes

PATH = "/v1/chat/completions"


@asynccontextmanager
async def running(process: Process) -> AsyncIterator[Process]:
    """Start a process, and stop it at the end."""
    try:
        await process.start()
        yield process
    finally:
        if process.process is not None:
            await process.stop()


@dataclass
class Result:
    """What was found at one set-up.

    Attributes:
        report: of doctor.
        truths: of the independent client, by version of HTTP.
        after: the same with the printed fixes; None if nothing was to be fixed.
        expected: code of the worst finding, where the independent client does not decide.
    """

    report: Report
    truths: dict[str, truth.Truth]
    after: Result | None = None
    expected: str = ""

    @property
    def errors(self) -> list[str]:
        """What doctor says that is not true."""
        errors = [
            error
            for version, seen in self.truths.items()
            for error in _errors(self.report, version, seen)
        ]
        found = [(finding.code, finding.fault) for finding in self.report.findings]
        if self.expected and found[0] != (self.expected, "proxy"):
            errors.append(f"{found} instead of {self.expected}")
        return errors


def body_of(stub_parameters: object, prompt_bytes: int = 0) -> bytes:
    """Return the body that asks the stub for a stream, with a prompt of a size."""
    body = {"stream": True, "prompt": "x" * prompt_bytes, "stub": stub_parameters}
    return json.dumps(body).encode()


async def examine(url: str, direct: str | None, body: bytes) -> Report:
    """Run doctor on a token stream; return its report.

    Where doctor finds this machine too busy for a verdict, it advises another run: make up to two.
    """
    for _ in range(3):
        report = Report(url, direct or "", len(body))
        other = new_request(direct, {}, body) if direct else None
        await Examination(new_request(url, {}, body), other, report).run()
        if all(finding.code != "machine-busy" for finding in report.findings):
            break
    return report


async def run(folder: Path, cell: Cell, trust: Path) -> Result:
    """Examine a set-up; where doctor prints fixes, put them in and examine it again.

    Arguments:
        folder: for files of its programs.
        cell: the set-up.
        trust: certificate that the proxies with TLS use, which `SSL_CERT_FILE` names.
    """
    folder.mkdir(parents=True)
    async with running(stub(folder)) as server:
        before = await _run_once(folder / "before", cell, server, trust)
        fixes = [line for finding in before.report.findings for line in finding.fixes]
        if fixes:
            hops = tuple(with_fixes(hop, fixes) for hop in cell.hops)
            fixed = replace(cell, hops=hops, code="")
            before.after = await _run_once(folder / "after", fixed, server, trust)
    return before


async def _run_once(folder: Path, cell: Cell, server: Process, trust: Path) -> Result:
    body = body_of(cell.stub, cell.prompt_bytes)
    async with AsyncExitStack() as stack:
        url = await _chain(folder, cell.hops, server, trust, stack)
        report = await examine(url + PATH, server.url + PATH, body)
        truths = {
            way.http: await truth.measure(
                url + PATH, body, way.http == "2", trust if url.startswith("https") else None
            )
            for way in report.ways
            if way.way == "url" and not cell.code
        }
    return Result(report, truths, expected=cell.code)


async def _chain(
    folder: Path, hops: Sequence[Hop], server: Process, trust: Path, stack: AsyncExitStack
) -> str:
    """Start proxies from the inside to the outside; return the URL of the outermost."""
    port, url = server.port, server.url
    for number, hop in enumerate(reversed(hops)):
        place = folder / str(number)
        place.mkdir(parents=True)
        process = await stack.enter_async_context(running(proxy(place, hop, port, trust)))
        port, url = process.port, process.url
    return url


def _errors(report: Report, version: str, seen: truth.Truth) -> list[str]:
    """Return what doctor says of a version of HTTP that the independent client sees otherwise."""
    about = [finding for finding in report.findings if version in finding.http]
    held = [finding for finding in about if finding.code not in ("tokens-flow", "machine-busy")]
    errors = []
    if seen.is_held and not held:
        errors.append(f"HTTP/{version}: tokens are {seen.late_s * 1000:.0f} ms late: missed")
    if not seen.is_held and held:
        errors.append(f"HTTP/{version}: {held[0].code}: false alarm")
    if any(finding.fault != "proxy" for finding in held):
        errors.append(f"HTTP/{version}: the fault is the proxy's, not {held[0].fault}")
    is_compression = any(finding.code == "tokens-held-by-compression" for finding in held)
    if is_compression and not seen.coding:
        errors.append(f"HTTP/{version}: not compressed")
    return errors
