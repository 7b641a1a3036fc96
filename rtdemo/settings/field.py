"""Describe one setting to the command line, to the environment and to the documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from rtdemo.errors import SettingError


def about(help_text: str, env: str | None = None, urls: str | None = None) -> Meta:
    """Return what stands beside a type: its help, and its variable where that is not RTDEMO_NAME.

    Arguments:
        urls: of one that holds a URL, what is allowed; the URL's password is not shown then.
    """
    return Meta(description=help_text, extra={"env": env, "urls": urls})


@dataclass(frozen=True, slots=True)
class Setting:
    """Describe one field of `Settings` to the command line and the documentation."""

    name: str
    type: Any
    default: Any
    help: str
    variable: str
    urls: str | None = None

    @property
    def flag(self) -> str:
        """The command line's flag, such as `--websocket-port`."""
        return "--" + self.name.replace("_", "-")

    @property
    def kind(self) -> type:
        """The Python type of the value: `int`, `float`, `bool`, `str` or `tuple`."""
        bare = _bare(self.type)
        return type(get_args(bare)[0]) if get_origin(bare) is Literal else get_origin(bare) or bare

    @property
    def allowed(self) -> str:
        """What may be given, as the end of a sentence."""
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
        """Return the value that `text` stands for, or raise `SettingError`."""
        value: object = text
        if self.kind is tuple and isinstance(text, str):
            value = [part.strip() for part in text.split(",") if part.strip()]
        elif isinstance(text, str) and get_origin(_bare(self.type)) is Literal:
            value = text.lower()
        try:
            return msgspec.convert(value, self.type, strict=False)
        except msgspec.ValidationError as error:
            raise self.error(text, source) from error

    def error(self, value: object, source: str, allowed: str | None = None) -> SettingError:
        """Return the error that names this setting, the value, and what is allowed."""
        shown = _without_password(str(value)) if self.urls is not None else value
        return SettingError(self.flag, self.variable, shown, allowed or self.allowed, source)


def _without_password(url: str) -> str:
    # By no parser: this one may be no URL at all, and its query may hold the password, too.
    return re.sub(r"^(\w+:/*)?.*@", r"\1***@", url).partition("?")[0]


def _bare(annotated: Any) -> Any:
    return get_args(annotated)[0] if get_origin(annotated) is Annotated else annotated


def _bound(annotated: Any, name: str) -> Any:
    bounds = (getattr(meta, name) for meta in get_args(annotated)[1:] if isinstance(meta, Meta))
    return next((bound for bound in bounds if bound is not None), None)


def describe(field: msgspec.structs.FieldInfo, annotated: Any) -> Setting:
    """Return the setting that a field of a Struct declares.

    Arguments:
        field: its name and default.
        annotated: its type with what `about` gave.
    """
    metas = [meta for meta in get_args(annotated)[1:] if isinstance(meta, Meta)]
    said = next(meta for meta in metas if meta.description)
    extra = said.extra or {}
    variable = extra["env"] or f"RTDEMO_{field.name.upper()}"
    return Setting(field.name, annotated, field.default, said.description or "", variable, extra["urls"])
