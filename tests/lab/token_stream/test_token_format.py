"""Tokens, ends and errors are found in the streams of each API."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdemo.lab.token_stream.token_format import Item, new_reader, read
from rtdemo.protocol.event_stream import Event

TOKENS = {
    "OpenAI chat": {"choices": [{"delta": {"content": "a"}, "finish_reason": None}]},
    "OpenAI chat, reasoning": {"choices": [{"delta": {"reasoning_content": "a"}}]},
    "OpenAI chat, tool": {"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]},
    "OpenAI completions": {"choices": [{"text": "a"}]},
    "OpenAI responses": {"type": "response.output_text.delta", "delta": "a"},
    "Anthropic": {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}},
    "Anthropic, thinking": {"type": "content_block_delta", "delta": {"thinking": "a"}},
    "Gemini": {"candidates": [{"content": {"parts": [{"text": "a"}]}}]},
    "Ollama chat": {"message": {"role": "assistant", "content": "a"}, "done": False},
    "Ollama generate": {"response": "a", "done": False},
    "llama.cpp": {"content": "a", "stop": False},
    "TGI": {"token": {"text": "a"}},
}
OTHERS = {
    "role alone": {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
    "usage": {"choices": [], "usage": {"total_tokens": 5}},
    "ping": {"type": "ping"},
    "start": {"type": "message_start", "message": {"content": []}},
}
ENDS = {
    "OpenAI": (b"[DONE]", "message", "[DONE]"),
    "Anthropic": (b'{"type": "message_stop"}', "message_stop", "message_stop"),
    "OpenAI responses": (b'{"type": "response.completed"}', "message", "response.completed"),
    "Ollama": (b'{"response": "", "done": true}', "message", '"done": true'),
    "finish": (b'{"choices": [{"delta": {}, "finish_reason": "stop"}]}', "message", "finish_reason"),
}


@pytest.mark.parametrize("api", TOKENS)
def test_event_with_text_is_a_token(api: str) -> None:
    assert read(Event(json.dumps(TOKENS[api]).encode())) == Item(is_text=True)


@pytest.mark.parametrize("kind", OTHERS)
def test_event_without_text_is_no_token(kind: str) -> None:
    """It would count as the first token, which it is not."""
    assert read(Event(json.dumps(OTHERS[kind]).encode())) == Item()


@pytest.mark.parametrize("api", ENDS)
def test_end_is_found(api: str) -> None:
    data, kind, end = ENDS[api]
    assert read(Event(data, type=kind)).end == end


@pytest.mark.parametrize(
    ("data", "kind", "error"),
    [
        (b'{"error": {"message": "out of\\u001b[2J memory"}}', "message", "out of\\x1b[2J memory"),
        (b'{"type": "error", "error": {"message": "overloaded"}}', "error", "overloaded"),
        (b"not JSON", "error", "not JSON"),
    ],
)
def test_error_in_the_stream_is_found(data: bytes, kind: str, error: str) -> None:
    """Its text cannot move the cursor."""
    assert read(Event(data, type=kind)).error == error


@pytest.mark.parametrize(
    ("content_type", "first", "name"),
    [
        ("text/event-stream; charset=utf-8", b"x", "event stream"),
        ("text/plain", b": wait\n\ndata: 1\n\n", "event stream"),
        ("application/x-ndjson", b'{"response": "a"}\n', "JSON lines"),
        ("text/plain", b"Once upon", "text"),
    ],
)
def test_format_is_recognised(content_type: str, first: bytes, name: str) -> None:
    """By its type; where that is wrong, by the first bytes."""
    assert new_reader(content_type, first).name == name


@pytest.mark.uncovered
@given(st.binary(max_size=60) | st.recursive(st.text(), lambda x: st.lists(x)).map(json.dumps))
def test_any_data_is_read(data: bytes | str) -> None:
    read(Event(data.encode() if isinstance(data, str) else data))
    read(Event(b"[" * 100_000))
