"""Every request that clients may send: what it takes, how it is answered, and how it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rtdemo.publisher.waiting import MAX_BATCH
from rtdemo.web.probes import PREFIX
from rtdemo.web.publish_lines import CONTENT_TYPES
from rtdemo.web.specification.parameters import (
    CLIENT,
    IDEMPOTENCY_KEY,
    LAST_EVENT_ID,
    NAME,
    STREAM,
    TICKET,
    VIEW,
    Parameter,
)
from rtdemo.web.specification.schemas import LINE, TEXT, Schema, ref
from rtdemo.web.sse import MEDIA_TYPE

JSON = "application/json"
LINES = "text/plain"
HTML = "text/html"
REFUSALS: Mapping[int, str] = {
    400: "the request is malformed; the line says what is wrong",
    401: "a login or a token is missing, not valid, or has expired",
    403: "a page of a foreign origin, or a right that the client does not have",
    404: "there is no such thing, or it is switched off",
    405: "not a WebSocket handshake",
    406: "the request's Accept or Accept-Encoding excludes every form of the answer",
    408: "the request did not arrive in time",
    409: "the name of a private producer",
    412: "If-Match names another version",
    413: "the body is too long",
    414: "the URL is too long",
    415: "the body is compressed",
    417: "the Expect is unknown",
    421: "the Host is not a name of this server",
    422: "the key was used with another body",
    426: "not a WebSocket handshake of version 13",
    429: "over a limit; see Retry-After",
    431: "the head is too long",
    500: "an error in the server or in a plugin",
    503: "unavailable for now; see Retry-After",
    504: "another worker did not answer; see Retry-After",
}
"""What each status of a refusal means. Its body is one line of text with the reason."""
ALWAYS = (400, 408, 414, 417, 421, 431, 500)
"""Statuses with which any request may be refused."""
WITH_RETRY_AFTER = (429, 503, 504)
LOGIN, PUBLISH, ADMIN = "login", "publish", "admin"
"""Names of the security schemes. Without the setting that requires it, a request needs none."""
SECURITY: Mapping[str, str] = {
    LOGIN: "a user's login token, where login is required",
    PUBLISH: "the token of `--publish-token`; where none is set, local users need none",
    ADMIN: "the token of `--admin-token`; where none is set, local users need none",
}


class Body(NamedTuple):
    """A body of a request or of an answer.

    Arguments:
        schema: of the body; of each item where the body is a sequence.
        is_sequence: whether the body is a sequence of items, such as lines or events.
    """

    schema: Schema
    is_sequence: bool = False


class Answer(NamedTuple):
    """How a request is answered.

    Arguments:
        what: what the answer is.
        bodies: by media type; empty for an answer without a body.
    """

    what: str
    bodies: Mapping[str, Body] = {}


class Operation(NamedTuple):
    """A request that clients may send.

    Arguments:
        method, path: of the request.
        name: unique among all operations.
        what: what it does.
        answers: by status.
        refusals: further statuses, beside those of every request.
        parameters: what the request may have.
        bodies: of the request, by media type; empty for none.
        security: the security scheme that it may need; empty for none.
        needs_body: whether a request without a body is refused, if there may be one.
    """

    method: str
    path: str
    name: str
    what: str
    answers: Mapping[int, Answer]
    refusals: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    bodies: Mapping[str, Body] = {}
    security: str = ""
    needs_body: bool = True


def _json(what: str, schema: Schema) -> Mapping[int, Answer]:
    return {200: Answer(what, {JSON: Body(schema)})}


def _many(name: str) -> Schema:
    return {"type": "array", "items": ref(name)}


def _document(kind: str, what: str) -> Operation:
    answers = {200: Answer("the document", {JSON: Body({"type": "object"})}), 304: _UNCHANGED}
    return Operation("get", f"/api/{kind}.json", f"get{kind.title()}", what, answers, _REPRESENTATION)


_UNCHANGED = Answer("it has not changed")
_REPRESENTATION = (406, 412)
"""Refusals of what has an entity tag and content codings."""
_PUBLICATIONS: Schema = {
    "anyOf": [
        ref("Publication"),
        {**_many("Publication"), "minItems": 1, "maxItems": MAX_BATCH},
    ]
}
_PUBLISH = Operation(
    "post",
    "/api/publish",
    "publish",
    "Publish a message to every client, a list as a whole, or lines as they arrive",
    _json(
        "the positions of the messages; after a body of lines, their number and the last position",
        {"anyOf": [ref("Positions"), ref("Published")]},
    ),
    (401, 403, 409, 413, 422, 429, 503),
    (IDEMPOTENCY_KEY,),
    {
        JSON: Body(_PUBLICATIONS),
        **dict.fromkeys(CONTENT_TYPES, Body(ref("Publication"), is_sequence=True)),
    },
    PUBLISH,
)
_STREAM = Operation(
    "get",
    "/api/sse",
    "openStream",
    "Open an event stream. Its messages are in the AsyncAPI document",
    {200: Answer("events until the stream ends", {MEDIA_TYPE: Body(TEXT, is_sequence=True)})},
    (401, 403, 404, 406, 429, 503),
    (*STREAM, LAST_EVENT_ID),
    security=LOGIN,
)
_PROBED = (404, 429)

OPERATIONS: tuple[Operation, ...] = (
    _STREAM,
    _STREAM._replace(
        method="head",
        name="checkStream",
        what="Check whether a stream would open",
        answers={200: Answer("the head of a stream")},
        # It needs the token: a ticket would be used up.
        parameters=tuple(each for each in _STREAM.parameters if each is not TICKET),
    ),
    Operation(
        "get",
        "/ws",
        "openWebSocket",
        "Open a WebSocket. Its messages are in the AsyncAPI document",
        {101: Answer("the WebSocket is open")},
        (401, 403, 404, 426, 429, 503),
        (*STREAM, LAST_EVENT_ID),
        security=LOGIN,
    ),
    Operation(
        "post",
        "/api/messages",
        "sendText",
        "Send a text as an SSE client. Replies arrive on its stream",
        {202: Answer("the text is handled")},
        (401, 403, 404, 413, 415, 429, 503, 504),
        (CLIENT,),
        {LINES: Body(TEXT)},
        LOGIN,
        needs_body=False,
    ),
    _PUBLISH,
    _PUBLISH._replace(method="put", name="publishByPut", what="The same, by the method of `curl -T`"),
    Operation(
        "post",
        "/api/ticket",
        "getTicket",
        "Get a login ticket for one URL of a stream, or of the list of producers, valid for 30 s",
        _json("the ticket", ref("Ticket")),
        (401, 403, 404, 429, 503),
        security=LOGIN,
    ),
    Operation("get", "/api/time", "getTime", "Read the server's clock", _json("the time", ref("Time"))),
    Operation(
        "get",
        "/api/stats",
        "getStats",
        "Read what is open, and what was counted since the start",
        _json("counts and state", ref("Stats")),
        (401, 403, 429),
        security=LOGIN,
    ),
    Operation(
        "get",
        "/api/producers",
        "getProducers",
        "List the producers that the reader may receive",
        _json("the producers", _many("Producer")),
        (401, 403, 429, 503),
        (TICKET,),
        security=LOGIN,
    ),
    Operation(
        "post",
        "/api/producers/{name}/enable",
        "enableProducer",
        "Let a producer run again at once",
        _json("the producer, once for each set of users that receives it", _many("Producer")),
        (401, 403, 404, 429),
        (NAME,),
        security=ADMIN,
    ),
    Operation(
        "get",
        "/api/plugins",
        "getPlugins",
        "List the plugins",
        _json("the plugins", _many("Plugin")),
        (401, 403, 429),
        security=ADMIN,
    ),
    Operation(
        "get",
        f"{PREFIX}request",
        "probeRequest",
        "See this request as it arrived",
        _json("the request", ref("RequestInfo")),
        _PROBED,
    ),
    Operation(
        "get",
        f"{PREFIX}connection",
        "probeConnection",
        "See what an open connection passes through",
        _json("the connection", ref("ConnectionInfo")),
        _PROBED,
        (CLIENT,),
    ),
    Operation(
        "get",
        "/healthz",
        "isAlive",
        "Check that the process runs",
        {200: Answer("it does", {LINES: Body(LINE)})},
    ),
    Operation(
        "get",
        "/readyz",
        "isReady",
        "Check that new connections are accepted",
        {
            200: Answer("they are, if perhaps without shared messages", {LINES: Body(LINE)}),
            503: Answer("the server drains", {LINES: Body(LINE)}),
        },
    ),
    Operation(
        "get",
        "/metrics",
        "getMetrics",
        "Read metrics for Prometheus",
        {200: Answer("the metrics", {LINES: Body(TEXT)})},
        (401, 403, 429),
        security=ADMIN,
    ),
    _document("openapi", "Read this document"),
    _document("asyncapi", "Read the document about messages"),
    Operation(
        "get",
        "/",
        "getPage",
        "Load the page that compares",
        {200: Answer("the page", {HTML: Body(TEXT)}), 304: _UNCHANGED},
        (*_REPRESENTATION, 429),
    ),
    Operation(
        "get",
        "/view",
        "getView",
        "Load the page about the data, with the newest values",
        {200: Answer("the page", {HTML: Body(TEXT)})},
        (429,),
        VIEW,
    ),
)
"""All but the page's files, whose addresses are the page's business."""
