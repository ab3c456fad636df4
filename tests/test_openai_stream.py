"""Chat completions and their streams, against the SDK's own objects and its own way to add chunks up."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import Choice, ChoiceDelta
from openai.types.completion_usage import CompletionUsage

from resopt.cache.admission import unfit
from resopt.providers.dialect import UnusableReplyError, dialect_of
from resopt.types import Response

CHAT = dialect_of("openai.chat")
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
TOKENS = [
    {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": []} for token in ("Hi", " you")
]


def chunk(*choices, **fields):
    """A chunk as the API writes it, checked by the SDK's own type."""
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "gpt-4o", **fields}
    event["choices"] = list(choices)
    ChatCompletionChunk.model_validate(event)
    return json.dumps(event).encode()


def piece(delta=None, finish_reason=None, index=0, **fields):
    return {"index": index, "delta": {} if delta is None else delta, "finish_reason": finish_reason, **fields}


def body_of(*choices, **fields):
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "gpt-4o", "choices": list(choices)}
    return {**body, **fields}


def choice(message, finish_reason="stop", index=0, **fields):
    return {"index": index, "message": {"role": "assistant", **message}, "finish_reason": finish_reason, **fields}


def assembled(*events):
    return json.loads(CHAT.assemble(events))


def read(body):
    return CHAT.read(json.dumps(body).encode(), 0.5)


def streamed(*events):
    """What is stored of a stream."""
    response = CHAT.read(CHAT.assemble(events), 0.5)
    return Response(**{name: getattr(response, name) for name in response.__struct_fields__} | {"events": events})


def events_of(response, **options):
    events = CHAT.replay(response, {"stream": True, "stream_options": options} if options else {"stream": True})
    return None if events is None else [json.loads(event) for event in events]


def said(value):
    """Plain data without what the SDK adds of its own: absent fields as None, parsed results, positions of calls."""
    if isinstance(value, dict):
        ours = {name: said(item) for name, item in value.items() if name not in ("parsed", "parsed_arguments")}
        if "function" in ours or "custom" in ours:
            ours.pop("index", None)
        return {name: item for name, item in ours.items() if item is not None}
    return [said(item) for item in value] if isinstance(value, list) else value


def added_up_by_the_sdk(events):
    state = ChatCompletionStreamState()
    for event in events:
        state.handle_chunk(ChatCompletionChunk.model_validate(json.loads(event)))
    return said(state.get_final_completion().model_dump())


def like_the_sdk(events):
    return said(ChatCompletion.model_validate(json.loads(CHAT.assemble(events))).model_dump())


TEXT_STREAM = (
    chunk(piece({"role": "assistant", "content": "", "refusal": None}), system_fingerprint="fp"),
    chunk(piece({"content": "Hello"}), system_fingerprint="fp"),
    chunk(piece({"content": " wörld 👋"}), system_fingerprint="fp"),
    chunk(piece({}, "stop"), system_fingerprint="fp"),
)
TOOL_STREAM = (
    chunk(
        piece(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}
                ],
            }
        )
    ),
    chunk(piece({"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]})),
    chunk(piece({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]})),
    chunk(
        piece(
            {
                "tool_calls": [
                    {"index": 1, "id": "call_b", "type": "function", "function": {"name": "g", "arguments": ""}}
                ]
            }
        )
    ),
    chunk(piece({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]})),
    chunk(piece({}, "tool_calls")),
)
CHOICES_STREAM = (
    chunk(piece({"role": "assistant", "content": ""}, index=0)),
    chunk(piece({"role": "assistant", "content": ""}, index=1)),
    chunk(piece({"content": "a"}, index=1)),
    chunk(piece({"content": "b"}, index=0), piece({"content": "c"}, index=1)),
    chunk(piece({}, "stop", index=1)),
    chunk(piece({}, "tool_calls", index=0)),
)
LOGPROB_STREAM = (
    chunk(piece({"role": "assistant", "content": "", "refusal": None}, logprobs={"content": [], "refusal": None})),
    chunk(piece({"content": "Hi"}, logprobs={"content": TOKENS[:1], "refusal": None})),
    chunk(piece({"content": " you"}, logprobs={"content": TOKENS[1:], "refusal": None})),
    chunk(piece({}, "stop", logprobs=None)),
)
REFUSAL_STREAM = (
    chunk(piece({"role": "assistant", "content": None, "refusal": ""})),
    chunk(piece({"refusal": "I can"}, logprobs={"content": None, "refusal": TOKENS[:1]})),
    chunk(piece({"refusal": "not."}, logprobs={"content": None, "refusal": TOKENS[1:]})),
    chunk(piece({}, "stop")),
)
LEGACY_STREAM = (
    chunk(piece({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}})),
    chunk(piece({"function_call": {"arguments": '{"a":'}})),
    chunk(piece({"function_call": {"arguments": "1}"}})),
    chunk(piece({}, "function_call")),
)
REASONING_STREAM = (
    chunk(piece({"role": "assistant", "content": "", "reasoning_content": "Let"})),
    chunk(piece({"reasoning_content": " me think"})),
    chunk(piece({"content": "42"})),
    chunk(piece({}, "stop")),
)
USAGE_STREAM = (
    chunk(piece({"role": "assistant", "content": ""}), usage=None, service_tier="default", obfuscation="x7"),
    chunk(piece({"content": "Hi"}), usage=None, service_tier="default", obfuscation="x"),
    chunk(piece({}, "stop"), usage=None, service_tier="default", obfuscation="abc"),
    chunk(usage=USAGE, service_tier="default", obfuscation=""),
)
STREAMS = {
    "text": TEXT_STREAM,
    "tools": TOOL_STREAM,
    "choices": CHOICES_STREAM,
    "logprobs": LOGPROB_STREAM,
    "refusal": REFUSAL_STREAM,
    "legacy": LEGACY_STREAM,
    "reasoning": REASONING_STREAM,
}


