"""Settings that a plugin declares: type, default and help, each written once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

import msgspec

from rtdemo.errors import ProducerError

T = TypeVar("T")
_UNSET: Any = object()
"""The `default` of an `Option` that has none."""


class Option(Generic[T]):
    """A setting of a plugin, declared in its module: `CITY = Option(str, "Berlin", "City to show.")`.

    Its value comes from the environment variable `RTDEMO_<PLUGIN>_<NAME>`, here `RTDEMO_WEATHER_CITY`.
    It is read when the plugin is loaded, before the first producer runs.

    Arguments:
        type: `str`, `int`, `float`, `bool`, `Secret`, or another type that msgspec converts from text.
        default: value if the variable is not set or empty; without a default, it must be set.
        help: one sentence on its purpose.

    Attributes:
        variable: name of the environment variable; empty until the plugin is loaded.
    """

    def __init__(self, type: type[T], default: T = _UNSET, help: str = "") -> None:  # noqa: A002 - the names that argparse and click use
        self.type = type
        self.default = default
        self.help = help
        self.variable = ""
        self._value: T = default

    @property
    def has_default(self) -> bool:
        """Whether it has a default."""
        return self.default is not _UNSET

    @property
    def value(self) -> T:
        """The value.

        Raises:
            ProducerError: if the variable is not set and there is no default.
        """
        if self._value is _UNSET:
            what = self.variable or "this Option"
            raise ProducerError(f"{what} has no value: its variable is not set, and it has no default")
        return self._value

    @property
    def shown(self) -> str:
        """The value as text for people; a secret is hidden."""
        return "(not set)" if self._value is _UNSET else str(self._value)

    def read(self, plugin: str, name: str, environ: Mapping[str, str]) -> None:
        """Read the value from the environment.

        Arguments:
            plugin: the plugin's name.
            name: the setting's name in the module.
            environ: the environment variables.

        Raises:
            ProducerError: if the value is missing or not allowed; its text never contains a secret.
        """
        self.variable = f"RTDEMO_{plugin}_{name}".upper().replace("-", "_")
        text = environ.get(self.variable)
        if not text:
            if self.default is _UNSET:
                purpose = f": {self.help.rstrip('.')}" if self.help else ""
                raise ProducerError(f"{self.variable} is not set and has no default{purpose}")
            self._value = self.default
            return
        if self.type is Secret:
            self._value = cast("T", Secret(text))
            return
        try:
            self._value = msgspec.convert(text, self.type, strict=False)
        except msgspec.ValidationError as error:
            kind = getattr(self.type, "__name__", str(self.type))
            raise ProducerError(f"{self.variable}: {text!r} is not allowed; give {kind}") from error


class Secret:
    """A text that logs, errors and pages do not show; only `reveal` returns it."""

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


def declared(module: object) -> dict[str, Option[Any]]:
    """Return the options that a plugin's module declares, by name."""
    return {name: value for name, value in vars(module).items() if isinstance(value, Option)}
