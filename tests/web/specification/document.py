"""Check values against the schemas of a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator


def problems(document: Mapping[str, Any], schema: Mapping[str, Any], value: object) -> list[str]:
    """Return why a value does not fit a schema of a document; empty if it does."""
    whole = {**schema, "components": document["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]