@pytest.mark.parametrize("name", STREAMS)
def test_chunks_add_up_as_in_the_sdk(name):
    assert like_the_sdk(STREAMS[name]) == added_up_by_the_sdk(STREAMS[name])


def test_usage_and_service_tier_come_through_and_padding_does_not():
    body = assembled(*USAGE_STREAM)
    assert (body["usage"], body["service_tier"], body["object"]) == (USAGE, "default", "chat.completion")
    assert "obfuscation" not in body
    added_up = added_up_by_the_sdk(USAGE_STREAM)
    added_up.pop("obfuscation", None)  # which 2.x keeps of the first chunk
    assert like_the_sdk(USAGE_STREAM) == added_up


def test_chunks_made_by_the_sdks_types_are_read():
    def made(delta, finish_reason=None, usage=None):
        choices = [] if usage else [Choice(index=0, delta=delta, finish_reason=finish_reason)]
        made = ChatCompletionChunk(
            id="c", choices=choices, created=1, model="m", object="chat.completion.chunk", usage=usage
        )
        return made.model_dump_json().encode()

    events = (
        made(ChoiceDelta(role="assistant", content="")),
        made(ChoiceDelta(content="Yes")),
        made(ChoiceDelta(), "stop"),
        made(None, usage=CompletionUsage(**USAGE)),
    )
    response = CHAT.read(CHAT.assemble(events), 0.5)
    assert (response.text, response.finish_reason, response.usage.total_tokens) == ("Yes", "stop", 12)
    assert unfit(response) == ""


