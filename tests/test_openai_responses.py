"""The responses API: reading, and streams cut from whole replies, against the SDK's own types."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response as SdkResponse
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from resopt.cache.admission import unfit
from resopt.providers.dialect import UnusableReplyError, dialect_of
from resopt.types import Response, ToolCall

RESPONSES = dialect_of("openai.responses")
EVENT = TypeAdapter(ResponseStreamEvent)
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 120,
}


def body_of(*output, status="completed", **fields):
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 7.0,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "gpt-5",
        "output": list(output),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": USAGE,
        **fields,
    }


def text_part(text, **fields):
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": [], **fields}


def message(*parts, status="completed", name="msg_1"):
    return {"id": name, "type": "message", "role": "assistant", "status": status, "content": list(parts)}


def call(arguments="{}", **fields):
    return {
        "id": "fc_1",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "look",
        "arguments": arguments,
        **fields,
    }


REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "Thinking it over"}],
    "content": [{"type": "reasoning_text", "text": "First this"}],
    "encrypted_content": "gAAA",
}
SEARCH = {
    "id": "ws_1",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": "q"},
}
SQL = {"id": "ct_1", "type": "custom_tool_call", "call_id": "call_2", "name": "sql", "input": "SELECT 1 FROM t"}
MCP = {"id": "mcp_1", "type": "mcp_call", "server_label": "s", "name": "n", "arguments": '{"a": 1}', "output": "x"}
CITED = text_part(
    "See here",
    annotations=[{"type": "url_citation", "start_index": 0, "end_index": 3, "title": "t", "url": "https://a.example"}],
    logprobs=[
        {"token": token, "bytes": list(token.encode()), "logprob": -0.25, "top_logprobs": []}
        for token in ("See", " here")
    ],
)
EVERYTHING = body_of(
    REASONING,
    SEARCH,
    message(CITED, text_part("and wörld"), {"type": "refusal", "refusal": "not that"}),
    call('{"x": 1}'),
    SQL,
    MCP,
)


def read(body):
    return RESPONSES.read(json.dumps(body).encode(), 0.5)


def events_of(body):
    return [json.loads(event) for event in RESPONSES.replay(read(body), {"stream": True})]


def test_fixtures_are_what_the_sdk_expects():
    SdkResponse.model_validate(EVERYTHING)


def test_text_calls_and_usage_are_read():
    response = read(body_of(REASONING, message(text_part("Hello "), text_part("you")), call('{"x": 1}'), SQL))
    assert (response.text, response.model, response.finish_reason) == ("Hello you", "gpt-5", "tool_calls")
    assert response.tool_calls == (
        ToolCall(id="call_1", name="look", arguments='{"x": 1}'),
        ToolCall(id="call_2", name="sql", arguments="SELECT 1 FROM t"),
    )
    usage = response.usage
    assert (usage.input_tokens, usage.cached_input_tokens, usage.cache_write_tokens) == (100, 60, 10)
    assert (usage.output_tokens, usage.reasoning_tokens) == (20, 5)
    assert response.json() == body_of(REASONING, message(text_part("Hello "), text_part("you")), call('{"x": 1}'), SQL)


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": "many"}, {**USAGE, "input_tokens": 1}])
def test_a_usage_that_cannot_be_is_unknown(usage):
    response = read(body_of(message(text_part("a")), usage=usage))
    assert (response.usage, unfit(response)) == (None, "")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (body_of(message(text_part("a"))), ""),
        (body_of(call()), ""),
        (body_of(), "empty"),
        (body_of(REASONING), "empty"),
        (
            body_of(message(text_part("a")), status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            "ended by length",
        ),
        (
            body_of(message(text_part("a")), status="incomplete", incomplete_details={"reason": "content_filter"}),
            "ended by content_filter",
        ),
        (body_of(message(text_part("a")), status="incomplete"), "ended by incomplete"),
        (body_of(message(text_part("a"), status="incomplete")), "ended by incomplete"),
        (body_of(message(text_part("a")), call(status="in_progress")), "ended by incomplete"),
        (body_of(message({"type": "refusal", "refusal": "no"})), "ended by refusal"),
        (body_of(message(text_part("a"), {"type": "refusal", "refusal": "no"})), "ended by refusal"),
        (body_of(message(text_part("a")), status=None), "no finish reason: it may have been interrupted"),
    ],
)
def test_only_complete_answers_are_admitted(body, reason):
    assert unfit(read(body)) == reason


@pytest.mark.parametrize(
    "item",
    [
        {**REASONING, "summary": ["text"], "content": "text"},
        {**REASONING, "summary": [{"type": "summary_text", "text": None}], "content": [{"type": {}}]},
        message({"type": ["output_text"], "text": "a"}),
        message(text_part("a", logprobs=[None, {"token": 5}], annotations=None)),
        {"type": "mcp_call", "arguments": None},
    ],
)
def test_items_of_unknown_shape_travel_whole(item):
    events = events_of(body_of(item, call()))
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == [item, call()]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (body_of(status="failed", error={"code": "server_error", "message": "it broke"}), "it broke"),
        (body_of(message(text_part("a")), error={"message": "late"}), "late"),
        (body_of(status="cancelled"), "cancelled"),
        (body_of(status="queued"), "queued"),
        (body_of(status="in_progress"), "in_progress"),
        ({"error": {"message": "no such model"}}, "no such model"),
        ({"object": "chat.completion", "choices": []}, "not a response object"),
        (body_of(message("text")), "not a message"),
        (body_of(call(arguments=None)), "lacks its name or arguments"),
        ([], "not a response object"),
    ],
)
def test_what_is_no_answer_is_refused(body, why):
    with pytest.raises(UnusableReplyError, match=why):
        read(body)


def test_what_is_no_json_is_refused():
    with pytest.raises(UnusableReplyError, match="not JSON"):
        RESPONSES.read(b"<html>", 0.5)


def test_every_event_of_a_cut_reply_is_one_the_sdk_knows():
    events = events_of(EVERYTHING)
    for number, event in enumerate(events):
        parsed = EVENT.validate_python(event)
        assert (parsed.type, parsed.sequence_number) == (event["type"], number)
        assert set(parsed.model_extra) <= {"name"}  # of a call, which the SDK knows in 2.x alone
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[0]["response"] == {**EVERYTHING, "status": "in_progress", "output": [], "usage": None}
    assert events[-1]["response"] == EVERYTHING


def test_a_reply_that_begins_is_not_complete_yet():
    created, *_, completed = events_of(body_of(call(), completed_at=9.0))
    assert (created["response"]["completed_at"], completed["response"]["completed_at"]) == (None, 9.0)
    assert "completed_at" not in events_of(body_of(call()))[0]["response"]


def test_every_item_is_announced_empty_and_shown_whole():
    events = events_of(EVERYTHING)
    added = {e["output_index"]: e["item"] for e in events if e["type"] == "response.output_item.added"}
    done = {e["output_index"]: e["item"] for e in events if e["type"] == "response.output_item.done"}
    assert [done[index] for index in range(6)] == EVERYTHING["output"]
    assert (added[0]["summary"], added[0]["content"]) == ([], [])
    assert (added[2]["content"], added[2]["status"], added[3]["arguments"]) == ([], "in_progress", "")
    assert (added[4]["input"], added[5]["arguments"]) == ("", "")


def joined(events, kind, field):
    """What deltas add up to and what is said to be done, by place; both must be the same."""
    sums, ends = {}, {}
    for event in events:
        place = tuple(event.get(name) for name in ("output_index", "content_index", "summary_index"))
        if event["type"] == f"{kind}.delta":
            sums[place] = sums.get(place, "") + event["delta"]
        elif event["type"] == f"{kind}.done":
            ends[place] = event[field]
    assert sums == {place: text for place, text in ends.items() if text}
    return list(ends.values())


def test_deltas_add_up_to_what_is_done():
    events = events_of(EVERYTHING)
    assert joined(events, "response.output_text", "text") == ["See here", "and wörld"]
    assert joined(events, "response.refusal", "refusal") == ["not that"]
    assert joined(events, "response.function_call_arguments", "arguments") == ['{"x": 1}']
    assert joined(events, "response.custom_tool_call_input", "input") == ["SELECT 1 FROM t"]
    assert joined(events, "response.mcp_call_arguments", "arguments") == ['{"a": 1}']
    assert joined(events, "response.reasoning_summary_text", "text") == ["Thinking it over"]
    assert joined(events, "response.reasoning_text", "text") == ["First this"]
    deltas = [event for event in events if event["type"] == "response.output_text.delta"]
    assert [(event["delta"], event["logprobs"]) for event in deltas[:2]] == [
        ("See", CITED["logprobs"][:1]),
        (" here", CITED["logprobs"][1:]),
    ]
    assert [event["delta"] for event in deltas[2:]] == ["and", " wörld"]
    annotations = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    assert [(event["annotation_index"], event["annotation"]) for event in annotations] == [(0, CITED["annotations"][0])]


def unparsed(value):
    """Plain data without the results of parsing that the SDK adds."""
    if isinstance(value, dict):
        return {name: unparsed(item) for name, item in value.items() if name not in ("parsed", "parsed_arguments")}
    return [unparsed(item) for item in value] if isinstance(value, list) else value


def added_up_by_the_sdk(events):
    """The SDK's running snapshot, and the response it ends with."""
    state = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in events:
        parsed = EVENT.validate_python(event)
        fired = state.handle_event(parsed)
        snapshot = state.accumulate_event(parsed) if parsed.type == "response.completed" else None
    return snapshot, unparsed(json.loads(fired[-1].response.model_dump_json(exclude_unset=True)))


