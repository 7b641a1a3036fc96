"""Errors that people see. Each is one line: what happened, where, and what to do.

* `RtdemoError`: ends a command with `exit_code`
    * `SettingError`: a flag, a variable or a `.env` line has a value that is not allowed
    * `DotenvError`: a `.env` file cannot be read
    * `ListenError`: the address of a site cannot be opened
    * `EngineError`: the engine cannot be reached or used
    * `PublishError`: a server did not accept a message
    * `AddressError`: the argument is not the address of a server
    * `ServerError`: a server cannot be reached, or does not answer as a client needs
        * `UnreachableError`: there is no connection to it
        * `NoStreamError`: it sends no stream
        * `RefusedError`: it refuses the client, with its reason
            * `LoginError`: it needs another login
        * `NotSentError`: a text was not sent, or not taken
    * `FileError`: a file of results cannot be read or written
    * `LimitError`: this machine does not allow enough open files
    * `JoinError`: the page's modules or stylesheets cannot be joined
    * `PluginError`: a plugin cannot be loaded; the others still are
    * `ProducerError`: a producer cannot run as it is declared, or with its settings
* `Refused`: an HTTP error response before a stream begins; it never ends a command
* `OverLimit`: a limit refuses a request, a connection or a text
* errors of `Engine.publish`:
    * `Unavailable`: the engine cannot be reached, or its queue is full
    * `NotLeading`: another server now runs the shared producers
    * `KeyReused`: the idempotency key was used before, with other messages
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path

_MAX_READ = 1000
"""Characters of a foreign error that are read."""
_MAX_LINE = 300
"""Characters of it in a line."""
_ADDRESSES = "http://host:port for rtdemo, ws://... for a WebSocket, http://host/path for a stream"
"""Addresses that clients of streams take."""


class RtdemoError(Exception):
    """Base of the errors that end a command.

    Attributes:
        exit_code: the exit code of the command: 2 for wrong usage, else 1.
    """

    exit_code = 1


class SettingError(RtdemoError):
    """A setting has a value that is not allowed.

    Attributes:
        flag: the setting's flag on the command line.
        variable: its environment variable.
        value: the value, without the password if it is a URL.
        allowed: the allowed values, as the end of a sentence.
        source: where the value came from, such as `--port` or `the environment`; empty if unknown.
    """

    exit_code = 2

    def __init__(self, flag: str, variable: str, value: object, allowed: str, source: str) -> None:
        self.flag, self.variable = flag, variable
        self.value, self.allowed, self.source = value, allowed, source

    def __str__(self) -> str:
        names = f"{self.flag} (environment: {self.variable})"
        source = f" from {self.source}" if self.source else ""
        return f"{names}: {self.value!r}{source} is not allowed; give {self.allowed}"


class DotenvError(RtdemoError):
    """A `.env` file cannot be read."""

    exit_code = 2

    def __init__(self, path: Path, cause: Exception) -> None:
        self.path, self.cause = path, cause

    def __str__(self) -> str:
        return f"{self.path} cannot be read: {self.cause}; write it as UTF-8 text, one NAME=value a line"


class ListenError(RtdemoError):
    """The address of a site cannot be opened.

    Attributes:
        host: the address; empty for every interface.
        port: the port.
        flag: the flag of the setting that changes the address.
        variable: the environment variable of this setting.
        cause: the error of the operating system.
    """

    def __init__(self, host: str, port: int, flag: str, variable: str, cause: OSError) -> None:
        self.host, self.port, self.flag, self.variable, self.cause = host, port, flag, variable, cause

    def __str__(self) -> str:
        where = f"port {self.port} on {self.host or 'every interface'}"
        why = (self.cause.strerror or str(self.cause)).lower()
        names = f"{self.flag} (environment: {self.variable})"
        fix = f"choose another with {names}"
        if self.cause.errno == errno.EADDRINUSE:
            # A second server on the default ports would have the same error for the other one.
            fix += f", or one port for both sites: --port {_other_port(self.port)} --single-site"
        return f"cannot listen on {where}: {why}; {fix}"


def _other_port(port: int) -> int:
    return 4000 if port != 4000 else 5000


class EngineError(RtdemoError):
    """The engine cannot be reached or used.

    Attributes:
        url: the engine's URL, without its password.
        problem: what happened.
        fix: what to do.
    """

    def __init__(self, url: str, problem: str, fix: str) -> None:
        self.url, self.problem, self.fix = url, problem, fix

    def __str__(self) -> str:
        return f"engine {self.url}: {self.problem}; {self.fix}"


class PublishError(RtdemoError):
    """A server did not accept a message.

    Attributes:
        url: the server's URL.
        problem: what happened.
        fix: what to do.
        status: of the HTTP answer; 0 without one.
    """

    def __init__(self, url: str, problem: str, fix: str, status: int = 0) -> None:
        self.url, self.problem, self.fix, self.status = url, problem, fix, status

    def __str__(self) -> str:
        return f"{self.url} {self.problem}" + (f"; {self.fix}" if self.fix else "")


class AddressError(RtdemoError):
    """The argument is not the address of a server.

    Attributes:
        given: the argument.
        problem: what is wrong with it.
        examples: addresses that are allowed, as the end of a sentence.
        variable: the environment variable that it came from; empty for none.
    """

    exit_code = 2

    def __init__(self, given: str, problem: str, examples: str = _ADDRESSES, variable: str = "") -> None:
        self.given, self.problem = given, problem
        self.examples, self.variable = examples, variable

    def __str__(self) -> str:
        source = f"{self.variable}: " if self.variable else ""
        return f"{source}{self.given[:200]!r} {self.problem}; give {self.examples}"


class ServerError(RtdemoError):
    """A server cannot be reached, or does not answer as needed.

    Attributes:
        url: the server's URL.
        problem: what happened.
        fix: what to do; empty where the server's own words say it.
        retryable: whether a retry may succeed.
        retry_after: seconds that the server asks the client to wait before a retry, if it does.
    """

    def __init__(
        self,
        url: str,
        problem: str,
        fix: str,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        self.url, self.problem, self.fix = url, problem, fix
        self.retryable, self.retry_after = retryable, retry_after

    def __str__(self) -> str:
        return f"{self.url} {self.problem}" + (f"; {self.fix}" if self.fix else "")


class UnreachableError(ServerError):
    """There is no connection to the server: check its address, its certificate, and whether it runs."""


class NoStreamError(ServerError):
    """What answers sends no stream: check the address, and the proxies before the server."""


class NotSentError(ServerError):
    """A text was not sent, or the server did not take it: send it again, where `retryable` says so."""


class RefusedError(ServerError):
    """The server refuses the client, with its reason in `problem`.

    Attributes:
        status: of the HTTP answer, or the close code of the WebSocket.
    """

    def __init__(
        self,
        url: str,
        problem: str,
        fix: str,
        retryable: bool = False,
        retry_after: float | None = None,
        status: int = 0,
    ) -> None:
        super().__init__(url, problem, fix, retryable, retry_after)
        self.status = status


class LoginError(RefusedError):
    """The server needs a login, or another one: the token is missing, not valid, or has expired."""


class FileError(RtdemoError):
    """A file of results cannot be read or written.

    Attributes:
        path: the file.
        problem: what happened.
    """

    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"{self.path} {self.problem}"


class LimitError(RtdemoError):
    """Too few open files are allowed on this machine.

    Attributes:
        wanted: the number of open files that are needed.
        allowed: the number that is allowed.
    """

    def __init__(self, wanted: int, allowed: int) -> None:
        self.wanted, self.allowed = wanted, allowed

    def __str__(self) -> str:
        what = f"{self.wanted} open files are needed and {self.allowed} are allowed"
        return f"{what}; use fewer connections, or raise `ulimit -Hn`"


class JoinError(RtdemoError):
    """The page's modules or stylesheets cannot be joined; the text has the file and what to write."""


