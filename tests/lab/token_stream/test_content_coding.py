"""A compressed answer is decoded as far as its bytes allow, and no further than a limit."""

from __future__ import annotations

import gzip
import zlib

import pytest

from rtdemo.lab.token_stream.content_coding import MAX_DECODED_BYTES, Decoder


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
    with pytest.raises(ValueError, match="is not compressed"):
        Decoder("gzip").feed(b"data: plain\n\n")


def test_decompression_bomb_ends_at_a_limit() -> None:
    """A megabyte of gzip can have a gigabyte."""
    bomb = gzip.compress(bytes(MAX_DECODED_BYTES + 1))
    with pytest.raises(ValueError, match="after decompression"):
        Decoder("gzip").feed(bomb)
