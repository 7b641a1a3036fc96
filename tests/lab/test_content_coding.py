"""A compressed answer is decoded as far as its bytes allow, and no further than a limit."""

from __future__ import annotations

import gzip
import zlib

import pytest

from rtdemo.lab.content_coding import MAX_DECODED_BYTES, CodingError, Decoder


def test_flushed_tokens_are_decoded_at_once() -> None:
    """A proxy that flushes gzip holds nothing back."""
    made = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    decoder = Decoder("gzip")
    for word in (b"one ", b"two ", b"three"):
        assert decoder.feed(made.compress(word) + made.flush(zlib.Z_SYNC_FLUSH)) == word


def test_unknown_coding_is_left_as_it_is() -> None:
    decoder = Decoder("br")
    assert (decoder.is_known, decoder.feed(b"\x8b\x01")) == (False, b"\x8b\x01")


def test_bytes_of_another_coding_are_refused() -> None:
    with pytest.raises(CodingError, match="has bytes that are not gzip"):
        Decoder("gzip").feed(b"data: plain\n\n")


def test_decompression_bomb_ends_at_a_limit() -> None:
    """A megabyte of gzip can have a gigabyte."""
    bomb = gzip.compress(bytes(MAX_DECODED_BYTES + 1))
    with pytest.raises(CodingError, match="after decompression"):
        Decoder("gzip").feed(bomb)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_gzip_of_several_members(size: int) -> None:
    """A server that compresses each event by itself sends one member after the other (RFC 1952)."""
    events = [b"data: %d\n\n" % number for number in range(20)]
    packed = b"".join(map(gzip.compress, events))
    decoder = Decoder("GZIP")
    pieces = (packed[at : at + size] for at in range(0, len(packed), size))
    assert b"".join(map(decoder.feed, pieces)) == b"".join(events)


def test_codings_that_are_known() -> None:
    """Browsers offer further ones over TLS."""
    codings = ("", "identity", "gzip", "deflate", "br", "zstd")
    assert [Decoder(coding).is_known for coding in codings] == [True] * 4 + [False] * 2


def test_zlib_is_no_gzip() -> None:
    """And a body of any length is decoded, but not a piece of any length."""
    with pytest.raises(CodingError, match="not gzip"):
        Decoder("gzip").feed(zlib.compress(b"data"))
    assert Decoder("deflate").feed(zlib.compress(b"data")) == b"data"
    long = Decoder("gzip", None)
    large = gzip.compress(bytes(MAX_DECODED_BYTES // 2 + 1))
    assert sum(len(long.feed(large)) for _ in range(2)) > MAX_DECODED_BYTES
    with pytest.raises(CodingError, match="over 64 MiB"):
        long.feed(gzip.compress(bytes(MAX_DECODED_BYTES + 1)))
