"""Anthropic's streams: what their events add up to, as the SDK has it, and how a whole message is cut into events."""

import json

import anthropic
import httpx2
import pytest

from anthropic_sdk import accumulated, dumped
from resopt.providers.anthropic_reply import AnthropicMessages
from resopt.providers.dialect import UnusableReplyError
from resopt.types import Response

DIALECT = AnthropicMessages()


def start(**fields):
    usage = {"input_tokens": 10, "cache_read_input_tokens": 7, "output_tokens": 1, "service_tier": "standard"}
    whole = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-5", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage, **fields,
    }  # fmt: skip
    return {"type": "message_start", "message": whole}


def block(index, content_block, *deltas):
    yield {"type": "content_block_start", "index": index, "content_block": content_block}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def change(stop_reason="end_turn", usage=None, **delta):
    counts = {"output_tokens": 30} if usage is None else usage
    return {
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason, "stop_sequence": None, **delta},
        "usage": counts,
    }


def text(*pieces):
    return [{"type": "text_delta", "text": piece} for piece in pieces]


def pieces_of_input(*pieces):
    return [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


STOP = {"type": "message_stop"}
HELLO = [*block(0, {"type": "text", "text": ""}, *text("Hel", "lo"))]
CITED = {"type": "char_location", "cited_text": "c", "document_index": 0, "document_title": None}
CITED |= {"start_char_index": 0, "end_char_index": 1}
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}
SERVER = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
THOUGHT = {"type": "thinking", "thinking": "", "signature": ""}
THINKING = [{"type": "thinking_delta", "thinking": "Hm"}, {"type": "thinking_delta", "thinking": "m."}]
SIGNATURE = {"type": "signature_delta", "signature": "c2ln"}

STREAMS = {
    "text": [start(), *HELLO, change(), STOP],
    "ping": [start(), {"type": "ping"}, *HELLO, {"type": "ping"}, change(), STOP, {"type": "ping"}],
    "nothing": [start(), change("refusal", stop_details={"type": "refusal", "category": "bio"}), STOP],
    "empty block": [start(), *block(0, {"type": "text", "text": ""}), change(), STOP],
    "text at the start": [start(), *block(0, {"type": "text", "text": "Oh, "}, *text("hello")), change(), STOP],
    "call": [
        start(),
        *HELLO,
        *block(1, TOOL, *pieces_of_input("", '{"a": [1', "e2, ", '"\\u00fc\\ud83d\\ude00"]', "}")),
        *block(2, {**TOOL, "id": "toolu_2"}, *pieces_of_input("")),
        *block(3, {**TOOL, "input": {"b": 1}}),
        change("tool_use"),
        STOP,
    ],
    "thinking": [
        start(),
        *block(0, THOUGHT, *THINKING, SIGNATURE),
        *block(1, THOUGHT, SIGNATURE),
        *block(2, {"type": "redacted_thinking", "data": "xyz"}),
        *block(3, {"type": "text", "text": ""}, *text("Yes.")),
        change("stop_sequence", stop_sequence="\n"),
        STOP,
    ],
    "citations": [
        start(),
        *block(
            0,
            {"type": "text", "text": "", "citations": []},
            *text("a"),
            {"type": "citations_delta", "citation": CITED},
            *text("b"),
            {"type": "citations_delta", "citation": {**CITED, "end_char_index": 2}},
        ),
        *block(1, {"type": "text", "text": ""}, {"type": "citations_delta", "citation": CITED}),
        *block(2, {"type": "text", "text": "", "citations": None}, *text("c")),
        change(),
        STOP,
    ],
    "search": [
        start(),
        *block(0, SERVER, *pieces_of_input("", '{"query"', ':"q"}')),
        *block(1, FOUND),
        change(
            "pause_turn",
            {
                "input_tokens": 900, "cache_read_input_tokens": None, "cache_creation_input_tokens": 8,
                "output_tokens": 44, "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
                "output_tokens_details": {"thinking_tokens": 3},
            },
        ),
        STOP,
    ],
    "changed twice": [start(), *HELLO, change(None, {"output_tokens": 3}), change(), STOP],
    "container": [start(container=None), *HELLO, change(container={"id": "c", "expires_at": "2026-01-01"}), STOP],
    "kept container": [
        start(container={"id": "c", "expires_at": "2026-01-01"}),
        *HELLO,
        change(container=None),
        STOP,
    ],
    "two blocks at a time": [
        start(),
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "b"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_stop", "index": 1},
        change(),
        STOP,
    ],
    "fields nobody knows": [
        start(novelty={"n": 1}),
        *block(0, {"type": "novel_result", "data": {"x": [1.0]}}),
        *block(1, {"type": "text", "text": "", "novelty": 1}, *text("a")),
        change(),
        STOP,
    ],
}  # fmt: skip


