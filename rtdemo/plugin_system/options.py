"""Let a plugin declare settings of its own, each once: type, default and help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

import msgspec

from rtdemo.errors import ProducerError

T = TypeVar("T")
_UNSET: Any = object()


class Secret:
    """Hold a text that no log, error or page shows; `reveal` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "Secret(***)"


class Option(Generic[T]):
    """Declare one setting of a plugin, in its module: `CITY = Option(str, "Berlin", "Where.")`.

    It is read from `RTDEMO_<PLUGIN>_<NAME>`, here `RTDEMO_WEATHER_CITY`, before the first producer
    runs; `value` has it from then on.

    Arguments:
        type: `str`, `int`, `float`, `bool`, `Secret`, or any other that msgspec converts from text.
        default: its value where none is given; without a default one must be given.
        help: one sentence on what it is for.
    """

    def __init__(self, type: type[T], default: T = _UNSET, help: str = "") -> None:  # noqa: A002 - argparse and click call them so
        self.type = type
        self.default = default
        self.help = help
        self.variable = ""
        self._value: T = default

    @property
    def value(self) -> T:
        """The setting; where neither a value nor a default was given, asking is an error."""
        if self._value is _UNSET:
            raise ProducerError(f"set {self.variable or 'the environment variable of this Option'}")
        return self._value

    @property
    def shown(self) -> str:
        """The value as people may see it."""
        return "(not set)" if self._value is _UNSET else str(self._value)

    def read(self, plugin: str, name: str, environ: Mapping[str, str]) -> None:
        """Take the value from the environment.

        Raises:
            ProducerError: one line with the variable and what is allowed; never a secret's text.
        """
        parts = (plugin, name)
        self.variable = "_".join(("RTDEMO", *parts)).upper().replace("-", "_")
        text = environ.get(self.variable)
        if not text:
            if self.default is _UNSET:
                raise ProducerError(f"{self.variable} is not set; it has no default. {self.help}")
            return
        if self.type is Secret:
            self._value = cast("T", Secret(text))
            return
        try:
            self._value = msgspec.convert(text, self.type, strict=False)
        except msgspec.ValidationError as error:
            kind = getattr(self.type, "__name__", str(self.type))
            raise ProducerError(f"{self.variable}={text!r} is not allowed; give {kind}") from error


def declared(module: object) -> dict[str, Option[Any]]:
    """Return the options of a plugin's module by name."""
    return {name: value for name, value in vars(module).items() if isinstance(value, Option)}
