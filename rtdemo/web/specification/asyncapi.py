"""The AsyncAPI document: every message over both transports, as the server sends and receives it.

Source: AsyncAPI Specification 3.1.0, with the bindings of WebSocket (0.1.0) and HTTP (0.3.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rtdemo.hub.control import FAULT, FAULTS, KEY
from rtdemo.hub.selection import MAX_NAMES, MAX_SPEED, MIN_SPEED
from rtdemo.protocol.client import LABELS
from rtdemo.web.specification.openapi import INFO
from rtdemo.web.specification.operations import JSON, LINES
from rtdemo.web.specification.parameters import CLIENT, LAST_EVENT_ID, STREAM, Parameter
from rtdemo.web.specification.schemas import TEXT, Schema, message, record, ref

VERSION = "3.1.0"
"""Of the AsyncAPI Specification."""
_RESUME, _WELCOME = "resume", "welcome"
_OF_OTHERS: Schema = {"not": {"enum": [KEY, _RESUME]}}
"""Producers of messages that are not the server's own."""


class MessageKind(NamedTuple):
    """A kind of message.

    Arguments:
        what: what it says.
        payload: its schema.
        content_type: of the payload.
        event: name of its event over SSE; empty for the unnamed one, which `onmessage` gets.
    """

    what: str
    payload: Schema
    content_type: str = JSON
    event: str = ""


def _json(
    what: str, *, has: tuple[str, ...], lacks: tuple[str, ...] = (), event: str = "", **values: Schema
) -> MessageKind:
    """Return a kind of `Message`.

    Arguments:
        what: what it says.
        has, lacks: optional fields that it has, and that it does not have.
        event: as in `MessageKind`.
        values: further rules about fields.
    """
    rules: Schema = {"required": list(has)}
    if values:
        rules["properties"] = values
    if lacks:
        rules["not"] = {"anyOf": [{"required": [name]} for name in lacks]}
    return MessageKind(what, {"allOf": [ref("Message"), rules]}, event=event)


_CHANGE: Schema = {
    "type": "object",
    "properties": {
        "speed": {"type": "number", "minimum": MIN_SPEED, "maximum": MAX_SPEED},
        "producers": {"type": ["array", "null"], "items": TEXT, "maxItems": MAX_NAMES},
    },
    "minProperties": 1,
    "additionalProperties": False,
}
_INJECTION: Schema = {**record({FAULT: {"enum": list(FAULTS)}}), "additionalProperties": False}
_CONTROL: Schema = {
    **record({KEY: {"oneOf": [_CHANGE, _INJECTION]}}),
    "additionalProperties": False,
}
SENT: Mapping[str, MessageKind] = {
    "welcome": _json(
        "The first message. `client` is the id for texts by POST; without `id`, `resume` follows",
        has=("client", "seq"),
        lacks=("lost", "value"),
        producer={"const": _WELCOME},
        message={"enum": [f"{label} connection established" for label in LABELS.values()]},
    ),
    "private": _json(
        "A message for this connection alone: of a private producer, or a plugin's reply",
        has=("seq",),
        lacks=("id", "client", "lost", "truncated"),
        producer=_OF_OTHERS,
    ),
    "shared": _json(
        "A message of the log, for every client. A client that reconnects continues after its position",
        has=("seq", "id"),
        lacks=("client", "lost"),
        producer=_OF_OTHERS,
    ),
    "resume": _json(
        "Messages before this position are lost to the client",
        has=("id", "lost"),
        producer={"const": _RESUME},
        lost={"const": True},
    ),
    "position": _json(
        "The client's position: it picked none of the messages before it, or the log has none any more",
        has=("id",),
        lacks=("client", "lost", "value"),
        producer={"const": KEY},
    ),
    "answer": _json(
        "The answer to a control message, or an error. Its text is JSON",
        has=("seq",),
        lacks=("id", "client", "lost", "value"),
        producer={"const": KEY},
    ),
    "heartbeat": _json(
        "Nothing else was sent for the time that the client asked for by `?heartbeat=`",
        has=(),
        lacks=("seq", "id", "client", "value"),
        event="heartbeat",
        producer={"const": KEY},
    ),
}
"""What the server sends, by name."""
EXPIRED = MessageKind("The login token expired, and the stream ends", TEXT, LINES, "expired")
"""Over SSE only: a WebSocket ends with 1008."""
RECEIVED: Mapping[str, MessageKind] = {
    "text": MessageKind("A text for the plugins; over WebSocket also in a binary frame", TEXT, LINES),
    "control": MessageKind("A change of this connection, or a fault for it", _CONTROL),
}
"""What clients send, by name."""


def document() -> Schema:
    """Return the document."""
    over_sse = {**SENT, "expired": EXPIRED}
    return {
        "asyncapi": VERSION,
        "info": {
            **{name: INFO[name] for name in ("title", "version")},
            "description": INFO["summary"],
            "license": {"name": INFO["license"]["name"]},
        },
        "defaultContentType": JSON,
        "servers": {
            "websocket": _server("ws", "port 3001 serves the WebSocket too, at every path"),
            "web": _server("http", "the page, event streams and the API"),
        },
        "channels": {
            "webSocket": _channel("/ws", "websocket", [*SENT, *RECEIVED], ws=_ws_binding()),
            "eventStream": _channel("/api/sse", "web", over_sse),
            "texts": _channel("/api/messages", "web", RECEIVED),
        },
        "operations": {
            "sendOverWebSocket": _operation("send", "webSocket", SENT),
            "receiveOverWebSocket": _operation("receive", "webSocket", RECEIVED),
            "sendOverSse": _operation("send", "eventStream", over_sse, http=_http("GET", STREAM)),
            "receiveByPost": _operation("receive", "texts", RECEIVED, http=_http("POST", (CLIENT,))),
        },
        "components": {
            "messages": {name: _message(kind) for name, kind in {**over_sse, **RECEIVED}.items()},
            "schemas": {"Message": message()},
        },
    }


def _server(protocol: str, what: str) -> Schema:
    return {"host": "localhost:3000", "protocol": protocol, "description": what}


def _channel(address: str, server: str, names: Iterable[str], **bindings: Schema) -> Schema:
    return {
        "address": address,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        **({"bindings": bindings} if bindings else {}),
    }


def _operation(action: str, channel: str, names: Iterable[str], **bindings: Schema) -> Schema:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
        **({"bindings": bindings} if bindings else {}),
    }


def _message(kind: MessageKind) -> Schema:
    event = f" Over SSE its event is `{kind.event}`." if kind.event else ""
    return {"summary": f"{kind.what}.{event}", "contentType": kind.content_type, "payload": kind.payload}


def _ws_binding() -> Schema:
    return {
        "method": "GET",
        "query": _query(STREAM),
        "headers": _query((LAST_EVENT_ID,)),
        "bindingVersion": "0.1.0",
    }


def _http(method: str, parameters: tuple[Parameter, ...]) -> Schema:
    return {"method": method, "query": _query(parameters), "bindingVersion": "0.3.0"}


def _query(parameters: tuple[Parameter, ...]) -> Schema:
    properties = {each.name: {**each.schema, "description": each.what} for each in parameters}
    required = [each.name for each in parameters if each.is_required]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}
