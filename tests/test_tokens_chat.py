"""Messages, tools and images: the published formulas, in every shape a request may have."""

import base64
import struct
import types

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resopt import Request, count_tokens
from resopt.errors import InvalidRequestError

# The example of OpenAI's cookbook (MIT), with what its API counted: 129 for gpt-3.5-turbo and gpt-4, 124 for gpt-4o.
COOKBOOK = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain "
        "English.",
    },
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased "
        "leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
                "unit": {
                    "type": "string",
                    "description": "The unit of temperature to return",
                    "enum": ["celsius", "fahrenheit"],
                },
            },
            "required": ["location"],
        },
    },
}
TOOL_MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]


@pytest.mark.parametrize(("model", "tokens"), [("gpt-3.5-turbo", 129), ("gpt-4-0613", 129), ("gpt-4o", 124)])
def test_messages_count_what_the_api_counted(model, tokens):
    count = count_tokens(COOKBOOK, model)
    assert count.tokens == tokens
    assert count.low <= tokens <= count.high <= tokens + 6
    assert (count.exact, count.basis) == (False, "formula")


@pytest.mark.parametrize(("model", "tokens"), [("gpt-3.5-turbo", 105), ("gpt-4", 105), ("gpt-4o", 101)])
def test_tools_count_what_the_api_counted(model, tokens):
    request = Request(body={"model": model, "messages": TOOL_MESSAGES, "tools": [WEATHER]})
    assert count_tokens(request).tokens == tokens


def test_anthropics_own_example_of_a_tool_lies_in_the_band():
    """403 input tokens for one small tool and one question (docs, *Token counting*): most of it is a hidden prompt."""
    tool = {
        "name": "get_weather",
        "description": "Get the current weather in a given location",
        "input_schema": {
            "type": "object",
            "properties": {"location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"}},
            "required": ["location"],
        },
    }
    messages = [{"role": "user", "content": "What's the weather like in San Francisco?"}]
    body = {"model": "claude-opus-4-1", "tools": [tool], "messages": messages}
    count = count_tokens(Request(body=body, api="anthropic.messages"))
    assert count.low <= 403 <= count.high
    assert abs(count.tokens - 403) <= 40  # the hidden prompt was 346 then, and is 313 today


def test_the_model_given_counts_before_that_of_the_request():
    request = Request.chat("नमस्ते", model="gpt-4o")
    assert count_tokens(request, "gpt-4").tokens > count_tokens(request).tokens
    assert count_tokens(Request(body={"messages": []})).encoding == "o200k_base"


def test_every_shape_of_a_question_counts_its_text_once():
    text = "Where is my parcel?"
    plain = count_tokens(text).tokens
    framed = plain + 1 + 3 + 3
    chat = [{"role": "user", "content": text}]
    parts = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    objects = [types.SimpleNamespace(role="user", content=[types.SimpleNamespace(type="text", text=text)])]
    assert {count_tokens(messages).tokens for messages in (chat, parts, objects, tuple(chat))} == {framed}
    responses = [
        {"input": text},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]},
    ]
    for body in responses:
        assert count_tokens(Request(body=body, api="openai.responses"), "gpt-4o").tokens == framed
    anthropic = Request(body={"messages": chat, "system": [{"type": "text", "text": text}]}, api="anthropic.messages")
    assert count_tokens(anthropic, "gpt-4o").tokens == framed + plain + 3


def test_embeddings_and_completions_have_no_frame():
    text = "Where is my parcel?"
    one = count_tokens(Request(body={"input": text}, api="openai.embeddings"), "text-embedding-3-small")
    assert one.exact
    assert one == count_tokens(text, "text-embedding-3-small")
    several = count_tokens(Request(body={"input": [text, text]}, api="openai.embeddings"), "text-embedding-3-small")
    assert several.tokens == 2 * one.tokens
    assert several.exact
    assert count_tokens(Request(body={"prompt": text}, api="openai.completions"), "davinci-002").exact
    for tokens in ([1, 2, 3], [[1], [2, 3]]):
        numbers = Request(body={"input": tokens}, api="openai.embeddings")
        assert (count_tokens(numbers, "text-embedding-3-small").tokens, count_tokens(numbers, "voyage-3").tokens) == (
            3,
            3,
        )


def test_calls_of_tools_and_what_they_gave_are_counted():
    call = {"id": "call_1", "type": "function", "function": {"name": "get_order", "arguments": '{"order": 17}'}}
    messages = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    texts = ("assistant", "get_order", '{"order": 17}')
    assert count_tokens(messages).tokens == sum(count_tokens(text).tokens for text in texts) + 3 + 3
    blocks = [
        {"type": "tool_use", "id": "t", "name": "get_order", "input": {"order": 17}},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "sent"}]},
    ]
    texts = ("user", "get_order", '{"order":17}', "sent")
    counted = count_tokens([{"role": "user", "content": blocks}])
    assert counted.tokens == sum(count_tokens(text).tokens for text in texts) + 3 + 3
    items = [{"type": "function_call", "name": "get_order", "arguments": "{}"}, {"type": "x", "output": "sent"}]
    counted = count_tokens(Request(body={"input": items}, api="openai.responses"), "gpt-4o")
    assert counted.tokens == sum(count_tokens(text).tokens for text in ("get_order", "{}", "sent")) + 6 + 3


