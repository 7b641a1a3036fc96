"""The Python client on servers that misbehave: the outcome that is wanted, for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from rtdemo import client
from rtdemo.client.waits import Waits
from tests.client.misbehaving import CASES, Case, misbehaving
from tests.client.seen import Seen

SHORT = Waits(
    first_retry=0.02, max_retry=0.05, attempt=30.0, mute=30.0, dead=30.0, silence=30.0, first_rewind=0.5
)
KINDS: Mapping[type[Exception], str] = {
    client.NotSentError: "not sent",
    client.RefusedError: "refused",
    client.LoginError: "login",
    client.NoStreamError: "no stream",
    client.UnreachableError: "unreachable",
}


async def seen_of(url: str, transport: str, case: Case) -> Seen:
    """Receive until all that is wanted has arrived, or an error ends the stream."""
    seen, sentences = Seen(), list[str]()
    waits = replace(SHORT, **case.waits)  # type: ignore[arg-type]  # no case changes the heartbeat
    options = {"rewind": case.rewind, "report": sentences.append, "waits": waits}
    stream = client.connect(url, transport=transport, **options)  # type: ignore[arg-type]  # from the table
    try:
        async with stream:
            if case.sent:
                await stream.send(case.sent)
            while len(seen.messages) < len(case.messages) or case.error:
                seen.messages.append((await anext(stream)).message)
            seen.transport = stream.transport
    except client.ServerError as error:
        seen.error = KINDS[type(error)]
        sentences.append(str(error))
    ledger = stream.ledger
    seen.ledger = {name: getattr(ledger, name) for name in case.counts}
    seen.sentences = "\n".join(sentences)
    return seen


@pytest.mark.asyncio(loop_factories=["pauseless"])
@pytest.mark.parametrize(
    ("name", "transport"),
    [(name, transport) for name, case in CASES.items() for transport in case.transports],
)
async def test_outcome_is_as_wanted(name: str, transport: str) -> None:
    """See the table of cases."""
    case = CASES[name]
    async with misbehaving(case.serve) as server, asyncio.timeout(60):
        seen = await seen_of(server.url, transport, case)
    seen.check(case, server.after.get(transport, []))
