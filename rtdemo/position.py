"""Name places in the log of shared messages."""

from __future__ import annotations

import re
from secrets import token_hex
from typing import NamedTuple

_FORM = re.compile(r"([0-9a-f]{1,32})-(0|[1-9][0-9]{0,14})", re.ASCII)


class Position(NamedTuple):
    """Stand behind one message of a log; offset 0 is before the first.

    Arguments:
        epoch: which log; a new one begins when an old one's content is lost.
        offset: counts its messages from 1, without a gap.
    """

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.offset}"


def parse(text: str) -> Position | None:
    """Read `<epoch>-<offset>`; None where it is something else."""
    found = _FORM.fullmatch(text)
    return Position(found[1], int(found[2])) if found else None


def new_epoch() -> str:
    """Return a name that no other log has: 64 random bits in hexadecimal."""
    return token_hex(8)