def encoded(events):
    return [json.dumps(event).encode() for event in events]


def sent(events):
    """The events as the API sends them."""
    return b"".join(b"event: %s\ndata: %s\n\n" % (json.loads(event)["type"].encode(), event) for event in events)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_adds_up_to_what_the_sdk_makes_of_it(name):
    events = encoded(STREAMS[name])
    whole = DIALECT.assemble(events)
    assert dumped(whole) == accumulated([event for event in events if b'"ping"' not in event])


@pytest.mark.parametrize("name", STREAMS)
def test_a_whole_message_is_cut_into_a_stream_that_adds_up_to_it(name):
    whole = DIALECT.assemble(encoded(STREAMS[name]))
    events = DIALECT.replay(DIALECT.read(whole, 0), {})
    assert json.loads(DIALECT.assemble(events)) == json.loads(whole)
    assert accumulated(events) == dumped(whole)


@pytest.mark.parametrize("name", STREAMS)
def test_the_sdks_client_takes_the_cut_stream_for_the_message(name):
    whole = DIALECT.assemble(encoded(STREAMS[name]))
    stream = sent(DIALECT.replay(DIALECT.read(whole, 0), {}))
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=stream))
    with (
        httpx2.Client(transport=transport) as http,
        anthropic.Anthropic(api_key="k", http_client=http) as client,
        client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "Q"}]) as events,
    ):
        assert events.get_final_message().model_dump(warnings=False) == dumped(whole)


def test_what_a_stream_says_is_read_from_the_whole():
    response = DIALECT.read(DIALECT.assemble(encoded(STREAMS["search"])), 0)
    assert (response.usage.input_tokens, response.usage.cached_input_tokens) == (915, 7)
    assert (response.usage.cache_write_tokens, response.usage.output_tokens) == (8, 44)
    assert (response.usage.reasoning_tokens, response.finish_reason) == (3, "pause_turn")


def test_the_input_of_a_tool_stays_the_text_that_it_was():
    pieces = pieces_of_input('{"n":  36893488147419103232, "m": ', "1.10, ", '"m": 1e2}')
    whole = DIALECT.assemble(encoded([start(), *block(0, TOOL, *pieces), change("tool_use"), STOP]))
    (call,) = DIALECT.read(whole, 0).tool_calls
    assert call.arguments == '{"n":  36893488147419103232, "m": 1.10, "m": 1e2}'
    (again,) = DIALECT.read(DIALECT.assemble(DIALECT.replay(DIALECT.read(whole, 0), {})), 0).tool_calls
    assert again == call


def test_a_message_is_cut_as_the_api_streams():
    message = {
        **start()["message"],
        "content": [
            {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"},
            {"type": "text", "text": "It is so,\n\n I think. ", "citations": [CITED]},
            {**TOOL, "input": {"text": "x" * 30}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 10, "output_tokens": 44, "server_tool_use": {"web_search_requests": 1}},
    }
    body = json.dumps(message, separators=(",", ":")).encode()
    events = [json.loads(event) for event in DIALECT.replay(DIALECT.read(body, 0), {})]
    expected_start = start(usage={"input_tokens": 10, "output_tokens": 1, "server_tool_use": None})
    assert events == [
        expected_start,
        *block(
            0,
            THOUGHT,
            *[{"type": "thinking_delta", "thinking": word} for word in ("Let", " me", " see.")],
            SIGNATURE,
        ),
        *block(
            1,
            {"type": "text", "text": "", "citations": []},
            *text("It", " is", " so,", "\n\n I", " think.", " "),
            {"type": "citations_delta", "citation": CITED},
        ),
        *block(2, TOOL, *pieces_of_input("", '{"text":"' + "x" * 15, "x" * 15 + '"}')),
        change("tool_use", {"input_tokens": 10, "output_tokens": 44, "server_tool_use": {"web_search_requests": 1}}),
        STOP,
    ]


def test_recorded_events_are_replayed_as_they_came():
    events = tuple(encoded(STREAMS["call"]))
    response = Response(text="", model="", body=DIALECT.assemble(events), events=events)
    assert DIALECT.replay(response, {"stream": True}) is events
    assert DIALECT.whole(response) == response.body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"type":"message","content":[],"usage":null}',
        b'{"type":"message","content":[],"usage":{"input_tokens":1}}',
        b'{"type":"message","content":[{"type":"text"}],"usage":{"output_tokens":1}}',
        b'{"type":"message","content":[{"type":"tool_use","input":[]}],"usage":{"output_tokens":1}}',
        b'{"type":"message","content":"Hello","usage":{"output_tokens":1}}',
    ],
)
def test_what_is_no_whole_message_is_not_replayed(body):
    assert DIALECT.replay(Response(text="", model="", body=body), {}) is None


