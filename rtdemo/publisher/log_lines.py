"""Log lines in a program that does not configure logging: they name rtdemo."""

from __future__ import annotations

import logging
import sys

PREFIX = "rtdemo: "
"""What each line begins with, as those of the commands do."""


class PrefixHandler(logging.Handler):
    """Write warnings to standard error, with a prefix, where no other handler gets them.

    It stands in for `logging.lastResort`, which writes the message alone. Handlers of the program have
    a format of their own, so then it writes nothing.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(logging.Formatter(f"{PREFIX}%(message)s"))

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record, unless another handler gets it."""
        # Asked for each record: a program may configure logging after the import. Not in `emit`, which
        # holds this handler's lock: `logging.config` waits for it while it holds the one of `getLogger`.
        if logging.lastResort is None or self._has_other(record.name):
            return False
        return super().handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if sys.stderr is None:
            return
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:
            self.handleError(record)

    def _has_other(self, name: str) -> bool:
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False
