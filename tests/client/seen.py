"""What a client under test has seen, beside what is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby

from tests.client.misbehaving import Case


@dataclass
class Seen:
    """What a client has seen of a server.

    Arguments:
        messages: texts, in order.
        ledger: its counts.
        error: kind of the error that ended the stream, or `not sent`; empty for none.
        sentences: that it reported, with that of the error.
        transport: at the end.
    """

    messages: list[str] = field(default_factory=list)
    ledger: Mapping[str, int] = field(default_factory=dict)
    error: str = ""
    sentences: str = ""
    transport: str = ""

    def check(self, case: Case, after: list[str]) -> None:
        """Compare it with what is wanted.

        Arguments:
            case: what is wanted.
            after: positions at which the client resumed.
        """
        assert (self.messages, self.error) == (case.messages, case.error), self.sentences
        assert {name: self.ledger[name] for name in case.counts} == case.counts
        assert case.words in self.sentences
        if case.used:
            assert self.transport == case.used
        if case.after is not None:
            # A starved machine may need another try, which asks for the same.
            assert [position for position, _ in groupby(after)] == case.after
