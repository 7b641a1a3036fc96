"""A way to the server: an address and a version of HTTP, with the answers that came over it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rtdemo.errors import may_heal
from rtdemo.lab.token_stream.analysis import Figures, figures
from rtdemo.lab.token_stream.client import Version
from rtdemo.lab.token_stream.recording import Recording
from rtdemo.lab.token_stream.request import Request

Name = Literal["url", "direct"]


@dataclass(slots=True)
class Way:
    """A way to the server.

    Attributes:
        name: `url` through the proxies, `direct` without them.
        version: of HTTP.
        request: that is sent.
        recordings: answers, in the order in which they were asked for.
        uncompressed: answer to the same request without compression; None if it was not sent.
    """

    name: Name
    version: Version
    request: Request
    recordings: list[Recording] = field(default_factory=list)
    uncompressed: Recording | None = None

    @property
    def streams(self) -> list[Recording]:
        """Answers of success."""
        return [recording for recording in self.recordings if recording.is_ok]

    @property
    def figures(self) -> list[Figures]:
        """What the answers of success show."""
        return [figures(recording) for recording in self.streams]

    @property
    def is_final(self) -> bool:
        """Whether a further request would get the same refusal, or cost the same long wait."""
        return any(
            (recording.status >= 300 and not may_heal(recording.status)) or recording.ending == "silent"
            for recording in self.recordings
        )

    @property
    def coding(self) -> str:
        """Compression of the answers; empty for none."""
        return next((recording.coding for recording in self.streams if recording.coding), "")
