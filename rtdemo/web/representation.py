"""What a URL has, in memory: as it is and compressed, each with its entity tag."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import cached_property

from aiohttp import ETag, hdrs, web

from rtdemo.errors import Refused
from rtdemo.web.accept import content_coding

MAX_TAGS_CHARACTERS = 1000
"""Characters of `If-Match` or `If-None-Match`: a browser sends one tag, and each costs time."""
DIGEST_DIGITS = 12
"""Hex digits of a digest: 48 bits tell all versions apart, and are short in a URL."""
_GZIP_LEVEL = 6
"""Level 9 takes twice as long, and the page's script is 0.5 % smaller."""


def digest_of(content: bytes) -> str:
    """Return hex digits that change with the content."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_DIGITS]


class Representation:
    """Hold a body, compress it when a client first asks for that, and answer requests for it.

    It has no modification time, so a request's dates count for nothing (RFC 9110 sections 13.1.3 and
    13.1.4). It is short, so it is sent whole, whatever `Range` says (section 14.2).

    Arguments:
        body: what is sent.
        content_type: of the body, with its charset.

    Attributes:
        body: as given.
        digest: changes with the body.
    """

    def __init__(self, body: bytes, content_type: str) -> None:
        self.body = body
        self._content_type = content_type
        self.digest = digest_of(body)

    @cached_property
    def _compressed(self) -> bytes:
        return gzip.compress(self.body, _GZIP_LEVEL, mtime=0)

    def answer(self, request: web.Request, headers: Mapping[str, str]) -> web.Response:
        """Return the answer to GET or HEAD.

        Arguments:
            request: its conditions and content codings count.
            headers: of the answer, in addition to those of the representation.

        Raises:
            Refused: 400 for too many entity tags; 406 where no content coding is acceptable; 412 where
                `If-Match` has another entity tag.

        Source: RFC 9110 section 13.2.2 for the order of the conditions.
        """
        coding = content_coding(request)
        if coding is None:
            sentence = "Accept-Encoding excludes gzip and identity, and there is nothing else"
            raise Refused(406, sentence, {hdrs.VARY: hdrs.ACCEPT_ENCODING})
        # The two differ in their bytes, so one strong tag cannot stand for both (section 8.8.3.3).
        tag = self.digest if coding == "identity" else f"{self.digest}-{coding}"
        all_headers = {**headers, hdrs.VARY: hdrs.ACCEPT_ENCODING, hdrs.ETAG: f'"{tag}"'}
        if not _may_answer(request, tag):
            raise Refused(412, "If-Match names another version than this; leave it out")
        if _has_already(request, tag):
            return web.Response(status=304, headers=all_headers)
        all_headers |= {hdrs.CONTENT_TYPE: self._content_type, hdrs.ACCEPT_RANGES: "none"}
        if coding == "identity":
            return web.Response(body=self.body, headers=all_headers)
        return web.Response(
            body=self._compressed, headers={**all_headers, hdrs.CONTENT_ENCODING: coding}
        )


def _may_answer(request: web.Request, tag: str) -> bool:
    """Return whether `If-Match` is absent, or has the tag by the strong comparison."""
    _check_length(request, hdrs.IF_MATCH)
    given = request.if_match
    return given is None or any(found == ETag(tag) or found.value == "*" for found in given)


def _has_already(request: web.Request, tag: str) -> bool:
    """Return whether `If-None-Match` has the tag, also weakened by a proxy (the weak comparison)."""
    _check_length(request, hdrs.IF_NONE_MATCH)
    return any(found.value in (tag, "*") for found in request.if_none_match or ())


def _check_length(request: web.Request, header: str) -> None:
    if len(request.headers.get(header, "")) > MAX_TAGS_CHARACTERS:
        raise Refused(400, f"{header} is over {MAX_TAGS_CHARACTERS} characters; send fewer tags")
