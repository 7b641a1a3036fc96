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

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless another handler gets it."""
        # Asked for each record: a program may configure logging after the import.
        if logging.lastResort is None or sys.stderr is None or self._has_other(record.name):
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
