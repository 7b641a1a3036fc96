"""`rtdemo doctor --post` behind real proxies: each verdict is true, and each printed fix works.

Four set-ups run here, side by side; `python -m tests.lab.token_stream.matrix` runs all.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from tests.certificate import self_signed
from tests.lab.token_stream.cells import CELLS
from tests.lab.token_stream.examination import Result, run
from tests.lab.token_stream.matrix import is_held
from tests.system_packages import HAPROXY, NGINX, find, require

pytestmark = pytest.mark.alone
EXPECTED = {
    "nginx, gzip": {"1.1": "tokens-held-by-compression"},
    "nginx, server batches": {"1.1": "tokens-flow"},
    "nginx TLS, buffer": {"1.1": "tokens-buffered-16384", "2": "tokens-flow"},
    "HAProxy, default": {"1.1": "tokens-clumped-200ms"},
}
"""By set-up: the code of the finding about each version of HTTP."""
SHORTER = {"tokens": 50, "every_ms": 15, "token_bytes": 600}
"""So that all take 20 s. Fewer and larger tokens show the same, and depend less on a busy machine."""


async def run_all(folder: Path, trust: Path) -> dict[str, Result]:
    cells = [replace(CELLS[name], stub=dict(CELLS[name].stub) | SHORTER) for name in EXPECTED]
    runs = (run(folder / str(number), cell, trust) for number, cell in enumerate(cells))
    return dict(zip(EXPECTED, await asyncio.gather(*runs), strict=True))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    if not (find(NGINX) and find(HAPROXY)):
        return {}
    folder = tmp_path_factory.mktemp("proxies")
    trust = self_signed(folder).certificate
    with mock.patch.dict(os.environ, {"SSL_CERT_FILE": str(trust)}):
        return asyncio.run(run_all(folder, trust))


@pytest.fixture(params=EXPECTED)
def result(results: dict[str, Result], request: pytest.FixtureRequest) -> tuple[str, Result]:
    require(NGINX)
    require(HAPROXY)
    return request.param, results[request.param]


def test_verdict_is_true(result: tuple[str, Result]) -> None:
    """As an independent client sees it, which reads when the server sent each token."""
    name, found = result
    codes = {v: f.code for f in found.report.findings for v in f.http}
    assert codes == EXPECTED[name]
    assert found.errors == []


def test_printed_fix_works(result: tuple[str, Result]) -> None:
    """With it as the only change, tokens arrive as the server sends them."""
    name, found = result
    held = set(EXPECTED[name].values()) != {"tokens-flow"}
    assert (found.after is not None) == held
    if found.after is not None:
        assert not is_held(found.after)
        assert {finding.code for finding in found.after.report.findings} == {"tokens-flow"}
