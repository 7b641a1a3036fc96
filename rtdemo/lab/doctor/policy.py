"""Examine the rule of origins: the server's own page may connect, a foreign one may not."""

from __future__ import annotations

from rtdemo.checks import Finding
from rtdemo.lab.doctor.outcome import first_line
from rtdemo.lab.doctor.path import Path

FOREIGN = "https://foreign.example"
FORBIDDEN = 403


async def origin(path: Path) -> Finding:
    """Speak as the page and as a foreign page does.

    By POST, for which the rule is the same and which needs no WebSocket. No client has this id, so
    whoever the rule lets pass is answered 404.
    """
    own, line = await _post(path, path.address.origin)
    foreign, _ = await _post(path, FOREIGN)
    seen = f"own page {_word(own)} ({own}), a foreign one {_word(foreign)} ({foreign})"
    if own == FORBIDDEN:
        fix = path.fix("host", origin=path.address.origin)
        return Finding("fail", f"the page itself is refused: {own} {line}", fix)
    return Finding("ok", seen) if foreign == FORBIDDEN else Finding("fail", seen, path.fix("origin"))


def _word(status: int) -> str:
    return "refused" if status == FORBIDDEN else "let in"


async def _post(path: Path, origin: str) -> tuple[int, str]:
    url = path.url("/api/messages?client=nobody")
    async with path.http.post(url, headers={"Origin": origin}, data=b"") as answer:
        return answer.status, first_line(await answer.text(errors="replace"))
