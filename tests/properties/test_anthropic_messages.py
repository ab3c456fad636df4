"""Whatever Anthropic answers: cut into a stream and put together it is the same message, for us and for the SDK."""

import json

from hypothesis import given
from hypothesis import strategies as st

from anthropic_sdk import accumulated, dumped
from resopt.providers.anthropic_reply import AnthropicMessages
from resopt.types import Response

DIALECT = AnthropicMessages()

texts = st.text(st.characters(exclude_categories=["Cs"])) | st.lists(
    st.sampled_from([" ", "\n", "a", "Wort", "。"])
).map("".join)
counts = st.integers(0, 2**40)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
objects = st.dictionaries(texts, plain, max_size=4)


def fields(required, optional):
    return st.fixed_dictionaries(required, optional=optional)


def kind(name, optional=None, /, **required):
    return fields({"type": st.just(name), **required}, optional or {})


citations = kind(
    "char_location",
    cited_text=texts,
    document_index=counts,
    document_title=st.none() | texts,
    start_char_index=counts,
    end_char_index=counts,
)
blocks = (
    kind("text", {"citations": st.none() | st.lists(citations, max_size=3)}, text=texts)
    | kind("thinking", thinking=texts, signature=texts)
    | kind("redacted_thinking", data=texts)
    | kind("tool_use", {"caller": st.just({"type": "direct"})}, id=texts, name=texts, input=objects)
    | kind("server_tool_use", id=texts, name=st.just("web_search"), input=objects)
    | kind("web_search_tool_result", tool_use_id=texts, content=st.just([]))
)
usages = fields(
    {"input_tokens": counts, "output_tokens": counts},
    {
        "cache_creation_input_tokens": st.none() | counts,
        "cache_read_input_tokens": st.none() | counts,
        "cache_creation": st.none()
        | fields({"ephemeral_1h_input_tokens": counts, "ephemeral_5m_input_tokens": counts}, {}),
        "server_tool_use": st.none() | fields({"web_search_requests": counts, "web_fetch_requests": counts}, {}),
        "output_tokens_details": st.none() | fields({"thinking_tokens": counts}, {}),
        "service_tier": st.sampled_from(["standard", "priority"]),
    },
)
messages = kind(
    "message",
    {
        "stop_details": st.none() | kind("refusal", category=st.none(), explanation=texts),
        "container": st.none() | fields({"id": texts, "expires_at": st.just("2026-01-01T00:00:00Z")}, {}),
    },
    id=texts,
    role=st.just("assistant"),
    model=texts,
    content=st.lists(blocks, max_size=4),
    stop_reason=st.sampled_from(["end_turn", "tool_use", "stop_sequence", "refusal"]),
    stop_sequence=st.none() | texts,
    usage=usages,
)


@given(messages, st.booleans(), st.none() | st.just(1))
def test_cut_and_put_together_a_message_is_the_same(message, ascii_only, indent):
    body = json.dumps(message, ensure_ascii=ascii_only, indent=indent).encode()
    events = DIALECT.replay(Response(text="", model="", body=body), {})
    assert json.loads(DIALECT.assemble(events)) == message
    assert accumulated(events) == dumped(body)


@given(st.lists(kind("text_delta", text=texts) | kind("citations_delta", citation=citations)), texts)
def test_pieces_of_any_size_add_up_to_what_the_sdk_makes_of_them(deltas, signature):
    begun = {
        "id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    thought = {"type": "thinking", "thinking": "", "signature": ""}
    stream = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": thought},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": signature}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 1, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    events = [json.dumps(event).encode() for event in stream]
    assert dumped(DIALECT.assemble(events)) == accumulated(events)
