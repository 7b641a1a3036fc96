"""The OpenAPI document describes the server: its routes, bounds, answers and refusals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from rtdemo.server.server import Server
from rtdemo.web.specification.openapi import document
from rtdemo.web.specification.operations import ALWAYS, JSON, OPERATIONS, Answer, Operation
from rtdemo.web.specification.parameters import STREAM
from tests.clients import CONNECT
from tests.conftest import Connect, Start
from tests.docs.markdown import section
from tests.web.specification.document import problems

NOTHING = Answer("")
INTERNAL = {("GET", "/api/worker"), ("GET", "/api/messages")}
"""Between workers of one parent; other clients get 404 and 405."""
DOCUMENT = document()
READS = [
    each for each in OPERATIONS if each.method == "get" and JSON in each.answers.get(200, NOTHING).bodies
]


def in_query(value: object) -> str:
    """Return a value as the query has it."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def at_the_bounds(schema: Mapping[str, Any]) -> Iterator[tuple[object, bool]]:
    """Yield values at the bounds of a schema and beyond, each with whether it is allowed."""
    if "minimum" in schema:
        step = 1 if schema["type"] == "integer" else 0.01
        low, high = schema["minimum"], schema["maximum"]
        yield from ((low, True), (high, True), (low - step, False), (high + step, False), ("x", False))
    for value in schema.get("enum", ()):
        yield from ((value, True), (f"{value}x", False))
    if "pattern" in schema:
        yield "x", False
    if "maxItems" in schema:
        item = schema["items"].get("minimum", "message")
        yield from (([item] * schema["maxItems"], True), ([item] * (schema["maxItems"] + 1), False))
        for value, allowed in at_the_bounds(schema["items"]):
            yield [value], allowed


def schema_of(operation: Operation, status: int) -> dict[str, Any]:
    """Return the schema of an operation's answer in JSON."""
    answer = DOCUMENT["paths"][operation.path][operation.method]["responses"][str(status)]
    return dict(answer["content"][JSON]["schema"])


def test_statuses_of_a_posted_text_are_those_of_the_protocol() -> None:
    """A client for SSE finds all of them in one table; those of any request may be missing there."""
    rows = section("docs/protocol.md", "Texts from clients").splitlines()
    firsts = [row.split("|")[1] for row in rows if re.match(r"\| \d{3}", row)]
    shown = {int(status) for first in firsts for status in re.findall(r"\d{3}", first)}
    (described,) = (each for each in OPERATIONS if (each.method, each.path) == ("post", "/api/messages"))
    assert {400, 408} < shown
    assert shown - set(ALWAYS) == {*described.answers, *described.refusals}


async def test_every_route_is_described(start: Start) -> None:
    """And nothing else: a route that is added or removed changes the document."""
    runner = (await start())._runner
    assert runner is not None
    routes = {
        (route.method, route.resource.canonical)
        for route in runner.app.router.routes()
        if route.resource and not route.resource.canonical.startswith("/static/")
    }
    described = {(each.method.upper(), each.path) for each in OPERATIONS}
    # aiohttp answers HEAD wherever it answers GET.
    unnamed = {route for route in routes - described if route[0] == "HEAD"}
    assert described - routes == set()
    assert routes - described - unnamed == INTERNAL


async def test_values_at_the_bounds_are_accepted_and_those_beyond_refused(server: Server) -> None:
    """Of each parameter of a stream that has bounds; the line names the parameter."""
    tried = 0
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        for parameter in STREAM:
            for value, allowed in at_the_bounds(parameter.schema):
                given = {parameter.name: in_query(value)}
                if parameter.name == "silence":
                    given["probe"] = ""
                for method in ("GET", "HEAD"):
                    async with http.stream(method, "/api/sse", params=given) as answer:
                        assert answer.status_code == (200 if allowed else 400), given
                        if not allowed and method == "GET":
                            assert parameter.name in (await answer.aread()).decode()
                tried += 1
    assert tried > 20


async def test_example_of_each_parameter_is_accepted(server: Server, transport: str) -> None:
    """Over both transports, as a client would send it."""
    for parameter in STREAM:
        if parameter.name != "silence":
            query = f"{parameter.name}={in_query(parameter.example)}"
            async with CONNECT[transport](server, query) as peer:
                assert peer.welcome["producer"] == "welcome", query


@pytest.mark.parametrize("operation", READS, ids=lambda each: each.name)
async def test_answers_have_the_form_that_is_described(
    server: Server, connect: Connect, operation: Operation
) -> None:
    """Each answer in JSON, from a server with a client of both transports."""
    client = (await connect(server, "sse")).welcome["client"]
    await connect(server, "websocket")
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.get(operation.path, params={"client": client})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(JSON)
    assert problems(DOCUMENT, schema_of(operation, 200), answer.json()) == []
