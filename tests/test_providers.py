"""What the OpenAI-compatible provider sends and how it reads answers, on asyncio, on trio and blocking."""

import gc
import gzip
import json
import time

import anyio
import pytest

from provider_faces import KEY, QUESTION, completion, provider_for
from raw_server import RawServer, http
from resopt import errors
from resopt.providers.openai import OpenAIProvider
from resopt.providers.simulated import SimulatedModel, SimulatedServer
from resopt.types import Request, ToolCall, Usage


def test_an_answer_becomes_a_response(server, ask):
    before = time.time()
    response = ask(provider_for(server))
    body = response.json()
    assert response.text == body["choices"][0]["message"]["content"] != ""
    assert response.model == "gpt-4o"
    assert response.finish_reason == "stop"
    assert response.tool_calls == ()
    expected = body["usage"]
    assert response.usage == Usage(input_tokens=expected["prompt_tokens"], output_tokens=expected["completion_tokens"])
    assert before <= response.created_at <= time.time()
    assert 0 < response.latency < 5


def test_the_body_is_sent_as_it_is(server, ask):
    body = {"temperature": 0.5, "messages": [{"role": "user", "content": "Grüße 🙂"}], "model": "gpt-4o", "x": None}
    ask(provider_for(server, headers={"X-Team": "blue"}, query={"api-version": "2026-01-01"}), Request(body=body))
    last = server.last_request()
    assert last.body == json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    assert list(json.loads(last.body)) == list(body)
    assert last.path == "/v1/chat/completions?api-version=2026-01-01"
    assert last.headers["x-team"] == "blue"
    assert last.headers["authorization"] == f"Bearer {KEY}"
    assert last.headers["content-type"] == "application/json"


def test_connections_are_reused(ask):
    with RawServer(http(completion({"content": "a"}), connection="keep-alive")) as server:
        ask(OpenAIProvider(server.base_url, ""), QUESTION, QUESTION, QUESTION)
    assert len(server.requests) == 3
    assert len({id(connection) for connection, _ in server.requests}) == 1


TOOL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"a":1}'}}


@pytest.mark.parametrize(
    ("message", "text", "calls"),
    [
        ({"role": "assistant", "content": "hello", "extra": {"a": 1}}, "hello", ()),
        ({"content": None, "tool_calls": [TOOL]}, "", (("call_1", "look_up", '{"a":1}'),)),
        ({"tool_calls": [{"id": "c", "custom": {"name": "sql", "input": "select"}}]}, "", (("c", "sql", "select"),)),
        ({"content": None, "function_call": {"name": "old", "arguments": "{}"}}, "", (("", "old", "{}"),)),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"text": "b"}]}, "ab", ()),
        ({"content": ""}, "", ()),
        ({}, "", ()),
    ],
)
def test_messages_of_every_shape(ask, message, text, calls):
    with RawServer(http(completion(message))) as server:
        response = ask(OpenAIProvider(server.base_url, ""))
    assert response.text == text
    assert response.tool_calls == tuple(ToolCall(id=a, name=b, arguments=c) for a, b, c in calls)


def test_a_refusal_is_told_from_an_answer(ask):
    with RawServer(http(completion({"content": None, "refusal": "I cannot."}))) as server:
        response = ask(OpenAIProvider(server.base_url, ""))
    assert (response.text, response.finish_reason) == ("I cannot.", "refusal")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 40},
            },
            Usage(
                input_tokens=100,
                cached_input_tokens=60,
                cache_write_tokens=30,
                output_tokens=50,
                reasoning_tokens=40,
            ),
        ),
        ({"prompt_tokens": 7, "prompt_tokens_details": None}, Usage(input_tokens=7)),
        ({"prompt_tokens": 7, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": None}}, None),
        (None, None),
        ({}, None),
        ({"prompt_tokens": "many"}, None),
        ({"prompt_tokens": 5, "completion_tokens": -1}, None),
        ({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}}, None),
    ],
)
def test_usage_is_exact_or_unknown(ask, usage, expected):
    if usage and usage.get("prompt_tokens_details") == {"cached_tokens": None}:
        expected = Usage(input_tokens=7, output_tokens=1)
    with RawServer(http(completion({"content": "a"}, usage=usage))) as server:
        response = ask(OpenAIProvider(server.base_url, ""))
    assert response.text == "a"
    assert response.usage == expected


def test_a_reply_without_usage_has_an_unknown_usage(ask):
    with RawServer(http(completion({"content": "a"}))) as server:
        assert ask(OpenAIProvider(server.base_url, "")).usage is None


def test_truncated_and_filtered_answers_say_so(server, ask):
    assert ask(provider_for(server, headers={"x-simulate": "truncate"})).finish_reason == "length"
    assert ask(provider_for(server, headers={"x-simulate": "filter"})).finish_reason == "content_filter"


def test_a_slow_provider_is_waited_for(ask):
    model = SimulatedModel(name="gpt-4o", input_price=1, output_price=1, p50=0.3, p95=0.3)
    with SimulatedServer([model]) as server:
        assert ask(OpenAIProvider(server.base_url, "")).latency >= 0.3


def test_a_compressed_reply_is_read(ask):
    body = gzip.compress(completion({"content": "a"}).encode())
    with RawServer(http(body, content_encoding="gzip")) as server:
        response = ask(OpenAIProvider(server.base_url, ""))
    assert (response.text, response.json()["model"]) == ("a", "m")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request.chat("a", stream=True), "stream"),
        (Request(api="anthropic.messages", body={}), "anthropic.messages"),
        (Request.chat("a", temperature=float("nan")), "nan"),
        (Request.chat("a", stop=[None, float("inf")]), "nan or infinity"),
        (Request.chat("a", seed=object()), "object"),
        (Request.chat("\ud800"), "JSON"),
    ],
)
def test_a_request_that_cannot_be_sent_is_refused_before_it_leaves(server, ask, request_, words):
    with pytest.raises(errors.InvalidRequestError, match=words):
        ask(provider_for(server), request_)
    assert server.stats().requests == 0


def test_a_body_that_contains_itself_is_refused(server, ask):
    loop = []
    loop.append(loop)
    with pytest.raises(errors.InvalidRequestError):
        ask(provider_for(server), Request.chat("a", stop=loop))


class SetFields:
    """Stands for a message object of the OpenAI client."""

    def model_dump(self, *, mode, exclude_unset):
        assert (mode, exclude_unset) == ("json", True)
        return {"role": "assistant", "content": "earlier"}


def test_messages_may_be_objects_of_the_openai_client(server, ask):
    body = {"model": "gpt-4o", "messages": [SetFields(), {"role": "user", "content": "and now?"}]}
    ask(provider_for(server), Request(body=body))
    assert json.loads(server.last_request().body)["messages"][0] == {"role": "assistant", "content": "earlier"}


@pytest.mark.anyio
async def test_calls_run_side_by_side_within_the_connections_allowed():
    model = SimulatedModel(name="gpt-4o", input_price=1, output_price=1, p50=0.1, p95=0.1)
    async with SimulatedServer([model]) as server, OpenAIProvider(server.base_url, "", max_connections=4) as provider:
        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(provider.complete, Request.chat(f"question {number}"))
        stats = await anyio.to_thread.run_sync(server.stats)
    assert stats.requests == 12
    assert stats.in_flight_max == 4
    gc.collect()
