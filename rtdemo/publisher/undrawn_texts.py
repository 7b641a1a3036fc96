"""Which published texts are probably meant to be numbers, which charts would draw."""

from __future__ import annotations

import logging
import re

log = logging.getLogger(__name__)

MAX_NAMES = 1_000
"""Names that are remembered. A text under a further one is compared with no earlier value."""
MAX_NAME_CHARACTERS = 100
"""Characters of a name that is remembered. Servers refuse longer ones."""
MAX_REPORTS = 100
"""Names that are reported; further ones are not."""
MAX_NUMBER_CHARACTERS = 40
"""Characters of the longest text that is read as a number."""
MAX_SHOWN_CHARACTERS = 80
"""Characters of a text or a key that a report shows."""
NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*", re.ASCII)


class UndrawnTexts:
    """Report once for each name a text that reads as a number, or comes where numbers were."""

    def __init__(self) -> None:
        self.names: dict[str, bool] = {}
        """Whether the first value of a name that was no text and not null was a number, or had one."""
        self._reported: set[str] = set()

    def look(self, name: str, value: object) -> None:
        """Look at a text, or at the first other value of a name.

        Arguments:
            name: that it is published under.
            value: as JSON holds it. Of a dict, the texts in it that read as numbers count too.
        """
        if len(name) > MAX_NAME_CHARACTERS:
            return
        if isinstance(value, str):
            if name not in self._reported and (self.names.get(name, False) or reads_as_number(value)):
                self._report(name, value)
        elif value is not None and len(self.names) < MAX_NAMES:
            entries = value if isinstance(value, dict) else {"": value}
            self.names[name] = any(isinstance(each, (int, float)) for each in entries.values())
            for key, text in entries.items():
                if isinstance(text, str) and reads_as_number(text):
                    self._report(name, text, key)
                    break

    def _report(self, name: str, text: str, key: str | None = None) -> None:
        if name in self._reported or len(self._reported) >= MAX_REPORTS:
            return
        self._reported.add(name)
        log.warning(
            "%r%s under %r is a text, so it is not drawn; %s",
            text[:MAX_SHOWN_CHARACTERS],
            "" if key is None else f" in {key[:MAX_SHOWN_CHARACTERS]!r}",
            name,
            _fix(text),
        )


def reads_as_number(text: str) -> bool:
    """Return whether a text is a decimal number, with a point or a comma."""
    return len(text) <= MAX_NUMBER_CHARACTERS and NUMBER.fullmatch(text) is not None


def _fix(text: str) -> str:
    if not reads_as_number(text):
        return "publish None for a gap, or texts under another name"
    if "," in text:
        # It may separate thousands: then a point in its place would make another number.
        return "publish a number, with a point in the place of a decimal comma"
    return f"publish a number, float({text!r})"
