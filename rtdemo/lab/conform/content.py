"""The content of a response without its content coding, with the times at which it could be decoded."""

from __future__ import annotations

from rtdemo.lab.content_coding import Decoder
from rtdemo.lab.http_response import Piece, Response

MAX_DECODED_BYTES = 16 * 1024 * 1024
"""Bytes that are decoded of a response: a few compressed bytes may stand for very many."""
GZIP = (["gzip"], ["x-gzip"])


def decoded(response: Response) -> list[Piece] | None:
    """Return the content of a response; None if it has a coding that is not read here, or is broken.

    Arguments:
        response: plain, or in gzip (RFC 9110 section 8.4.1.3).
    """
    codings = [coding for coding in response.members("Content-Encoding") if coding != "identity"]
    if not codings:
        return response.body
    if codings not in GZIP:
        return None
    try:
        return gunzip(response)
    except ValueError:
        return None


def gunzip(response: Response) -> list[Piece]:
    """Return the content of a response in gzip.

    Raises:
        ValueError: if it is not in gzip, or over 16 MiB.
    """
    decoder = Decoder("gzip", MAX_DECODED_BYTES)
    pieces = (Piece(piece.at, decoder.feed(piece.data)) for piece in response.body)
    return [piece for piece in pieces if piece.data]