class PluginError(RtdemoError):
    """A plugin cannot be loaded.

    Attributes:
        plugin: the plugin's name.
        origin: where it was found, such as a file's path.
        problem: what is wrong with it.
        untouched: whether the plugin loaded before under this name, if any, was never stopped.
    """

    def __init__(self, plugin: str, origin: str, problem: str) -> None:
        self.plugin, self.origin, self.problem = plugin, origin, problem
        self.untouched = False

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} ({self.origin}): {self.problem}"


class ProducerError(RtdemoError):
    """A producer cannot run as it is declared, or with its settings; the text says what to do.

    A producer that raises it fails as with any other error, but is logged without a traceback.
    """


class Refused(Exception):
    """A request is answered with an HTTP error and one line of text.

    Arguments:
        status: HTTP status, 400 to 599.
        sentence: what is wrong and what to do, without a line break.
        headers: additional response headers, such as `Retry-After`.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})


class OverLimit(Exception):
    """A limit refuses a request, a connection or a text.

    Arguments:
        limit: name of the setting that has the limit, as in `Settings`.
        sentence: what is over the limit, and what to do.
        retry_after: seconds after which the same is accepted, if nothing else comes meanwhile.
    """

    def __init__(self, limit: str, sentence: str, retry_after: float) -> None:
        super().__init__(sentence)
        self.limit, self.sentence, self.retry_after = limit, sentence, retry_after


class Unavailable(Exception):
    """The engine did not accept a message, or did not confirm that it did.

    Without a confirmation the message may be in the log. Retry with the same idempotency key.
    """


class NotLeading(Exception):
    """The message may come only from the leader, and another server now leads."""


class KeyReused(Exception):
    """The idempotency key was used before, with other messages."""


def one_line(error: BaseException) -> str:
    """Return an error's type and text in one line of at most 300 characters, `…` where it was longer."""
    # The error may come from a plugin: its text may have lone surrogates, or raise an error itself.
    try:
        text = str(error)
        is_whole = len(text) <= _MAX_READ
        text = text[:_MAX_READ].encode(errors="backslashreplace").decode()
    except Exception as second:
        text, is_whole = f"its text cannot be read: {type(second).__name__}", True
    sentence = " ".join(text.split())
    name = type(error).__name__
    whole = f"{name}: {sentence}" if sentence else name
    return whole if is_whole and len(whole) <= _MAX_LINE else f"{whole[: _MAX_LINE - 1]}…"


