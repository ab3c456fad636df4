"""The simulated provider asked by the real SDKs: every endpoint, whole and as a stream, and the two are the same."""

import pytest
from pydantic import BaseModel

from resopt.providers.simulated import SimulatedServer

anthropic = pytest.importorskip("anthropic")
openai = pytest.importorskip("openai")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

TALK = [{"role": "user", "content": "What is Python?"}]
PIXEL = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "size": {"type": "integer", "minimum": 3},
        "kind": {"enum": ["a", "b"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "sure": {"type": "boolean"},
    },
    "required": ["name", "size", "kind", "tags", "sure"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": SCHEMA, "strict": True}}
    for name in ("look_up", "write_down")
]


class Shape(BaseModel):
    name: str
    size: int


@pytest.fixture(scope="module")
def running():
    with SimulatedServer(time_scale=0) as server:
        yield server


@pytest.fixture
def server(running):
    running.reset()
    return running


@pytest.fixture
def chat(server):
    with openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(server):
    with anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0) as client:
        yield client


def simulate(wishes):
    return {"extra_headers": {"x-simulate": wishes}}


def fields(model, *without):
    """Everything an SDK object says, but what is new in each reply and what only the SDK added."""
    return {
        name: value
        for name, value in model.model_dump(exclude_none=True).items()
        if name not in ("id", "created", "created_at", "completed_at", *without)
    }


CHATS = {
    "text": {},
    "multi-turn": {
        "messages": [*TALK, {"role": "assistant", "content": "A language."}, {"role": "user", "content": "And Rust?"}]
    },
    "image": {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "See?"}, {"type": "image_url", "image_url": {"url": PIXEL}}],
            }
        ]
    },
    "tools": {"tools": TOOLS, "tool_choice": "required"},
    "named tool": {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "write_down"}}},
    "parallel tools": {"tools": TOOLS, **simulate("tools=3")},
    "text and tools": {"tools": TOOLS, **simulate("tools, text")},
    "json object": {"response_format": {"type": "json_object"}},
    "json schema": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "shape", "strict": True, "schema": SCHEMA}}
    },
    "logprobs": {"logprobs": True, "top_logprobs": 3},
    "refusal": simulate("refusal"),
    "several": {"n": 3},
    "length": {"max_tokens": 4},
    "filter": simulate("filter"),
    "stop": {"stop": ["”"]},
    "cached": simulate("cached=7"),
    "reasoning": simulate("reasoning"),
    "gzip": simulate("gzip"),
    "blank": simulate("blank"),
}


@pytest.mark.parametrize("feature", CHATS)
def test_a_chat_stream_adds_up_to_the_plain_reply(chat, feature):
    from openai.lib.streaming.chat import ChatCompletionStreamState

    body = {"model": "gpt-4o", "messages": TALK, **CHATS[feature]}
    plain = chat.chat.completions.create(**body)
    if feature == "length":
        body["max_completion_tokens"] = body.pop("max_tokens")
    state = ChatCompletionStreamState()
    for chunk in chat.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}):
        state.handle_chunk(chunk)
    whole = state.current_completion_snapshot
    expected = fields(plain, "object")
    streamed = fields(whole, "object")
    for choice in streamed["choices"]:
        for call in choice["message"].get("tool_calls", ()):
            call.pop("index", None)
            call["function"].pop("parsed_arguments", None)
        choice["message"].pop("parsed", None)
    assert streamed == expected


RESPONSES = {
    "text": {},
    "items": {"input": [*TALK, {"role": "assistant", "content": "A language."}, {"role": "user", "content": "Rust?"}]},
    "tools": {"tools": [{"type": "function", **TOOLS[0]["function"]}], "tool_choice": "required"},
    "parallel tools": {"tools": [{"type": "function", **TOOLS[0]["function"]}], **simulate("tools=2, text")},
    "json schema": {"text": {"format": {"type": "json_schema", "name": "shape", "schema": SCHEMA, "strict": True}}},
    "logprobs": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
    "refusal": simulate("refusal"),
    "reasoning": simulate("reasoning"),
    "incomplete": {"max_output_tokens": 4},
    "gzip": simulate("gzip"),
    "blank": simulate("blank"),
}


@pytest.mark.parametrize("feature", RESPONSES)
def test_a_response_stream_adds_up_to_the_plain_reply(chat, feature):
    body = {"model": "gpt-4o", "input": "What is Python?", **RESPONSES[feature]}
    plain = chat.responses.create(**body)
    events = list(chat.responses.create(**body, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    last = events[-1]
    assert last.type == ("response.incomplete" if feature == "incomplete" else "response.completed")
    assert fields(last.response) == fields(plain)
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert [item.model_dump() for item in done] == [item.model_dump() for item in plain.output]
    if feature not in ("incomplete", "blank"):
        with chat.responses.stream(**body) as stream:
            assert stream.get_final_response().output_text == plain.output_text


MESSAGES = {
    "text": {},
    "system": {"system": [{"type": "text", "text": "Be brief."}]},
    "image": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                    {"type": "text", "text": "See?"},
                ],
            }
        ]
    },
    "tools": {"tools": [{"name": "look_up", "input_schema": SCHEMA}], "tool_choice": {"type": "any"}},
    "parallel tools": {"tools": [{"name": "look_up", "input_schema": SCHEMA}], **simulate("tools=2, text")},
    "thinking": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048},
    "json schema": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    "refusal": simulate("refusal"),
    "length": {"max_tokens": 4},
    "stop": {"stop_sequences": ["”"]},
    "cached": simulate("cached=7"),
    "gzip": simulate("gzip"),
    "blank": simulate("blank"),
}


@pytest.mark.parametrize("feature", MESSAGES)
def test_a_message_stream_adds_up_to_the_plain_reply(claude, feature):
    body = {"model": "claude-sonnet-4-5", "max_tokens": 900, "messages": TALK, **MESSAGES[feature]}
    plain = claude.messages.create(**body)
    with claude.messages.stream(**body) as stream:
        whole = stream.get_final_message()
    streamed = fields(whole)
    for block in streamed["content"]:
        block.pop("parsed_output", None)
    assert streamed == fields(plain)