def test_the_sdk_adds_a_cut_reply_up():
    snapshot, final = added_up_by_the_sdk(events_of(EVERYTHING))
    texts = [part.text for part in snapshot.output[2].content if part.type == "output_text"]
    assert texts == ["See here", "and wörld"]
    assert snapshot.output[3].arguments == '{"x": 1}'
    assert [item.type for item in snapshot.output] == [item["type"] for item in EVERYTHING["output"]]
    assert final == EVERYTHING


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


ITEMS = st.one_of(TEXTS.map(lambda text: message(text_part(text))), TEXTS.map(call))


@given(st.lists(ITEMS, max_size=4))
def test_any_text_survives_being_cut(output):
    output = [{**item, "id": f"item_{number}", "call_id": f"call_{number}"} for number, item in enumerate(output)]
    body = body_of(*output)
    events = events_of(body)
    assert json.loads(RESPONSES.assemble([json.dumps(event).encode() for event in events])) == body
    snapshot, final = added_up_by_the_sdk(events)
    for item, expected in zip(snapshot.output, output, strict=True):
        if expected["type"] == "message":
            assert item.content[0].text == expected["content"][0]["text"]
        else:
            assert item.arguments == expected["arguments"]
    assert final == body


def event(kind, **fields):
    return json.dumps({"type": kind, "sequence_number": 3, **fields}).encode()


