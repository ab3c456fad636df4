"""What is read of Anthropic's replies, what of them may be stored, and what they cost."""

import json

import pytest

from resopt.cache.admission import unfit
from resopt.metrics.ledger import Ledger
from resopt.metrics.prices import Price, PriceBook
from resopt.providers.anthropic_reply import AnthropicMessages
from resopt.providers.dialect import UnusableReplyError
from resopt.providers.openai_reply import to_response
from resopt.types import ToolCall, Usage

DIALECT = AnthropicMessages()
COUNTS = {"input_tokens": 10, "output_tokens": 30}


def message(*content, **fields):
    whole = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-5", "content": list(content),
        "stop_reason": "end_turn", "stop_sequence": None, "usage": COUNTS, **fields,
    }  # fmt: skip
    return json.dumps(whole).encode()


TEXT = {"type": "text", "text": "Hello"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result"}]}


def test_a_message_is_read():
    body = message(THOUGHT, TEXT, SEARCH, FOUND, {"type": "text", "text": " there."}, CALL, stop_reason="tool_use")
    response = DIALECT.read(body, 1.5)
    assert (response.text, response.model, response.finish_reason) == ("Hello there.", "claude-opus-4-5", "tool_use")
    assert response.tool_calls == (ToolCall(id="toolu_1", name="add", arguments='{"a": 1}'),)
    assert (response.body, response.latency, response.events) == (body, 1.5, None)
    assert response.usage == Usage(input_tokens=10, output_tokens=30)
    assert DIALECT.api == "anthropic.messages"
    assert DIALECT.whole(response) == body


def test_the_arguments_of_a_call_are_the_text_that_came():
    body = message(CALL).replace(b'{"a": 1}', '{"b": 1e2,  "a": 36893488147419103232, "ü": "\\u00fc"}'.encode())
    assert DIALECT.read(body, 0).tool_calls[0].arguments == ('{"b": 1e2,  "a": 36893488147419103232, "ü": "\\u00fc"}')


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (
            {
                **COUNTS, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 200,
                "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 150},
                "output_tokens_details": {"thinking_tokens": 7}, "service_tier": "standard",
            },
            Usage(
                input_tokens=1210, cached_input_tokens=1000, cache_write_tokens=200, output_tokens=30,
                reasoning_tokens=7,
            ),
        ),
        (
            {**COUNTS, "cache_read_input_tokens": None, "output_tokens_details": None},
            Usage(input_tokens=10, output_tokens=30),
        ),
        (None, None),
        ({}, None),
        ([], None),
        ({**COUNTS, "input_tokens": -1}, None),
        ({**COUNTS, "output_tokens": "30"}, None),
        ({**COUNTS, "input_tokens": 1.5}, None),
        ({**COUNTS, "input_tokens": True}, None),
        ({**COUNTS, "cache_read_input_tokens": -5}, None),
        ({**COUNTS, "cache_creation_input_tokens": {}}, None),
        ({**COUNTS, "output_tokens_details": {"thinking_tokens": -1}}, None),
    ],
)  # fmt: skip
def test_usage_counts_all_input_and_what_makes_no_sense_is_unknown(counts, usage):
    response = DIALECT.read(message(TEXT, usage=counts), 0)
    assert response.usage == usage
    assert response.text == "Hello"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', "answer: Overloaded"),
        (b'{"type":"error"}', "in place of an answer"),
        (b'{"type":"message","error":{"message":"no"}}', "answer: no"),
        (b'{"type":"message"}', "no message"),
        (b'{"type":"completion","content":[]}', "no message"),
        (b'{"choices":[]}', "no message"),
        (b'{"type":"message","content":"Hello"}', "not a message"),
        (b'{"type":"message","content":[{}]}', "not a message"),
        (b"[]", "not a message"),
        (b"<html>", "not JSON"),
        (b'{"type":"message","content":[{"type":"text","text":"\xff"}]}', "not JSON"),
        (b'{"a":' + b"[" * 100_000, "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_what_is_no_answer_is_unusable(body, reason):
    with pytest.raises(UnusableReplyError, match=reason):
        DIALECT.read(body, 0)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (message(TEXT), ""),
        (message(TEXT, stop_reason="stop_sequence", stop_sequence="\n"), ""),
        (message(CALL, stop_reason="tool_use"), ""),
        (message(TEXT, SEARCH, stop_reason="pause_turn"), "ended by pause_turn"),
        (message(TEXT, stop_reason="refusal"), "ended by refusal"),
        (message(TEXT, stop_reason="max_tokens"), "ended by max_tokens"),
        (message(TEXT, stop_reason="model_context_window_exceeded"), "ended by model_context_window_exceeded"),
        (message(TEXT, stop_reason="compaction"), "ended by compaction"),
        (message(TEXT, stop_reason=None), "no finish reason: it may have been interrupted"),
        (message(), "empty"),
        (message(THOUGHT), "empty"),
        (message(SEARCH, FOUND), "empty"),
    ],
)
def test_only_messages_that_said_all_may_be_stored(body, reason):
    assert unfit(DIALECT.read(body, 0)) == reason


# Anthropic's list price of Claude Opus 4.5: 5 and 25 dollars per million; reads cost 0.1 of input, writes 1.25.
OPUS = Price(input="5", output="25", cached_input="0.50", cache_write="6.25")
GPT = Price(input="2.50", output="10", cached_input="1.25", cache_write="3.125")
BOOK = {"claude-opus-4-5": OPUS, "gpt-4o": GPT}


def test_anthropics_reads_and_writes_cost_what_the_price_list_says():
    counts = {**COUNTS, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 200}
    response = DIALECT.read(message(TEXT, usage=counts), 1.0)
    micro = 10**6
    expected = 10 * 5 * micro + 1000 * 5 * micro // 10 + 200 * 5 * micro * 5 // 4 + 30 * 25 * micro
    assert expected == 2_550 * micro
    assert PriceBook(BOOK).cost(response.model, response.usage) == expected
    ledger = Ledger(PriceBook(BOOK))
    common = {"model": "claude-opus-4-5", "served_model": response.model, "usage": response.usage}
    miss = ledger.record(outcome="miss", latency=1.0, upstream_latency=1.0, **common)
    hit = ledger.record(outcome="hit", latency=0.1, upstream_latency=1.0, **common)
    assert (miss.cost, miss.baseline_cost, hit.cost, hit.baseline_cost) == (expected, expected, 0, expected)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, (176 * 250 + 1024 * 125 + 30 * 1000) * 10**4),
        ({"cache_write_tokens": 100}, (76 * 250 + 1024 * 125 + 100 * 3125 // 10 + 30 * 1000) * 10**4),
    ],
)
def test_openais_cached_tokens_cost_what_the_price_list_says(written, expected):
    completion = {
        "model": "gpt-4o-2024-08-06",
        "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 1200, "completion_tokens": 30, "prompt_tokens_details": {"cached_tokens": 1024, **written},
        },
    }  # fmt: skip
    response = to_response(json.dumps(completion).encode(), 1.0)
    record = Ledger(PriceBook(BOOK)).record(
        outcome="miss", model="gpt-4o", served_model=response.model, usage=response.usage, latency=1.0
    )
    assert (record.cost, record.baseline_cost) == (expected, expected)
