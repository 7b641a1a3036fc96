"""Test a WebSocket server by the cases of Autobahn, as the package kosoku runs them.

kosoku runs in a process of its own: it puts stand-ins for public modules before those of Python.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rtdemo.errors import ServerError, printable
from rtdemo.lab.conform import clauses
from rtdemo.lab.conform.check import Level
from rtdemo.lab.conform.report import Report, Result, Verdict

AT_ONCE = 4
"""Cases that run at the same time; most of them wait for most of their time."""
SECTION_TIMEOUT_S = 300.0
"""Seconds for the cases of one section."""
PROBE = "1.1.2"
"""A case that sends a short text, and expects the same text: every server that echoes passes it."""
DEFAULT_CASES = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
"""All but those that measure (9) and those of compression (12, 13), which take minutes."""
_PROGRAM = "kosoku"


class Section(NamedTuple):
    """Cases about one subject.

    Arguments:
        name: the subject.
        clause: where its rules are from.
        fix: what to do if one fails.
    """

    name: str
    clause: str
    fix: str


SECTIONS = {
    "1": Section("messages", clauses.rfc(6455, "5.6"), "Return each message unchanged, of any size."),
    "2": Section("pings", clauses.rfc(6455, "5.5.2"), "Answer each ping by a pong with its payload."),
    "3": Section("reserved bits", clauses.rfc(6455, "5.2"), "Fail the connection, with 1002."),
    "4": Section("opcodes", clauses.rfc(6455, "5.2"), "Fail the connection on an unknown opcode."),
    "5": Section("fragments", clauses.rfc(6455, "5.4"), "Join fragments; take pings between them."),
    "6": Section("UTF-8", clauses.rfc(6455, "8.1"), "Fail the connection on bad UTF-8, with 1007."),
    "7": Section("close", clauses.rfc(6455, "7.1"), "Answer a close frame by one, then close."),
    "9": Section("limits", clauses.rfc(6455, "5.6"), "Raise the limit of a message, or the speed."),
    "10": Section("fragments sent", clauses.rfc(6455, "5.4"), "Send fragments of one message in order."),
    "12": Section("compression", clauses.rfc(7692, "7"), "Compress by permessage-deflate as agreed."),
    "13": Section("compression offers", clauses.rfc(7692, "7.1"), "Answer offers that you can keep."),
}
"""By the first number of a case."""
_OTHER = Section("other", clauses.rfc(6455, "5"), "See the section of the RFC.")
_VERDICTS: dict[str, tuple[Verdict, Level]] = {
    "OK": ("pass", "MUST"),
    "INFORMATIONAL": ("pass", "MUST"),
    "NON-STRICT": ("warn", "SHOULD"),
    "UNIMPLEMENTED": ("not tested", "MUST"),
}
"""By what kosoku reports; everything else is a failure."""
_TAG = re.compile(r"<[^>]*>")


class CannotRunError(ServerError):
    """kosoku is missing, or the server cannot be tested by its cases."""

    exit_code = 2


def program() -> str:
    """Return the path of kosoku.

    Raises:
        CannotRunError: if it is not installed.
    """
    beside = Path(sys.executable).with_name(_PROGRAM)
    found = str(beside) if beside.exists() else shutil.which(_PROGRAM)
    if found is None:
        raise CannotRunError(
            "--websocket", "needs the package kosoku", "install it by: pip install 'rtdemo[conform]'"
        )
    return found


async def examine(
    url: str, cases: Sequence[str], report: Report, progress: Callable[[str], object]
) -> None:
    """Run cases against a server that returns each message unchanged.

    Arguments:
        url: address of its WebSocket.
        cases: numbers of cases, or patterns such as `7.*`; empty for `DEFAULT_CASES`.
        report: gets the results, section by section; if this is cancelled, it has those until then.
        progress: called with words about the state.

    Raises:
        CannotRunError: if no connection is possible, or the server does not return messages.
    """
    if not cases:
        await _check_echo(url)
    patterns = cases or DEFAULT_CASES
    for number, pattern in enumerate(patterns, 1):
        progress(f"cases {pattern}, {number} of {len(patterns)}")
        report.checks += map(_result, await _reports(url, pattern))
        report.count()


async def _check_echo(url: str) -> None:
    (found,) = await _reports(url, PROBE)
    reason = str(found.get("result", ""))
    if found.get("behavior") == "ERROR":
        raise CannotRunError(url, f"cannot be tested: {printable(reason[:200])}", "is it a WebSocket?")
    if found.get("behavior") != "OK":
        raise CannotRunError(
            url,
            "does not return a text unchanged, as the cases need",
            "give an address that echoes, or the cases that need none, such as --case '7.*'",
        )


async def _reports(url: str, pattern: str) -> list[dict[str, Any]]:
    """Run the cases of one pattern; return kosoku's report on each, in order."""
    with tempfile.TemporaryDirectory() as folder:
        errors = await _run(url, pattern, folder)
        try:
            return _read(Path(folder))
        except (OSError, ValueError, KeyError, AttributeError) as error:
            last = errors.decode(errors="replace").strip().rpartition("\n")[2]
            raise CannotRunError(
                f"kosoku -i {pattern}", f"failed: {printable(last[:200])}", "see `kosoku --help`"
            ) from error


async def _run(url: str, pattern: str, folder: str) -> bytes:
    """Run kosoku; return what it wrote to stderr."""
    process = await asyncio.create_subprocess_exec(
        *(program(), url, "-o", folder, "-p", str(AT_ONCE), "-i", pattern),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECTION_TIMEOUT_S):
            _, errors = await process.communicate()
    except TimeoutError as error:
        seen = f"cases {pattern} took over {SECTION_TIMEOUT_S:.0f} s"
        raise CannotRunError(url, seen, "choose fewer by --case") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return errors


def _read(folder: Path) -> list[dict[str, Any]]:
    index = json.loads((folder / "index.json").read_text())
    by_case = {case: entry for cases in index.values() for case, entry in cases.items()}
    return [json.loads((folder / entry["reportfile"]).read_text()) for entry in by_case.values()]


def _result(found: dict[str, Any]) -> Result:
    """Return a result of kosoku as one of ours."""
    case = str(found.get("id", ""))
    section = SECTIONS.get(case.partition(".")[0], _OTHER)
    reported = [str(found.get(key)) for key in ("behavior", "behaviorClose")]
    judged = [_VERDICTS.get(word, ("fail", "MUST")) for word in reported]
    verdict, level = max(judged, key=lambda one: ("pass", "not tested", "warn", "fail").index(one[0]))
    seen = (
        f"{', '.join(dict.fromkeys(reported))}: {_text(found, 'result')} {_text(found, 'resultClose')}"
    )
    if verdict == "fail":
        seen += f" Received: {_text(found, 'received')}"
    return Result(
        f"websocket-{case.replace('.', '-')}",
        section.name,
        level,
        verdict,
        section.clause,
        clauses.url(section.clause),
        _text(found, "expectation"),
        _text(found, "description"),
        seen,
        section.fix,
        {"durationMs": float(found.get("duration") or 0)},
    )


def _text(found: dict[str, Any], key: str) -> str:
    """Return a text of kosoku's report in one line; some have HTML and bytes."""
    text = " ".join(_TAG.sub(" ", str(found.get(key) or "")).split())
    return printable(text[:300])
