"""Which transport a client uses, where it may use either."""

from __future__ import annotations

from collections.abc import Sequence

from rtdemo.errors import LoginError, ServerError, UnreachableError
from rtdemo.protocol.client import LABELS, Transport


class TransportChoice:
    """Choose the transport of each connection.

    The first one is used as long as it works. Where it does not open, or stays mute, the other one is
    tried at once. A first one that worked before is tried first again: an outage is no reason against
    it.

    Arguments:
        transports: to use, in order of preference; one or two.

    Attributes:
        current: the transport of the next connection, or of this one.
    """

    def __init__(self, transports: Sequence[Transport]) -> None:
        self._first, self._last = transports[0], transports[-1]
        self._worked: set[Transport] = set()
        self._in_vain: set[Transport] = set()
        self._why_not_first = ""
        self.current = self._first

    @property
    def reason(self) -> str:
        """Why the first transport is not used; empty if it is."""
        return "" if self.current == self._first else self._why_not_first

    @property
    def only_other_worked(self) -> bool:
        """Whether messages have arrived over the other transport, and none over this one."""
        return bool(self._worked) and self.current not in self._worked

    def worked(self) -> None:
        """Record that a message arrived over the current transport."""
        self._worked.add(self.current)
        self._in_vain.clear()

    def ended(self, error: ServerError, had_messages: bool) -> bool:
        """Choose the transport of the next connection.

        Arguments:
            error: why the last connection ended, or did not open.
            had_messages: whether a message arrived over it.

        Returns:
            Whether to try the other transport at once.
        """
        if had_messages or _is_of_both(error):
            self._prefer()
            return False
        self._in_vain.add(self.current)
        if self._in_vain == {self._first, self._last}:
            self._in_vain.clear()
            self._prefer()
            return False
        if self.current == self._first:
            self._why_not_first = f"the {LABELS[self._first]} {error.problem}"
        self.current = self._last if self.current == self._first else self._first
        return True

    def _prefer(self) -> None:
        """Use the first transport if it worked before, or if the other one did not."""
        is_first = self._first in self._worked or self._last not in self._worked
        self.current = self._first if is_first else self._last


def _is_of_both(error: ServerError) -> bool:
    """Return whether the other transport would end in the same way, or the server asks to wait."""
    return error.retry_after is not None or isinstance(error, LoginError | UnreachableError)