def test_an_answer_without_a_body_has_no_whole():
    assert DIALECT.whole(Response(text="Hello", model="m")) is None


BROKEN = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
OPEN = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], "broke off"),
        ([start()], "broke off"),
        ([start(), *HELLO, change()], "broke off"),
        ([start(), OPEN, change(), STOP], "within a block"),
        ([start(), *HELLO, BROKEN], "Overloaded"),
        ([BROKEN], "Overloaded"),
        ([start(), *HELLO, change(), STOP, BROKEN], "Overloaded"),
        ([*HELLO, change(), STOP], "content_block_start out of order"),
        ([start(), start(), STOP], "message_start out of order"),
        ([start(), change(), STOP, STOP], "message_stop out of order"),
        ([start(), *block(1, {"type": "text", "text": ""}), STOP], "blocks out of order"),
        ([start(), *HELLO, HELLO[1], STOP], "not open"),
        ([start(), {**HELLO[1], "index": -1}, STOP], "not open"),
        ([start(), {**HELLO[1], "index": "0"}, STOP], "not an event"),
        ([start(), {"type": "content_block_delta", "index": 0}, STOP], "not open"),
        ([start(), OPEN, {"type": "content_block_delta", "index": 0}, STOP], "delta is missing"),
        ([start(), *block(0, TOOL, *text("a")), STOP], "text_delta for a block of another kind"),
        ([start(), *block(0, {"type": "text", "text": ""}, *pieces_of_input("a")), STOP], "of another kind"),
        ([start(), *block(0, TOOL, *pieces_of_input('{"a"')), change("max_tokens"), STOP], "not an event"),
        ([start(), *block(0, TOOL, *pieces_of_input("[1]")), STOP], "no object"),
        ([start(), *block(0, THOUGHT, {"type": "novel_delta", "novelty": 1}), STOP], "unknown kind of delta"),
        ([start(), {"type": "novel_event"}, STOP], "unknown kind of event"),
        ([start(content=[{"type": "text", "text": "a"}]), STOP], "starts with content"),
        ([start(usage=None), STOP], "not an event"),
        ([{"type": "message_start"}], "message is missing"),
        ([{}], "type is missing"),
        ([[]], "not an event"),
        ([{"type": 3}], "not an event"),
        ([{"choices": []}], "type is missing"),
    ],
)
def test_a_stream_that_did_not_end_well_or_is_not_understood_is_unusable(events, reason):
    with pytest.raises(UnusableReplyError, match=reason):
        DIALECT.assemble(encoded(events))


@pytest.mark.parametrize("junk", [b"", b"[DONE]", b"\xff", b'{"type":"\xff"}', b'{"type":' + b"[" * 100_000])
def test_what_is_no_event_is_unusable(junk):
    with pytest.raises(UnusableReplyError):
        DIALECT.assemble([junk])


def test_beta_events_that_change_the_message_are_heard():
    """Blocks and fields of the beta API that only `message_delta` or a block tells."""
    fallback = {"type": "fallback", "from": {"model": "a"}, "to": {"model": "claude-sonnet-4-5"}}
    compaction = {"type": "compaction", "content": None, "encrypted_content": None}
    told = {"type": "compaction_delta", "content": "So far.", "encrypted_content": "e"}
    called = {**TOOL, "type": "mcp_tool_use", "server_name": "s"}
    stream = [
        start(context_management=None),
        *block(0, fallback),
        *block(1, compaction, told),
        *block(2, called, *pieces_of_input("", '{"a":', "1}")),
        {**change(), "context_management": {"applied_edits": []}},
        STOP,
    ]
    events = encoded(stream)
    body = DIALECT.assemble(events)
    whole = json.loads(body)
    assert whole["model"] == "claude-sonnet-4-5"
    assert whole["context_management"] == {"applied_edits": []}
    assert whole["content"] == [
        fallback,
        {**compaction, "content": "So far.", "encrypted_content": "e"},
        {**called, "input": {"a": 1}},
    ]
    assert dumped(body, beta=True) == accumulated(events, beta=True)
    replayed = DIALECT.replay(Response(text="", model="", body=body), {})
    assert json.loads(replayed[0])["message"]["context_management"] is None
    assert json.loads(DIALECT.assemble(replayed)) == whole
    assert dumped(body, beta=True) == accumulated(replayed, beta=True)
