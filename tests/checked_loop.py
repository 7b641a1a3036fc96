"""The event loop of tests; a test that leaves a connection open fails."""

from __future__ import annotations

import asyncio


class CheckedLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, which closes no connection itself.

    The garbage collector finds an open one later, and fails the test that runs then.
    """

    def close(self) -> None:
        """Cut what is open, and close the loop.

        Raises:
            AssertionError: a connection was open.
        """
        transports = list(vars(self)["_transports"].values())
        left = [one for one in transports if one.get_extra_info("socket").fileno() >= 0]
        described = "\n".join(map(repr, left))
        for transport in left:
            transport.abort()
        if left:
            self.run_until_complete(asyncio.sleep(0))  # which ends them
        super().close()
        assert not left, f"the test has left connections open:\n{described}"
