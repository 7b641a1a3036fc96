"""Describe one setting: its flag, environment variable, type, allowed values and help."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from rtdemo.errors import SettingError


def about(help_text: str, env: str | None = None, urls: str | None = None) -> Meta:
    """Return the annotation that turns a field of `Settings` into a setting.

    Arguments:
        help_text: one or two sentences for `--help` and docs/settings.md.
        env: the environment variable; by default RTDEMO_ and the field's name in capitals.
        urls: the allowed URLs, if the value is a URL. Errors then hide its password.
    """
    return Meta(description=help_text, extra={"env": env, "urls": urls})


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as the command line and the documentation present it.

    Arguments:
        name: the field's name in `Settings`.
        type: its type, with the bounds and the help as annotations.
        default: the value if no source gives one.
        help: one or two sentences.
        variable: the environment variable.
        urls: the allowed URLs, if the value is a URL; None if it is not.
    """

    name: str
    type: Any
    default: Any
    help: str
    variable: str
    urls: str | None

    @property
    def flag(self) -> str:
        """The flag on the command line, such as `--websocket-port`."""
        return "--" + self.name.replace("_", "-")

    @property
    def kind(self) -> type:
        """The Python type of the value: `int`, `float`, `bool`, `str` or `tuple`."""
        bare = _bare(self.type)
        return type(get_args(bare)[0]) if get_origin(bare) is Literal else get_origin(bare) or bare

    @property
    def allowed(self) -> str:
        """The allowed values, as the end of a sentence that begins with "give"."""
        bare = _bare(self.type)
        if self.urls is not None:
            return self.urls
        if get_origin(bare) is Literal:
            return "one of " + ", ".join(get_args(bare))
        low, high = _bound(self.type, "ge"), _bound(self.type, "le")
        words = {
            bool: "1 or 0",
            int: f"a whole number from {low} to {high}",
            float: f"a number from {low} to {high}",
            tuple: "names separated by commas",
        }
        return words.get(self.kind, "text")

    def convert(self, text: object, source: str) -> Any:
        """Return the value that a text means.

        Arguments:
            text: the value as given, or one that has the setting's type already.
            source: where it came from, for the error.

        Raises:
            SettingError: if the value is not allowed.
        """
        value: object = text
        if self.kind is tuple and isinstance(text, str):
            value = [part.strip() for part in text.split(",") if part.strip()]
        elif isinstance(text, str) and get_origin(_bare(self.type)) is Literal:
            value = text.lower()
        try:
            return msgspec.convert(value, self.type, strict=False)
        except msgspec.ValidationError as error:
            raise self.error(text, source) from error

    def error(self, value: object, source: str = "", allowed: str | None = None) -> SettingError:
        """Return the error for a bad value of this setting; the password of a URL is hidden.

        Arguments:
            value: the value as given.
            source: where it came from; empty if that is not known any more.
            allowed: the allowed values; by default those of the setting's type.
        """
        shown = _without_password(str(value)) if self.urls is not None else value
        return SettingError(self.flag, self.variable, shown, allowed or self.allowed, source)


def _without_password(url: str) -> str:
    # Without a URL parser: the text may be no URL at all. Its query may hold the password, too.
    return re.sub(r"^(\w+:/*)?.*@", r"\1***@", url).partition("?")[0]


def _bare(annotated: Any) -> Any:
    return get_args(annotated)[0] if get_origin(annotated) is Annotated else annotated


def _bound(annotated: Any, name: str) -> Any:
    bounds = (getattr(meta, name) for meta in get_args(annotated)[1:] if isinstance(meta, Meta))
    return next((bound for bound in bounds if bound is not None), None)


def describe(field: msgspec.structs.FieldInfo, annotated: Any) -> Setting:
    """Return the setting that a field of `Settings` declares.

    Arguments:
        field: the field's name and default.
        annotated: the field's type, annotated by `about`.
    """
    metas = [meta for meta in get_args(annotated)[1:] if isinstance(meta, Meta)]
    help_meta = next(meta for meta in metas if meta.description)
    extra = help_meta.extra or {}
    variable = extra["env"] or f"RTDEMO_{field.name.upper()}"
    return Setting(
        field.name, annotated, field.default, help_meta.description or "", variable, extra["urls"]
    )
