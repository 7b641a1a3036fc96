"""Headers that every answer has, and errors as one line of text."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

from aiohttp import hdrs, web

from rtdemo.errors import printable
from rtdemo.web.host import host_name

MAX_LINE_BYTES = 600
"""Bytes of an error's text. With the headers, an answer stays under 1 KB."""
CONTENT_SECURITY_POLICY = "Content-Security-Policy"
"""Name of the header (W3C Content Security Policy Level 3)."""
HSTS_S = 365 * 24 * 3600
"""Seconds for which a browser that came by TLS uses nothing else for this host (RFC 6797)."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Answers other than the page are data: a browser that opens one runs nothing that is in it.
    CONTENT_SECURITY_POLICY: "default-src 'none'; frame-ancestors 'none'",
}
_TLS_HEADERS = {**_HEADERS, "Strict-Transport-Security": f"max-age={HSTS_S}"}
_LINES, _TLS_LINES = (
    "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    for fields in (_HEADERS, _TLS_HEADERS)
)


def headers(request: web.BaseRequest) -> dict[str, str]:
    """Return the headers that every answer to a request has."""
    return _TLS_HEADERS if request.secure and not _is_localhost(request) else _HEADERS


def header_lines(request: web.BaseRequest) -> str:
    """Return the same headers as the lines of an answer's head."""
    return _TLS_LINES if headers(request) is _TLS_HEADERS else _LINES


def add_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Add the headers of every answer, and remove the one that names the server's software.

    Arguments:
        request: what is answered.
        response: about to be sent. Headers that it has already are kept.
    """
    for name, value in headers(request).items():
        response.headers.setdefault(name, value)
    response.headers.pop(hdrs.SERVER, None)


def _is_localhost(request: web.BaseRequest) -> bool:
    """Return whether a request is for `localhost`: there HSTS would break all other programs' pages."""
    name = host_name(request)
    return name == "localhost" or name.endswith(".localhost")


def one_line(text: str) -> str:
    """Return a text as the one line of an error's answer: printable, of bounded length."""
    line = printable(" ".join(text[: 2 * MAX_LINE_BYTES].split()))
    return line.encode()[:MAX_LINE_BYTES].decode(errors="ignore") + "\n"


def error(status: int, text: str, more: dict[str, str]) -> web.Response:
    """Return an HTTP error with one line of text.

    Arguments:
        status: HTTP status, 400 to 599.
        text: what is wrong and what to do. It may contain what the client sent.
        more: additional headers. With `Connection: close` the answer is the last one.
    """
    response = web.Response(status=status, text=one_line(text), headers=more)
    if more.get(hdrs.CONNECTION) == "close":
        response.force_close()  # aiohttp does not read the header
    return response


METHOD_NOT_ALLOWED = 405
KNOWN_METHODS = "GET, HEAD, POST"
"""What a request may have as its method, before it is known what it is for (RFC 9110 section 10.2.1)."""


class LastAnswer(web.StreamResponse):
    """An error for a request that could not be read. It is the last answer on its connection.

    aiohttp sends its own answer to such a request past the application: as HTTP/1.0, and with a banner.

    Arguments:
        status: HTTP status, 400 to 499.
        text: what is wrong and what to do. It may contain what the client sent.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status=status)
        self.force_close()
        self._text = text

    async def prepare(self, request: web.BaseRequest) -> None:
        """Send the whole answer."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        body = one_line(self._text).encode()
        lines = {
            hdrs.CONTENT_TYPE: "text/plain; charset=utf-8",
            hdrs.CONTENT_LENGTH: str(len(body)),
            hdrs.CONNECTION: "close",
            hdrs.DATE: formatdate(usegmt=True),
            **headers(request),
        }
        if self.status == METHOD_NOT_ALLOWED:
            lines[hdrs.ALLOW] = KNOWN_METHODS
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        status = f"{self.status} {HTTPStatus(self.status).phrase}"
        transport.write(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send nothing more."""