def test_nested_properties_and_tools_without_any():
    bare = {"type": "function", "function": {"name": "ping"}}
    flat = {"name": "ping", "description": "Ping.", "input_schema": {"type": "object", "properties": {}}}
    nested = {
        "name": "ping",
        "parameters": {
            "properties": {
                "a": {"type": "object", "properties": {"b": True}},
                "c": {"items": {"properties": {"d": {}}}},
            }
        },
    }
    assert count_tokens(Request(body={"tools": [bare]})).tokens == 7 + count_tokens("ping:").tokens + 12
    assert count_tokens(Request(body={"tools": [flat]})).tokens == 7 + count_tokens("ping:Ping").tokens + 12
    texts = sum(count_tokens(text).tokens for text in ("ping:", "a:object:", "b::", "c::", "d::"))
    assert count_tokens(Request(body={"functions": [nested]})).tokens == 7 + 3 + 4 * 3 + texts + 12


def png(width, height):
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(8)


def gif(width, height):
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(8)


def jpeg(width, height):
    profile = b"\xff\xe1" + struct.pack(">H", 1000) + bytes(998)
    frame = b"\xff\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width) + bytes(10)
    return b"\xff\xd8" + profile + frame


def webp(kind, body):
    return b"RIFF" + struct.pack("<I", 4 + 8 + len(body)) + b"WEBP" + kind + struct.pack("<I", len(body)) + body


def lossy(width, height):
    return webp(b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(8))


def lossless(width, height):
    return webp(b"VP8L", b"\x2f" + struct.pack("<I", width - 1 | height - 1 << 14) + bytes(8))


def extended(width, height):
    return webp(b"VP8X", bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little") + bytes(4))


def shown(image, **fields):
    address = f"data:image/any;base64,{base64.b64encode(image).decode()}"
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": address, **fields}}]}]


FRAME = 3 + 3 + 1


@pytest.mark.parametrize("make", [png, gif, jpeg, lossy, lossless, extended])
def test_an_image_costs_by_its_size_in_any_format(make):
    count = count_tokens(shown(make(1024, 513)), "gpt-4o")
    assert count.tokens == FRAME + 85 + 170 * 4
    assert count.high - count.low == 2


def test_low_detail_costs_the_base_and_families_differ():
    assert count_tokens(shown(png(4096, 4096), detail="low"), "gpt-4o").tokens == FRAME + 85
    assert count_tokens(shown(png(512, 512)), "gpt-4o-mini").tokens == FRAME + 2833 + 5667
    assert count_tokens(shown(png(128, 64)), "gpt-4.1-mini").tokens == FRAME + 13
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(png(750, 1000)).decode()}
    blocks = [{"role": "user", "content": [{"type": "image", "source": source}]}]
    assert abs(count_tokens(blocks, "claude-opus-4-1").tokens - FRAME - 1000) <= 1