def test_the_pieces_are_those_of_the_whole_reply():
    message = assembled(*TOOL_STREAM)["choices"][0]["message"]
    assert message == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
            {"id": "call_b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }
    assert assembled(*REASONING_STREAM)["choices"][0]["message"]["reasoning_content"] == "Let me think"
    assert assembled(*LOGPROB_STREAM)["choices"][0]["logprobs"] == {"content": TOKENS, "refusal": None}
    assert assembled(*REFUSAL_STREAM)["choices"][0]["logprobs"] == {"content": None, "refusal": TOKENS}


def test_custom_tool_calls_and_unknown_fields_are_kept():
    def call(**fields):
        return json.dumps({"choices": [piece({"tool_calls": [{"index": 0, **fields}]})]}).encode()

    events = (
        call(id="c1", type="custom", custom={"name": "sql", "input": "SELECT"}, extra_content={"google": {"s": "x"}}),
        call(custom={"input": " 1"}),
        json.dumps({"choices": [piece({"seen": [1]}, "tool_calls", stop_reason=5)], "citations": ["a"]}).encode(),
    )
    body = assembled(*events)
    assert body["choices"][0]["message"]["tool_calls"] == [
        {
            "id": "c1",
            "type": "custom",
            "custom": {"name": "sql", "input": "SELECT 1"},
            "extra_content": {"google": {"s": "x"}},
        }
    ]
    assert body["choices"][0]["message"]["seen"] == [1]
    assert (body["choices"][0]["stop_reason"], body["citations"]) == (5, ["a"])


def test_azures_first_chunk_has_filter_results_and_no_name():
    first = chunk(id="", created=0, model="", prompt_filter_results=[{"prompt_index": 0}])
    safe = {"hate": {"filtered": False, "severity": "safe"}}
    last = chunk(piece({}, "stop", content_filter_results=safe))
    middle = chunk(piece({"content": "!"}, content_filter_results=safe))
    late = {"index": 0, "finish_reason": None, "content_filter_offsets": {"check_offset": 0}}
    later = {"id": "", "created": 0, "model": "", "object": "", "choices": [late]}  # its filter lags behind
    body = assembled(first, *TEXT_STREAM[:2], middle, last, json.dumps(later).encode())
    assert (body["id"], body["created"], body["model"]) == ("chatcmpl-1", 7, "gpt-4o")
    assert body["prompt_filter_results"] == [{"prompt_index": 0}]
    assert body["choices"][0]["content_filter_results"] == safe
    assert body["choices"][0]["message"]["content"] == "Hello!"


def test_order_of_arrival_is_not_order_of_choices_or_calls():
    def call(index):
        return {"index": index, "id": f"c{index}", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    events = (
        chunk(piece({"role": "assistant", "tool_calls": [call(1), call(0)]}, "tool_calls", index=1)),
        chunk(piece({"role": "assistant", "content": "a"}, "stop", index=0)),
    )
    first, second = assembled(*events)["choices"]
    assert (first["index"], first["message"]["content"], second["index"]) == (0, "a", 1)
    assert [call["id"] for call in second["message"]["tool_calls"]] == ["c0", "c1"]


def test_a_usage_that_never_came_is_absent():
    assert "usage" not in assembled(*USAGE_STREAM[:-1])


def test_servers_that_repeat_role_id_and_name_with_every_piece():
    calls = [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": a}} for a in "{}"]
    events = [chunk(piece({"role": "assistant", "tool_calls": [call]})) for call in calls]
    message = assembled(*events, chunk(piece({}, "tool_calls")))["choices"][0]["message"]
    assert message["role"] == "assistant"
    assert message["tool_calls"] == [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ((), "without choices"),
        (TEXT_STREAM[:-1], "broke off"),
        (CHOICES_STREAM[:-1], "broke off"),
        (CHOICES_STREAM[2:3], "without choices"),
        ((*TEXT_STREAM[:2], b'{"error": {"message": "overloaded"}}'), "overloaded"),
        ((*TEXT_STREAM, b'{"error": {"message": "late"}}'), "late"),
        ((*TEXT_STREAM, b"[DONE]"), "not JSON"),
        ((b"[]",), "not a chunk"),
        ((b'{"choices": {}}',), "not a chunk"),
        ((b'{"choices": [{"delta": {}}]}',), "without an index"),
        ((b'{"choices": [{"index": 0, "delta": 5}]}',), "contradict"),
        ((*TEXT_STREAM[:2], b'{"choices": [{"index": 0, "delta": {"content": ["x"]}}]}'), "contradict"),
        ((json.dumps({"choices": [piece({"tool_calls": [None]}, "stop")]}).encode(),), "index"),
        (
            (b'{"choices": [' + json.dumps(piece({"tool_calls": [{"id": "a"}]}, "tool_calls")).encode() + b"]}",),
            "index",
        ),
        ((chunk(piece({"role": "assistant", "audio": {"id": "a", "data": "AA=="}}, "stop")),), "audio"),
        ((b'{"choices": [], "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",), "deep"),
    ],
)
def test_what_is_no_whole_stream_is_refused(events, why):
    with pytest.raises(UnusableReplyError, match=why):
        CHAT.assemble(events)


def test_two_calls_under_one_index_are_refused():
    def call(name):
        return chunk(piece({"tool_calls": [{"index": 0, "id": name, "type": "function", "function": {"name": "f"}}]}))

    with pytest.raises(UnusableReplyError, match="contradict"):
        CHAT.assemble([call("a"), call("b"), chunk(piece({}, "tool_calls"))])


# Reading: admission sees the worst of several choices.


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ([choice({"content": "a"}), choice({"content": "b"}, index=1)], ""),
        ([choice({"content": "a"}), choice({"content": "b"}, "length", index=1)], "ended by length"),
        ([choice({"content": "a"}, "length"), choice({"content": "b"}, index=1)], "ended by length"),
        ([choice({"content": "a"}), choice({"content": "b"}, "content_filter", 1)], "ended by content_filter"),
        ([choice({"content": "a"}), choice({"content": "b"}, None, 1)], "no finish reason"),
        ([choice({"content": "a"}), choice({"refusal": "no"}, index=1)], "ended by refusal"),
        ([choice({"content": "a"}), choice({"content": " "}, index=1)], "ended by empty"),
        ([choice({"content": ""})], "empty"),
        ([choice({"refusal": "no"})], "ended by refusal"),
        ([choice({"content": "a"}), choice({"content": None, "function_call": {"name": "f"}}, "function_call", 1)], ""),
    ],
)
def test_only_complete_choices_are_admitted(choices, reason):
    assert unfit(read(body_of(*choices))).startswith(reason)
    assert bool(unfit(read(body_of(*choices)))) == bool(reason)


# Replaying


def test_a_recorded_stream_comes_as_it_came():
    stored = streamed(*USAGE_STREAM)
    assert CHAT.replay(stored, {"stream": True, "stream_options": {"include_usage": True}}) == USAGE_STREAM
    assert CHAT.replay(streamed(*TEXT_STREAM), {"stream": True}) == TEXT_STREAM
    assert CHAT.replay(streamed(*TEXT_STREAM), {"stream_options": None}) == TEXT_STREAM


def test_usage_is_taken_out_for_who_did_not_ask():
    left = events_of(streamed(*USAGE_STREAM))
    assert len(left) == 3
    assert all("usage" not in event and event["obfuscation"] for event in left)
    assert [event["choices"] for event in left] == [json.loads(event)["choices"] for event in USAGE_STREAM[:3]]
    unasked = (*TEXT_STREAM[:-1], chunk(piece({}, "stop"), usage=USAGE))
    assert tuple(CHAT.replay(streamed(*unasked), {})) == unasked


def test_what_was_not_recorded_is_not_made_up():
    stored = streamed(*TEXT_STREAM)
    assert events_of(stored, include_usage=True) is None
    assert CHAT.whole(stored) is None
    assert CHAT.whole(streamed(*USAGE_STREAM)) == CHAT.assemble(USAGE_STREAM)
    assert events_of(read(body_of(choice({"content": "a"}))), include_usage=True) is None
    assert events_of(streamed(*USAGE_STREAM), continuous_usage_stats=True) is None
    bare = Response(text="set by hand", model="m", finish_reason="stop")
    assert (CHAT.whole(bare), CHAT.replay(bare, {})) == (None, None)


@pytest.mark.parametrize(
    "message", [{"content": [{"type": "text", "text": "a"}]}, {"content": "a", "audio": {"id": "x", "data": ""}}]
)
def test_what_chunks_cannot_carry_is_asked_upstream(message):
    assert events_of(read(body_of(choice(message), usage=USAGE))) is None


def test_a_whole_reply_is_cut_as_the_api_streams():
    message = {"content": "Hello there, wörld.", "refusal": None}
    body = body_of(choice(message, logprobs=None), usage=USAGE, system_fingerprint="fp")
    events = events_of(read(body), include_usage=True)
    assert [event["choices"][0]["delta"] for event in events[:-1]] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hello"},
        {"content": " there,"},
        {"content": " wörld."},
        {},
    ]
    assert [event["choices"][0]["finish_reason"] for event in events[:-1]] == [None] * 4 + ["stop"]
    assert (events[-1]["choices"], events[-1]["usage"]) == ([], USAGE)
    assert all(event["usage"] is None and event["system_fingerprint"] == "fp" for event in events[:-1])
    assert all("usage" not in event for event in events_of(read(body)))


def test_a_refusal_is_cut_as_the_api_streams():
    body = body_of(choice({"content": None, "refusal": "I cannot."}), citations=["a"])
    events = events_of(read(body))
    assert [event["choices"][0]["delta"] for event in events] == [
        {"role": "assistant", "content": None, "refusal": None},
        {"refusal": "I"},
        {"refusal": " cannot."},
        {},
    ]
    assert [event.get("citations") for event in events] == [["a"], None, None, None]


def test_a_reply_without_an_end_cannot_be_a_stream():
    assert events_of(read(body_of(choice({"content": "a"}, None)))) is None


def test_log_probabilities_travel_with_their_tokens():
    tokens = {"content": TOKENS, "refusal": None}
    events = events_of(read(body_of(choice({"content": "Hi you"}, logprobs=tokens))))
    pairs = [(event["choices"][0]["delta"].get("content"), event["choices"][0]["logprobs"]) for event in events]
    assert pairs == [
        ("", {"content": [], "refusal": None}),
        ("Hi", {"content": TOKENS[:1], "refusal": None}),
        (" you", {"content": TOKENS[1:], "refusal": None}),
        (None, None),
    ]


def test_calls_come_by_name_then_in_pieces():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    events = events_of(read(body_of(choice({"content": None, "tool_calls": [call]}, "tool_calls"))))
    deltas = [event["choices"][0]["delta"] for event in events]
    assert deltas[0] == {"role": "assistant", "content": None}
    assert deltas[1]["tool_calls"] == [
        {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    ]
    assert deltas[2:] == [
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]},
        {},
    ]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
