"""The truth about a token stream, by a client that knows nothing of rtdemo: httpx.

The stub writes into each token when it sends it, on the clock of this machine. So the client sees how
late each token is.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import httpx

HELD_S = 0.012
"""Median delay of tokens from which they are held back: a proxy here needs under a millisecond."""
FIRST_HELD_S = 0.1
"""The same for the first token."""
TRIES = 3
"""Streams until one has no late tokens: a machine may be busy, but a proxy holds them each time."""


@dataclass(frozen=True)
class Truth:
    """How late tokens are.

    Attributes:
        first_token_s: seconds from the request to the first token.
        first_late_s: seconds from the sending of the first token to its arrival.
        late_s: the same for all tokens, the median.
        gap_s: between two arrivals, the median of those over a millisecond.
        coding: compression of the answer.
        version: of HTTP.
    """

    first_token_s: float
    first_late_s: float
    late_s: float
    gap_s: float
    coding: str
    version: str

    @property
    def is_held(self) -> bool:
        """Whether tokens are held back."""
        return self.late_s > HELD_S or self.first_late_s > FIRST_HELD_S


async def measure(url: str, body: bytes, http2: bool, trusted: Path | None) -> Truth:
    """Send a body to a URL; return how late the tokens of the answer are at the least.

    Arguments:
        url: of the endpoint.
        body: that asks for a stream in the format `chat`.
        http2: whether to use HTTP/2.
        trusted: certificate to trust; None without TLS.
    """
    context = ssl.create_default_context(cafile=str(trusted)) if trusted else True
    found = await _measure_once(url, body, http2, context)
    for _ in range(TRIES - 1):
        if not found.is_held:
            break
        found = min(found, await _measure_once(url, body, http2, context), key=lambda one: one.late_s)
    return found


async def _measure_once(url: str, body: bytes, http2: bool, context: ssl.SSLContext | bool) -> Truth:
    headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip, deflate"}
    late, arrivals, rest = [], [], ""
    async with httpx.AsyncClient(verify=context, http1=not http2, http2=http2, timeout=60) as client:
        sent = time.time()
        async with client.stream("POST", url, content=body, headers=headers) as answer:
            answer.raise_for_status()
            async for text in answer.aiter_text():
                at = time.time()
                *lines, rest = (rest + text).split("\n")
                stamps = [s for line in lines if (s := _sent_at(line))]
                late += [at - stamp for stamp in stamps]
                if stamps:
                    arrivals.append(at)
    assert late, f"no token in {answer.status_code} {rest[:200]!r}"
    gaps = [after - before for before, after in pairwise(arrivals)]
    gaps = [gap for gap in gaps if gap > 0.001] or [0.0]
    coding = answer.headers.get("Content-Encoding", "")
    return Truth(arrivals[0] - sent, late[0], median(late), median(gaps), coding, answer.http_version)


def _sent_at(line: str) -> float:
    found = re.fullmatch(r"data: (\{.*\})", line.strip())
    return int(json.loads(found[1])["sent_at_us"]) / 1e6 if found else 0.0
