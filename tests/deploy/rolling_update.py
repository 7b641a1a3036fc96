"""Replace two servers one by one behind a proxy of deploy/, while clients of both transports follow.

    python -m tests.deploy.rolling_update --proxy nginx --clients 1000

It starts Redis, two servers and the proxy, and connects the clients, half of each transport. Then it
stops each server by SIGTERM, waits for its exit, starts it again, and waits until it is ready: as an
orchestrator does. Each client records what it receives of the log over all its connections. The exit
code is 1 if a message is lost or repeated, or if an attempt to connect fails.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.deployment import deployment
from tests.cluster.many_clients import DeliveryReport, connected_clients, wait_until_all_connected
from tests.cluster.proxies import PROXIES

DRAIN_S = 5.0
"""Seconds over which a server ends its connections: the default of `--drain-seconds`."""
SETTLE_S = 5.0
"""Seconds between the start of a server and the end of the next one, as `minReadySeconds`: a proxy may
ask a server that was away again only after some seconds."""
TICK_S = 1.0
"""Seconds from one published message to the next, and from one tick of the shared producer."""
CONNECT_S = 60.0
"""Seconds in which a client must be connected: this machine runs all of it, and may be slow."""
FAULTS = ("failed_attempts", "duplicates", "missing", "loss_notices", "wrong", "unfinished")
"""What must be 0 in each report."""


@dataclass(frozen=True)
class RollingUpdate:
    """What a rolling update cost.

    Arguments:
        reports: of the clients, by proxy and transport.
        replaced_s: seconds from the SIGTERM to each server until it was ready again.
    """

    reports: dict[str, DeliveryReport]
    replaced_s: list[float]

    @property
    def faults(self) -> list[str]:
        """What must not be, such as `nginx sse: 3 missing`, and why attempts failed."""
        return [
            f"{clients}: {fault}"
            for clients, report in self.reports.items()
            for fault in _faults(report)
        ]


def _faults(report: DeliveryReport) -> Iterator[str]:
    for name in FAULTS:
        if count := getattr(report, name):
            yield f"{count} {name}"
    for reason, count in report.reasons.items():
        yield f"{reason} ({count} times)"


async def roll(
    folder: Path,
    proxies: Sequence[str],
    clients: int,
    drain_s: float = DRAIN_S,
    settle_s: float = SETTLE_S,
) -> RollingUpdate:
    """Replace both servers behind proxies.

    Arguments:
        folder: existing and empty.
        proxies: names in `PROXIES`.
        clients: of both transports together, through each proxy.
        drain_s: seconds over which a server ends its connections.
        settle_s: seconds between the start of a server and the end of the next one.
    """
    replaced_s = []
    async with (
        deployment(folder, proxies, ("--drain-seconds", f"{drain_s:g}"), TICK_S) as parts,
        AsyncExitStack() as stack,
    ):
        publish_url = parts.servers[1].url
        groups = {
            name: await stack.enter_async_context(
                connected_clients(proxy.url, publish_url, clients // 2, TICK_S, CONNECT_S)
            )
            for name, proxy in parts.proxies.items()
        }
        for client in (client for group in groups.values() for client in group.clients):
            # Until here so many clients connected at once that some may have waited too long.
            client.record.reasons.clear()
        for server in parts.servers:
            await asyncio.sleep(settle_s)
            began = time.monotonic()
            assert await server.stop() == 0
            await server.start("/readyz")
            replaced_s.append(time.monotonic() - began)
            # A client that gets no answer at all must not hold this up: it is reported as unfinished.
            with suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_S):
                    for group in groups.values():
                        await wait_until_all_connected(group.clients)
        finished = {name: await group.finish() for name, group in groups.items()}
    reports = {
        f"{name} {transport}": report
        for name, by_transport in finished.items()
        for transport, report in by_transport.items()
    }
    return RollingUpdate(reports, replaced_s)


def main() -> int:
    """Run it and print the figures; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.rolling_update", description=__doc__)
    parser.add_argument("--proxy", choices=list(PROXIES), default="haproxy")
    parser.add_argument("--clients", type=int, default=1000, help="of both transports together")
    parser.add_argument("--drain", type=float, default=DRAIN_S, metavar="SECONDS")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = asyncio.run(roll(Path(folder), [options.proxy], options.clients, options.drain))
    for clients, report in done.reports.items():
        print(clients, " ".join(f"{name}={value}" for name, value in vars(report).items()))
    print("replaced after", " and ".join(f"{seconds:.1f} s" for seconds in done.replaced_s))
    print("\n".join(done.faults) or "0 lost, 0 repeated, 0 refused")
    return 1 if done.faults else 0


if __name__ == "__main__":
    sys.exit(main())