def test_the_last_event_holds_the_reply():
    cut = RESPONSES.replay(read(EVERYTHING), {})
    assert json.loads(RESPONSES.assemble(cut)) == EVERYTHING
    unfinished = body_of(message(text_part("a")), status="incomplete", incomplete_details={"reason": "content_filter"})
    cut = RESPONSES.replay(read(unfinished), {})
    assert json.loads(cut[-1])["type"] == "response.incomplete"
    assert unfit(RESPONSES.read(RESPONSES.assemble(cut), 0.5)) == "ended by content_filter"


def test_the_reply_is_kept_byte_for_byte():
    ending = b'{"type": "response.completed",\n"response": {"output" :[],  "status":"completed"}, "sequence_number": 1}'
    assert RESPONSES.assemble([ending]) == b'{"output" :[],  "status":"completed"}'


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([], "broke off"),
        (RESPONSES.replay(read(EVERYTHING), {})[:-1], "broke off"),
        ([event("response.created"), event("error", code="x", message="overloaded", param=None)], "overloaded"),
        ([event("response.failed", response={"error": {"message": "it broke"}})], "it broke"),
        ([event("response.completed")], "broke off"),
        ([b"data: {}"], "not JSON"),
        ([b"[]"], "not an event"),
    ],
)
def test_streams_that_did_not_end_well_are_refused(events, why):
    with pytest.raises(UnusableReplyError, match=why):
        RESPONSES.assemble(events)


def test_whoever_asks_gets_what_was_stored():
    recorded = RESPONSES.replay(read(EVERYTHING), {})
    response = RESPONSES.read(RESPONSES.assemble(recorded), 0.5)
    stored = Response(text="x", model="m", body=response.body, events=tuple(recorded))
    assert RESPONSES.replay(stored, {"stream": True}) == tuple(recorded)
    assert RESPONSES.whole(stored) == response.body
    bare = Response(text="set by hand", model="m", finish_reason="stop")
    assert (RESPONSES.whole(bare), RESPONSES.replay(bare, {})) == (None, None)
    unknown = Response(text="x", model="m", body=json.dumps(body_of(status=None)).encode())
    assert RESPONSES.replay(unknown, {}) is None
