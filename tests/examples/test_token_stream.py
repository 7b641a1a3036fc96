"""The stub of a token server answers as its body asks, and refuses what it does not know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from examples.token_stream import FORMATS, new_app

FAST = {"tokens": 7, "every_ms": 0, "first_ms": 0, "batch": 3}


@pytest.fixture
async def client() -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(new_app())) as client:
        yield client


async def post(client: TestClient[Any, Any], **stub: Any) -> tuple[int, str]:
    async with client.post("/v1/x", json={"stream": True, "stub": FAST | stub}) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("name", FORMATS)
async def test_answer_has_all_tokens_and_the_end(client: TestClient[Any, Any], name: str) -> None:
    status, text = await post(client, format=name)
    assert status == 200
    assert [f"word{number} " in text for number in range(8)] == [True] * 7 + [False]
    assert text.endswith(FORMATS[name][1].decode())


async def test_tokens_have_the_size_that_is_asked_for(client: TestClient[Any, Any]) -> None:
    _, text = await post(client, token_bytes=250, has_end=False)
    assert [len(event) + 2 for event in text.split("\n\n")[:-1]] == [250] * 7


async def test_without_stream_the_answer_is_one_value(client: TestClient[Any, Any]) -> None:
    async with client.post("/", json={"stream": False, "stub": FAST}) as answer:
        assert "word6" in (await answer.json())["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("stub", "words"),
    [
        ({"status": 429}, "answers 429"),
        ({"error_after": 3}, "reports an error"),
        ({"speed": 2}, "stub takes batch, "),
        ({"tokens": "many"}, "tokens may not be 'many'"),
        ({"tokens": -1}, "tokens may not be -1"),
        ({"format": "xml"}, "format is one of chat, "),
        ({"batch": 0}, "batch is at least 1"),
    ],
)
async def test_errors(client: TestClient[Any, Any], stub: dict[str, Any], words: str) -> None:
    assert words in (await post(client, **stub))[1]


@pytest.mark.parametrize("body", ["{", "[]", '{"stub": 1}'])
async def test_body_that_is_wrong_is_refused(client: TestClient[Any, Any], body: str) -> None:
    async with client.post("/", data=body) as answer:
        assert answer.status == 400