NAMES = st.text("abc_", min_size=1, max_size=6)


@st.composite
def tool_calls(draw, kinds=("function", "custom")):
    kind = draw(st.sampled_from(kinds))
    field = {"function": "arguments", "custom": "input"}[kind]
    return {"id": draw(NAMES), "type": kind, kind: {"name": draw(NAMES), field: draw(TEXTS)}}


@st.composite
def token_lists(draw, text):
    """Log probabilities whose tokens spell the text, or not."""
    words = list(text) if draw(st.booleans()) else draw(st.lists(TEXTS, max_size=3))
    return [{"token": word, "logprob": draw(st.floats(-99, 0)), "bytes": None, "top_logprobs": []} for word in words]


@st.composite
def choices(draw, index, kinds):
    message = {"role": "assistant", "content": draw(st.none() | TEXTS), "refusal": draw(st.none() | TEXTS)}
    if draw(st.booleans()):
        message["tool_calls"] = draw(st.lists(tool_calls(kinds), max_size=3))
    if draw(st.booleans()):
        message["function_call"] = {"name": draw(NAMES), "arguments": draw(TEXTS)}
    if draw(st.booleans()):
        message["reasoning_content"] = draw(st.none() | TEXTS)
    if draw(st.booleans()):
        message["annotations"] = draw(st.lists(st.fixed_dictionaries({"type": st.just("x"), "at": st.integers(0, 9)})))
    made = {
        "index": index,
        "message": message,
        "finish_reason": draw(st.sampled_from(["stop", "tool_calls", "length"])),
    }
    if draw(st.booleans()):
        tokens = {name: draw(token_lists(message[name] or "")) for name in ("content", "refusal")}
        made["logprobs"] = draw(st.sampled_from([None, tokens, {**tokens, "refusal": None}]))
    if draw(st.booleans()):
        made["content_filter_results"] = {"hate": {"filtered": False}}
    return made