def network_reason(error: BaseException) -> str:
    """Return why a connection failed in a few words, such as `connection refused`.

    Arguments:
        error: of a socket, of `ssl`, or of aiohttp, which has that of the socket as `os_error`.
    """
    cause = getattr(error, "os_error", None) or error
    if verify_message := getattr(cause, "verify_message", ""):
        return str(verify_message)
    if isinstance(cause, TimeoutError) and not cause.errno:
        return "no answer in time"
    if isinstance(reason := getattr(cause, "reason", None), str):  # of `ssl`: WRONG_VERSION_NUMBER
        return reason.replace("_", " ").lower()
    if isinstance(cause, socket.gaierror):
        return str(cause.strerror).lower()
    if isinstance(cause, OSError):
        # asyncio puts the address into the text, and for several addresses the numbers too.
        found = re.search(r"\[Errno (\d+)\]", str(cause))
        number = cause.errno or (int(found[1]) if found else 0)
        if number:
            return os.strerror(number).lower()
    return one_line(error)


NOT_RUNNING = "is the server running? `rtdemo serve` starts one on this machine"
"""What to do where nothing listens, in all commands."""
_NO_PAGE_STATUSES = (404, 405, 501)
"""rtdemo answers these with a line of text; a proxy may have a page for others, such as 502."""
MAX_WORDS_CHARACTERS = 300
"""Of a server's answer, in an error."""


def answered(status: int, body: str) -> str:
    """Return what a server has answered, such as `answered 503: the log is unavailable`.

    Arguments:
        status: of the answer.
        body: its text, or the beginning of it.
    """
    if words := words_of(body):
        return f"answered {status}: {words}"
    if not body.strip():
        return f"answered {status}"
    is_other = status in _NO_PAGE_STATUSES
    hint = ": no rtdemo server answers at this path" if is_other else ""
    return f"answered {status} with a web page{hint}"


def may_heal(status: int) -> bool:
    """Return whether the same request may be answered otherwise later, with no change of anything.

    client.js has the same rule, and docs/protocol.md states it.

    Arguments:
        status: of an answer. No server learns a method (501, RFC 9110 section 15.6.2). Below 500, only
            408 (section 15.5.9), 425 (RFC 8470 section 5.2) and 429 (RFC 6585 section 4) pass.
    """
    return (status >= 500 and status != 501) or status in (408, 425, 429)


def words_of(body: str) -> str:
    """Return the text of an answer as one line; empty for HTML or XML, which no terminal should show."""
    if body.lstrip().startswith("<"):
        return ""
    return printable(" ".join(body.split())[:MAX_WORDS_CHARACTERS])


def printable(text: str) -> str:
    """Return text that is safe on a terminal: control characters are escaped as in Python."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
