"""Define every error that reaches a person, each as one line: what, where, what to do.

* `RtdemoError`: ends a command with `exit_code`
    * `SettingError`: a flag, variable or `.env` line with a value that is not allowed
    * `DotenvError`: a `.env` file cannot be read
    * `ListenError`: a site's address cannot be opened
    * `EngineError`: the log's engine cannot be reached or used
    * `PublishError`: a server did not take a message
    * `AddressError`: what was given is no address of a server
    * `ServerError`: a server is not there, or does not do as a client of the lab needs
    * `FileError`: a file of results cannot be read or written
    * `LimitError`: this machine does not allow so many open files
    * `PluginError`: a plugin cannot be loaded; the others go on
    * `ProducerError`: a producer is declared wrongly
* `Refused`: an HTTP answer given before a stream begins; never ends a command
* what an engine answers to a message instead of its position:
    * `Unavailable`: it is away
    * `NotLeading`: another server runs the shared producers by now
    * `KeyReused`: the idempotency key came with other messages before
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class RtdemoError(Exception):
    """Base of the errors that end a command."""

    exit_code = 1


class SettingError(RtdemoError):
    """Report a setting whose value is not allowed.

    Attributes:
        source: where the value came from, such as `--port` or `PORT in .env`.
    """

    exit_code = 2

    def __init__(self, flag: str, variable: str, value: object, allowed: str, source: str) -> None:
        self.flag, self.variable = flag, variable
        self.value, self.allowed, self.source = value, allowed, source

    def __str__(self) -> str:
        names = f"{self.flag} (environment: {self.variable})"
        return f"{names}: {self.value!r} from {self.source} is not allowed; give {self.allowed}"


class DotenvError(RtdemoError):
    """Report a `.env` file that cannot be read."""

    exit_code = 2

    def __init__(self, path: Path, cause: Exception) -> None:
        self.path, self.cause = path, cause

    def __str__(self) -> str:
        return f"{self.path} cannot be read: {self.cause}; it is UTF-8 text of NAME=value lines"


class ListenError(RtdemoError):
    """Report an address that cannot be listened on, and the setting that moves it."""

    def __init__(self, host: str, port: int, flag: str, variable: str, cause: OSError) -> None:
        self.host, self.port, self.flag, self.variable, self.cause = host, port, flag, variable, cause

    def __str__(self) -> str:
        where = f"port {self.port} on {self.host or 'every interface'}"
        why = (self.cause.strerror or str(self.cause)).lower()
        names = f"{self.flag} (environment: {self.variable})"
        return f"cannot listen on {where}: {why}; choose another with {names}"


class EngineError(RtdemoError):
    """Report an engine that cannot be reached or used, and what to do; without its password."""

    def __init__(self, url: str, problem: str, mend: str) -> None:
        self.url, self.problem, self.mend = url, problem, mend

    def __str__(self) -> str:
        return f"engine {self.url}: {self.problem}; {self.mend}"


class PublishError(RtdemoError):
    """Report a message that a server did not take."""

    def __init__(self, url: str, problem: str, mend: str) -> None:
        self.url, self.problem, self.mend = url, problem, mend

    def __str__(self) -> str:
        return f"{self.url} {self.problem}; {self.mend}"


class AddressError(RtdemoError):
    """Report an address that cannot be used, and what can."""

    exit_code = 2

    def __init__(self, given: str, problem: str) -> None:
        self.given, self.problem = given, problem

    def __str__(self) -> str:
        wanted = "http://host:port for rtdemo, ws://... for a WebSocket, http://host/path for a stream"
        return f"{self.given[:200]!r} {self.problem}; give {wanted}"


class ServerError(RtdemoError):
    """Report a server that is not there or answers otherwise than was needed.

    Attributes:
        again: whether a later try may go better.
        wait: seconds that the server asks a client to wait; None where it does not say.
    """

    def __init__(
        self, url: str, problem: str, mend: str, again: bool = False, wait: float | None = None
    ) -> None:
        self.url, self.problem, self.mend, self.again, self.wait = url, problem, mend, again, wait

    def __str__(self) -> str:
        return f"{self.url} {self.problem}; {self.mend}"


class FileError(RtdemoError):
    """Report a file of results that cannot be read or written, and why."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"{self.path} {self.problem}"


class LimitError(RtdemoError):
    """Report that more open files are needed than may be had."""

    def __init__(self, wanted: int, allowed: int) -> None:
        self.wanted, self.allowed = wanted, allowed

    def __str__(self) -> str:
        what = f"{self.wanted} open files are needed and {self.allowed} are allowed"
        return f"{what}; give fewer connections, or raise `ulimit -Hn`"


class PluginError(RtdemoError):
    """Report a plugin that cannot be loaded, where it lies and what is wrong with it.

    Attributes:
        untouched: whether it failed before anything of an earlier one of its name was taken down.
    """

    def __init__(self, plugin: str, origin: str, problem: str) -> None:
        self.plugin, self.origin, self.problem = plugin, origin, problem
        self.untouched = False

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} ({self.origin}): {self.problem}"


class ProducerError(RtdemoError):
    """Report a producer that is declared wrongly."""


class Refused(Exception):
    """Answer a request with a status and one line of text.

    Arguments:
        status: HTTP status, 400 to 599.
        sentence: what is wrong and what to do, without the line's end.
        headers: further response headers, such as `Retry-After`.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})


class Unavailable(Exception):
    """Say that a message was not accepted, or may not have been, because the engine is away."""


class NotLeading(Exception):
    """Refuse what only the leader may publish: another server leads by now."""


class KeyReused(Exception):
    """Refuse an idempotency key that came before with other messages."""


def one_line(error: BaseException) -> str:
    """Return an error's type and sentence without line breaks, 300 characters at the most."""
    # What a plugin raises may hold anything, lone surrogates included, or raise itself.
    try:
        text = str(error)[:1000].encode(errors="backslashreplace").decode()
    except Exception as second:
        text = f"its text cannot be had: {type(second).__name__}"
    sentence = " ".join(text.split())
    name = type(error).__name__
    return (f"{name}: {sentence}" if sentence else name)[:300]


def printable(text: str) -> str:
    """Escape what would move a terminal's cursor or worse: text may come from anybody."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