@st.composite
def bodies(draw, kinds=("function", "custom")):
    count = draw(st.integers(1, 3))
    body = body_of(*[draw(choices(index, kinds)) for index in range(count)])
    if draw(st.booleans()):
        body["usage"] = USAGE
    optional = {
        "service_tier": st.sampled_from(["default", None]),
        "system_fingerprint": NAMES,
        "citations": st.lists(NAMES),
    }
    return {**body, **draw(st.fixed_dictionaries({}, optional=optional))}


@given(bodies())
def test_cut_and_put_together_a_reply_is_the_same(body):
    include_usage = "usage" in body
    options = {"stream_options": {"include_usage": include_usage}}
    events = CHAT.replay(read(body), options)
    assert assembled(*events) == body
    recorded = streamed(*events)
    assert list(CHAT.replay(recorded, options)) == events
    without = events_of(recorded)
    assert without == events_of(read(body))


@given(bodies(kinds=("function",)))
def test_the_sdk_puts_a_cut_reply_together_too(body):
    for each in body["choices"]:
        each["finish_reason"] = "stop"  # it raises on "length"
        # of a stream the SDK takes empty lists, and lists without an index, for broken
        each["message"].pop("annotations", None)
        if not each["message"].get("tool_calls"):
            each["message"].pop("tool_calls", None)
        each.pop("content_filter_results", None)  # it keeps only what the first chunk has
    options = {"stream_options": {"include_usage": "usage" in body}}
    events = CHAT.replay(read(body), options)
    body.pop("service_tier", None)
    added_up = added_up_by_the_sdk(events)
    added_up.pop("service_tier", None)
    assert {**added_up, "object": "chat.completion"} == said(ChatCompletion.model_validate(body).model_dump())


def test_dialects_are_known_by_name():
    assert dialect_of("openai.chat") is CHAT
    assert CHAT.api == "openai.chat"
    assert dialect_of("openai.responses").api == "openai.responses"
    assert dialect_of("openai.embeddings") is None