@pytest.mark.parametrize("image", [b"", b"not an image", png(0, 5), jpeg(5, 5)[:40], b"RIFF0000WEBPVP9 " + bytes(20)])
def test_an_image_of_unknown_size_has_a_band(image):
    addressed = [{"role": "user", "content": [{"type": "input_image", "image_url": "https://shop.example/a.png"}]}]
    for messages in (addressed, shown(image)):
        count = count_tokens(messages, "gpt-4o")
        assert (count.low, count.tokens, count.high) == (FRAME - 1 + 255, FRAME + 765, FRAME + 1 + 765)
    assert count_tokens(
        [{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64,%%%"}]}]
    )


def test_parts_that_cannot_be_counted_are_said_to_be_left_out():
    content = [{"type": "input_file", "file_id": "f"}, {"type": "text", "text": "Sum it up"}]
    count = count_tokens([{"role": "user", "content": content}], "gpt-4o")
    assert count.uncounted == 1
    assert count.tokens == FRAME + count_tokens("Sum it up").tokens
    assert count_tokens(Request(body={"tools": [{"type": "web_search"}]}), "gpt-4o").uncounted == 1


@pytest.mark.parametrize("content", [None, 3, b"bytes", {"role": "user"}, ["text"], [None], [3]])
def test_what_is_no_message_is_refused(content):
    with pytest.raises(InvalidRequestError, match=r"tokens are counted of|a message is"):
        count_tokens(content)


def nested(depth):
    part = {"type": "text", "text": "x"}
    for _ in range(depth):
        part = {"type": "tool_result", "content": [part]}
    return part


def user(content):
    return [{"role": "user", "content": content}]


def endless():
    schema = {"type": "object"}
    schema["properties"] = {"again": schema}
    return schema


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (user(b"hello world"), "not bytes"),
        (user(5), "not int"),
        (user([5]), "not int"),
        (user([b"hello"]), "not bytes"),
        (user([None]), "not NoneType"),
        (user([{"type": "text", "text": b"hello"}]), "not bytes"),
        (user([{"type": "tool_use", "name": "f", "input": {"a": object()}}]), "plain data"),
        (user([nested(5_000)]), "nested too deeply"),
        ([{"role": "assistant", "tool_calls": 5}], "tool_calls must be a list, not int"),
        ([{"role": "assistant", "tool_calls": "x"}], "tool_calls must be a list, not str"),
        ([{"role": "assistant", "tool_calls": [None]}], "not NoneType"),
        ([[{"role": "user"}]], "not list"),
        (Request(body={"messages": 5}), "messages must be a list, not int"),
        (Request(body={"input": b"x"}), "input must be a list, not bytes"),
        (Request(body={"tools": 5}), "tools must be a list, not int"),
        (Request(body={"tools": ["search"]}), "a tool is a mapping"),
        (Request(body={"tools": [{"name": "f", "input_schema": endless()}]}), "nested too deeply"),
        (Request(body={"tools": [{"name": "f", "input_schema": {"anyOf": 5}}]}), "anyOf must be a list"),
    ],
)
@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-5"])
def test_what_cannot_be_counted_is_one_error_that_says_why(content, said, model):
    with pytest.raises(InvalidRequestError, match=said):
        count_tokens(content, model)


def test_lone_surrogates_are_counted_wherever_they_are():
    lone, replaced = "a\ud800 b", "a\ufffd b"
    for make in (
        lambda text: text,
        user,
        lambda text: user([{"type": "text", "text": text}]),
        lambda text: user([{"type": "tool_use", "name": text, "input": {text: [text]}}]),
        lambda text: [
            {"role": text, "name": text, "tool_calls": [{"function": {"name": "f", "arguments": {"q": text}}}]}
        ],
        lambda text: Request(body={"tools": [{"name": text, "parameters": {"properties": {text: {"enum": [text]}}}}]}),
        lambda text: Request(
            body={"response_format": {"type": "json_schema", "json_schema": {"schema": {"title": text}}}, "input": "x"}
        ),
    ):
        for model in ("gpt-4o", "claude-sonnet-5"):
            assert count_tokens(make(lone), model) == count_tokens(make(replaced), model)


def test_objects_of_client_libraries_and_other_mappings_are_spelled_as_data():
    class Input:
        def model_dump(self):
            return {"order": 17}

    counts = {
        count_tokens(user([{"type": "tool_use", "name": "f", "input": given}])).tokens
        for given in ({"order": 17}, types.MappingProxyType({"order": 17}), Input())
    }
    assert len(counts) == 1
    assert count_tokens(user([{"type": "tool_use", "name": "f", "input": {"n": 10**40}}])).tokens > 20


KEYS = (
    "role", "content", "name", "type", "text", "tool_calls", "function", "custom", "arguments", "input", "output",
    "refusal", "audio", "source", "data", "image_url", "url", "parameters", "input_schema", "properties", "enum",
    "items", "anyOf", "$defs", "$ref", "description", "format", "grammar", "definition", "json_schema", "schema",
    "variables",
)  # fmt: skip
FIELDS = (
    "messages", "input", "prompt", "system", "instructions", "tools", "functions", "tool_choice", "response_format",
    "text", "output_config", "mcp_servers", "conversation", "container",
)  # fmt: skip
KINDS = (
    "text",
    "tool_use",
    "tool_result",
    "image",
    "image_url",
    "document",
    "function",
    "custom",
    "json_schema",
    "any",
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5),
    st.sampled_from(KINDS), st.sampled_from(("\ud800", object(), "user")),
)  # fmt: skip
ANYTHING = st.deferred(
    lambda: LEAVES | st.lists(ANYTHING, max_size=3) | st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=4)
)


@settings(deadline=None, max_examples=400)
@given(
    st.one_of(
        ANYTHING,
        st.lists(st.dictionaries(st.sampled_from(KEYS), ANYTHING), max_size=3),
        st.dictionaries(st.sampled_from(FIELDS), ANYTHING).map(lambda body: Request(body=body)),
    ),
    st.sampled_from(["gpt-4o", "claude-sonnet-5", "unknown"]),
)
def test_whatever_comes_is_counted_within_its_band_or_refused(content, model):
    try:
        count = count_tokens(content, model)
    except InvalidRequestError:
        return
    assert 0 <= count.low <= count.tokens <= count.high


def test_a_count_is_data():
    count = count_tokens(COOKBOOK)
    assert msgspec.json.decode(msgspec.json.encode(count), type=type(count)) == count
