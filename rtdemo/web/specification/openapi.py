"""The OpenAPI document: every HTTP request that clients may send.

Source: OpenAPI Specification 3.2.0.
"""

from __future__ import annotations

from collections.abc import Mapping

from rtdemo import __version__
from rtdemo.web.specification.operations import (
    ALWAYS,
    LINES,
    OPERATIONS,
    REFUSALS,
    SECURITY,
    WITH_RETRY_AFTER,
    Answer,
    Body,
    Operation,
)
from rtdemo.web.specification.parameters import Parameter
from rtdemo.web.specification.schemas import LINE, Schema, all_schemas

VERSION = "3.2.0"
"""Of the OpenAPI Specification."""
INFO: Schema = {
    "title": "rtdemo",
    "version": __version__,
    "summary": "Python on a live web page over WebSocket and Server-Sent Events",
    "license": {"name": "MIT", "identifier": "MIT"},
}


def document() -> Schema:
    """Return the document. Its one server is the folder above `/api/`, where this document is."""
    return {
        "openapi": VERSION,
        "info": INFO,
        "servers": [{"url": ".."}],
        "paths": _paths(),
        "components": {
            "schemas": all_schemas(),
            "responses": {f"Refused{status}": _refusal(status) for status in REFUSALS},
            "securitySchemes": {
                name: {"type": "http", "scheme": "bearer", "description": what}
                for name, what in SECURITY.items()
            },
        },
    }


def _paths() -> Schema:
    paths: Schema = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return paths


def _operation(operation: Operation) -> Schema:
    found: Schema = {"operationId": operation.name, "summary": operation.what}
    if operation.parameters:
        found["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.bodies:
        found["requestBody"] = {
            "required": operation.needs_body,
            "content": _content(operation.bodies),
        }
    refused = sorted({*ALWAYS, *operation.refusals} - set(operation.answers))
    found["responses"] = {
        **{str(status): _answer(answer) for status, answer in operation.answers.items()},
        **{str(status): {"$ref": f"#/components/responses/Refused{status}"} for status in refused},
    }
    if operation.security:
        found["security"] = [{}, {operation.security: []}]
    return found


def _parameter(parameter: Parameter) -> Schema:
    found: Schema = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.what,
        "required": parameter.is_required,
        "schema": parameter.schema,
    }
    if parameter.schema.get("type") == "array":
        found |= {"style": "form", "explode": False}
    if parameter.example is not None:
        found["example"] = parameter.example
    return found


def _answer(answer: Answer) -> Schema:
    content = {"content": _content(answer.bodies)} if answer.bodies else {}
    return {"description": answer.what, **content}


def _refusal(status: int) -> Schema:
    found: Schema = {"description": REFUSALS[status], "content": _content({LINES: Body(LINE)})}
    if status in WITH_RETRY_AFTER:
        wait: Schema = {"description": "seconds", "schema": {"type": "integer", "minimum": 0}}
        found["headers"] = {"Retry-After": wait}
    return found


def _content(bodies: Mapping[str, Body]) -> Schema:
    return {
        media_type: {"itemSchema" if body.is_sequence else "schema": body.schema}
        for media_type, body in bodies.items()
    }
