"""JSON Schemas of messages, requests and answers, made of the structs that the code encodes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec

from rtdemo.engine.interface import MAX_NAME_LENGTH
from rtdemo.hub import statistics
from rtdemo.plugin_system.supervisor import STATES
from rtdemo.protocol.client import TRANSPORTS
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.protocol.message import OPENING_POSITION, POSITION, Message
from rtdemo.publisher.waiting import PublishCounts
from rtdemo.web.publication import Publication

Schema = dict[str, Any]
_ARGUMENT = re.compile(r"^ {4}(\w+(?:, \w+)*): (.+(?:\n {8}.+)*)", re.MULTILINE)
"""An argument of a docstring, after `inspect.getdoc`."""
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SECONDS: Schema = {"type": "number", "description": "in seconds"}
LINE: Schema = {"type": "string", "description": "one line"}
POSITION_TEXT: Schema = {"type": "string", "pattern": f"^{POSITION.pattern}$"}


def of(struct: type[msgspec.Struct]) -> Schema:
    """Return the schema of a struct, with the descriptions of its docstring.

    A field with its default is left out of the JSON where the struct says so. Then the schema has no
    default, and no null.
    """
    schema: Schema = msgspec.json.schema_components([struct])[1][struct.__name__]
    described = _arguments(struct)
    omits = struct.__struct_config__.omit_defaults
    for field in msgspec.structs.fields(struct):
        found = schema["properties"][field.encode_name]
        if omits:
            found.pop("default", None)
            (found,) = [s for s in found.get("anyOf", [found]) if s != {"type": "null"}]
        if field.name in described:
            found["description"] = described[field.name]
        schema["properties"][field.encode_name] = found
    del schema["title"]
    schema["description"] = (inspect.getdoc(struct) or "").partition("\n")[0]
    return schema


def _arguments(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """Return the description of each argument in a docstring."""
    found: dict[str, str] = {}
    for names, text in _ARGUMENT.findall(inspect.getdoc(struct) or ""):
        described = " ".join(text.split()).replace("None", "null").removesuffix(".")
        found |= dict.fromkeys(names.split(", "), described)
    return found


def record(properties: Mapping[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object.

    Arguments:
        properties: schema of each key.
        optional: keys that may be missing.
    """
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required}


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    return {**schema, "type": [schema["type"], "null"]}


def message() -> Schema:
    """Return the schema of every message to a client."""
    schema = of(Message)
    schema["properties"]["id"] |= {"pattern": f"^({POSITION.pattern}|{OPENING_POSITION.pattern})$"}
    schema["properties"]["seq"] |= {"minimum": 1}
    schema["required"] = ["message", "sentAt", "producer"]
    return schema


def publication() -> Schema:
    """Return the schema of a message that a client publishes."""
    schema = of(Publication)
    schema["properties"]["producer"] |= {
        "description": "the name to publish under: printable text without a comma",
        "pattern": "^[^,]*[^,\\s][^,]*$",
        "maxLength": MAX_NAME_LENGTH,
    }
    return {**schema, "anyOf": [{"required": ["message"]}, {"required": ["value"]}]}


def producer() -> Schema:
    """Return the schema of a producer in /api/producers."""
    schema = of(statistics.ProducerStatistics)
    # Who else receives it is not shown.
    del schema["properties"]["users"]
    schema["properties"]["state"] = {"enum": [*STATES, statistics.PUBLISHED]}
    schema["required"] = list(schema["properties"])
    return schema


_BY_TRANSPORT = record(dict.fromkeys(TRANSPORTS, COUNT))
_LOG = record(
    {
        "engine": TEXT,
        "state": TEXT,
        "leading": {"type": "boolean"},
        "position": POSITION_TEXT,
        "messages": COUNT,
        "bytes": COUNT,
    }
)
_SERVERS = record(
    {
        "count": COUNT,
        "connections": _BY_TRANSPORT,
        "byServer": {"type": "object", "additionalProperties": {"type": "object"}},
    }
)
_TICK_LAG = record(
    {
        **dict.fromkeys(("p50", "p95", "p99", "max"), nullable(NUMBER)),
        **dict.fromkeys(("count", "skipped"), COUNT),
    }
)


def stats() -> Schema:
    """Return the schema of /api/stats."""
    counters = msgspec.structs.fields(statistics.Traffic)
    return record(
        {
            "version": TEXT,
            "workers": COUNT,
            "uptime": NUMBER,
            "cpu": NUMBER,
            "connections": _BY_TRANSPORT,
            **{statistics.JSON_KEYS[counter.name]: _BY_TRANSPORT for counter in counters},
            "refused": {"type": "object", "additionalProperties": COUNT},
            "publishedHere": record({each.name: COUNT for each in fields(PublishCounts)}),
            "log": _LOG,
            "servers": _SERVERS,
            "tickLag": _TICK_LAG,
            "tasks": COUNT,
            "timers": COUNT,
        }
    )


def all_schemas() -> Mapping[str, Schema]:
    """Return every schema that the documents refer to, by its name."""
    return {
        "Message": message(),
        "Publication": publication(),
        "Positions": record({"positions": {"type": "array", "items": POSITION_TEXT, "minItems": 1}}),
        "Published": record({"published": COUNT, "last": nullable(POSITION_TEXT)}),
        "Ticket": record({"ticket": TEXT}),
        "Time": record({"now": {**NUMBER, "description": "milliseconds since the Unix epoch"}}),
        "Stats": stats(),
        "Producer": producer(),
        "Plugin": record(
            {"name": TEXT, "origin": TEXT, "error": nullable(TEXT), "loaded": {"type": "boolean"}}
        ),
        "ConnectionInfo": of(ConnectionInfo),
        "RequestInfo": record(
            {
                **dict.fromkeys(("method", "path", "http", "scheme", "remote"), TEXT),
                "headers": {"type": "object", "additionalProperties": TEXT},
                "forwarding": {"type": "array", "items": TEXT},
                "heartbeat": SECONDS,
                "sseHeartbeat": SECONDS,
                "process": COUNT,
                "now": NUMBER,
            }
        ),
    }
