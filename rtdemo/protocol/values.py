"""Values of messages: which ones JSON can hold, and their text for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from fractions import Fraction
from math import inf, isfinite
from numbers import Real
from typing import Any, cast

import msgspec

from rtdemo.protocol.message import MAX_MESSAGE_BYTES, Message, encode

MAX_INTEGER = 2**63 - 1
"""Largest integer that is sent as one; larger ones are sent as floating-point numbers."""
_KEPT = frozenset({str, bool, type(None)})
SHORT_TEXT_CHARACTERS = MAX_MESSAGE_BYTES // 16
"""Longest text that is made of a value; more is cut off, and ends in `CUT`.

A value whose text is no longer fits into a message: its JSON has at most 10 bytes a character.
"""
CUT = "…"
"""End of a text that is not whole."""
NO_VALUE = "no value"
"""Text of a message whose value is null, such as a NaN."""
SIGNIFICANT_DIGITS = 10
"""Digits of a number in a text: enough for people, and without the noise of binary fractions."""


class ValueTypeError(TypeError):
    """Report a value that JSON cannot hold, and the types that it can."""


def to_json(value: object) -> tuple[Any, int]:
    """Return a value as JSON holds it, and how many numbers of it became null.

    NaN and infinities become null (RFC 8259 section 6). Tuples become lists. Numbers and arrays of
    NumPy, PyTorch and pandas become those of Python, by their method `tolist`.

    Arguments:
        value: a number, bool, text, None, a date or time, or a mapping or list of these. Keys of
            mappings are texts or integers.

    Raises:
        ValueTypeError: a value or key of another type.
        RecursionError: it is nested too deeply, or contains itself.
    """
    if type(value) is dict and _is_plain(value):
        return value.copy(), 0
    converter = _Converter()
    return converter.convert(value), converter.nulls


def _is_plain(mapping: dict[Any, Any]) -> bool:
    """Return whether JSON holds a mapping as it is, without a look into mappings and lists in it.

    Most values are such a mapping, and this takes a quarter of the time of converting one.
    """
    for key, value in mapping.items():
        kind = type(value)
        if kind is float:
            if not isfinite(value):
                return False
        elif kind not in _KEPT and not (kind is int and -MAX_INTEGER <= value <= MAX_INTEGER):
            return False
        if type(key) is not str:
            return False
    return True


class _Converter:
    """Convert one value, and count the numbers that become null."""

    __slots__ = ("nulls",)

    def __init__(self) -> None:
        self.nulls = 0

    def convert(self, value: Any) -> Any:
        # Exact types first: to ask whether something is a Mapping takes longer than all the rest.
        kind = type(value)
        if kind is float:
            return value if isfinite(value) else self._float(value)
        if kind in _KEPT or (kind is int and -MAX_INTEGER <= value <= MAX_INTEGER):
            return value
        return self._mapping(value) if kind is dict else self._other(value)

    def _mapping(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        convert = self.convert
        return {key if type(key) is str else _key(key): convert(each) for key, each in value.items()}

    def _other(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, (list, tuple)):
            return [self.convert(each) for each in value]
        if isinstance(value, int):
            return int(value) if abs(value) <= MAX_INTEGER else self._float(_float_of(value))
        if isinstance(value, str):
            return str.__str__(value)
        if callable(plain := getattr(value, "tolist", None)):
            return self.convert(plain())
        if isinstance(value, (Real, Decimal, Fraction)):
            return self._float(_float_of(value))
        if isinstance(value, (date, time)):
            return value.isoformat()
        raise ValueTypeError(
            f"a value of type {type(value).__name__}; use numbers, bools, texts, None, dicts and lists"
        )

    def _float(self, value: float) -> float | None:
        if isfinite(value):
            return value
        self.nulls += 1
        return None


def message_of(value: object, unit: str = "") -> Message:
    """Return a message with a value, and with the value as its text, which ends in `CUT` if it is long.

    Arguments:
        value: as `to_json` returns it.
        unit: of a number, for the text; empty for none.
    """
    text = to_text(value, unit)
    if len(text) > SHORT_TEXT_CHARACTERS:
        text = text[:SHORT_TEXT_CHARACTERS] + CUT
    return Message(text, value=value)


def check_size(message: Message) -> None:
    """Check the size of a message.

    Raises:
        ValueError: if its JSON is over `MAX_MESSAGE_BYTES`.
        UnicodeEncodeError: if its text has a lone surrogate.
    """
    size = len(encode(message))
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(f"the message has {size} bytes; the maximum is {MAX_MESSAGE_BYTES}")


def _key(key: object) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(key)
    raise ValueTypeError(f"a key of type {type(key).__name__}; give texts or integers")


def _float_of(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def to_text(value: object, unit: str = "") -> str:
    """Return a value as text for people, and for clients that know only texts.

    Arguments:
        value: as `to_json` returns it.
        unit: of a number, such as `°C`; empty for none.
    """
    kind = type(value)
    if kind is float or kind is int:
        text = f"{value:.{SIGNIFICANT_DIGITS}g}" if kind is float else str(value)
        return f"{text} {unit}" if unit else text
    if kind is str:
        return cast("str", value)
    return NO_VALUE if value is None else msgspec.json.encode(value).decode()
