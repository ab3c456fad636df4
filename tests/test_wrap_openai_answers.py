"""Every covered method of OpenAI's clients, wrapped: a miss equals the bare client, a hit equals the miss, one call."""

import openai
import pytest
from pydantic import BaseModel

import resopt
from wrapping import (
    ASKED,
    FLAT_TOOLS,
    INPUT,
    MODEL,
    PIXEL,
    SCHEMA,
    TALK,
    TOOLS,
    USAGE,
    all_of,
    balanced,
    dump,
    dumps,
    face,
    outcomes,
    serving,
    settled,
    simulate,
    simulated,
    told,
)

TESTED_WITH = ("OpenAI", "openai")
__all__ = ["face", "serving", "simulated"]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]


class Shape(BaseModel):
    name: str
    size: int


class LookUp(BaseModel):
    name: str


REFUSED = {"extra_headers": {"x-simulate": "refusal"}}
SEVERAL_TURNS = [*TALK, {"role": "assistant", "content": "A language."}, {"role": "user", "content": "And Rust?"}]
CHATS = {
    "text": {},
    "multi-turn": {"messages": SEVERAL_TURNS},
    "image": {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "See?"}, {"type": "image_url", "image_url": {"url": PIXEL}}],
            }
        ]
    },
    "tools": {"tools": TOOLS, "tool_choice": "required"},
    "parallel tools": {"tools": TOOLS, **simulate("tools=3, text")},
    "json object": {"response_format": {"type": "json_object"}},
    "json schema": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "shape", "strict": True, "schema": SCHEMA}}
    },
    "logprobs": {"logprobs": True, "top_logprobs": 3},
    "several": {"n": 3},
    "cached": simulate("cached=7"),
    "reasoning": simulate("reasoning"),
    "gzip": simulate("gzip"),
    "refusal": REFUSED,
}
RESPONSES = {
    "text": {},
    "multi-turn": {"input": SEVERAL_TURNS},
    "tools": {"tools": FLAT_TOOLS, "tool_choice": "required"},
    "parallel tools": {"tools": FLAT_TOOLS, **simulate("tools=2, text")},
    "json schema": {"text": {"format": {"type": "json_schema", "name": "shape", "schema": SCHEMA, "strict": True}}},
    "logprobs": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
    "reasoning": simulate("reasoning"),
    "gzip": simulate("gzip"),
    "refusal": REFUSED,
}
CALLS = [
    *(("chat", feature, {**ASKED, **fields}) for feature, fields in CHATS.items()),
    *(("responses", feature, {**INPUT, **fields}) for feature, fields in RESPONSES.items()),
]
ALL_CALLS = pytest.mark.parametrize(("api", "feature", "body"), CALLS, ids=[f"{api} {name}" for api, name, _ in CALLS])


def resource(client, api):
    return client.chat.completions if api == "chat" else client.responses


def kinds(value):
    """The classes of an answer, all the way down."""
    if isinstance(value, BaseModel):
        return type(value), {name: kinds(inner) for name, inner in value}
    return [kinds(inner) for inner in value] if isinstance(value, list) else type(value)


def spoil(value):
    """Change everything in an answer that can be changed: nobody else's may be touched by it."""
    if isinstance(value, BaseModel):
        for inner in vars(value).values():
            spoil(inner)
        for name in type(value).model_fields:
            setattr(value, name, "spoilt")
        value.__pydantic_fields_set__.add("spoilt")
        if value.__pydantic_extra__ is not None:
            value.__pydantic_extra__["spoilt"] = True
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            spoil(inner)
        value.clear()


def keeping_refusals():
    return {"cache": resopt.ResponseCache(refusals=True)}


@ALL_CALLS
def test_a_whole_answer(face, simulated, api, feature, body):
    async def story(face):
        bare = face.bare(simulated)
        expected = await settled(resource(bare, api).create(**body))
        await settled(bare.close())
        simulated.reset()
        async with face.client(simulated, wrapping=keeping_refusals()) as client:
            miss = await settled(resource(client, api).create(**body))
            hit = await settled(resource(client, api).create(**body))
            assert told(dump(miss)) == told(dump(expected))
            again = [hit, *[await settled(resource(client, api).create(**body)) for _ in range(3)]]
            for another in again:
                assert dump(another) == dump(miss)
                assert dump(another, exclude_unset=True) == dump(miss, exclude_unset=True)
                assert kinds(another) == kinds(miss) == kinds(expected)
                assert another == miss
                assert (another._request_id, resopt.last(another).outcome) == (None, "hit")
                spoil(another)
            assert len({id(another) for another in again}) == 4
            assert len({resopt.last(another).id for another in again}) == 4
            assert simulated.stats().requests == 1
            assert outcomes(client) == ["miss", *["hit"] * 4]
            assert resopt.last(hit).avoided == resopt.last(miss).cost > 0
            assert balanced(client)

    face.tell(story)


@ALL_CALLS
def test_a_stream(face, simulated, api, feature, body):
    options = USAGE if api == "chat" else {}

    async def story(face):
        bare = face.bare(simulated)
        asked = {**body, **options, "stream": True}
        expected = await all_of(await settled(resource(bare, api).create(**asked)))
        await settled(bare.close())
        simulated.reset()
        async with face.client(simulated, wrapping=keeping_refusals()) as client:
            miss_stream = await settled(resource(client, api).create(**asked))
            miss = await all_of(miss_stream)
            hit_stream = await settled(resource(client, api).create(**asked))
            hit = await all_of(hit_stream)
            assert isinstance(hit_stream, openai.Stream if face.blocks else openai.AsyncStream)
            name = "Stream" if face.blocks else "AsyncStream"
            assert type(hit_stream).__name__ == type(miss_stream).__name__ == name
            assert told(dumps(miss)) == told(dumps(expected))
            assert dumps(hit) == dumps(miss)
            assert kinds(hit) == kinds(miss) == kinds(expected)
            assert simulated.stats().requests == 1
            assert outcomes(client) == ["miss", "hit"]
            assert resopt.last(miss_stream).outcome == "miss"
            assert resopt.last(hit_stream).avoided == resopt.last(miss_stream).cost > 0
            assert resopt.last(miss_stream).usage.output_tokens > 0
            assert balanced(client)
            await settled(hit_stream.close())
            await settled(miss_stream.close())
            assert outcomes(client) == ["miss", "hit"]

    face.tell(story)


@ALL_CALLS
def test_a_stream_serves_a_whole_answer(face, simulated, api, feature, body):
    options = USAGE if api == "chat" else {}

    async def story(face):
        async with face.client(simulated, wrapping=keeping_refusals()) as client:
            await all_of(await settled(resource(client, api).create(**body, **options, stream=True)))
            hit = await settled(resource(client, api).create(**body))
            assert simulated.stats().requests == 1
            assert outcomes(client) == ["miss", "hit"]
            with resopt.options(cache="bypass"):
                expected = await settled(resource(client, api).create(**body))
            assert told(dump(hit)) == told(dump(expected))
            assert kinds(hit) == kinds(expected)

    face.tell(story)


@ALL_CALLS
def test_a_whole_answer_serves_a_stream(face, simulated, api, feature, body):
    options = USAGE if api == "chat" else {}

    async def story(face):
        async with face.client(simulated, wrapping=keeping_refusals()) as client:
            whole = await settled(resource(client, api).create(**body))
            hit = await all_of(await settled(resource(client, api).create(**body, **options, stream=True)))
            assert simulated.stats().requests == 1
            assert outcomes(client) == ["miss", "hit"]
            if api == "responses":
                assert dump(hit[-1].response) == dump(whole)
                assert hit[-1].type == "response.completed"
            else:
                assert hit[-1].usage == whole.usage
                texts = {}
                for chunk in hit:
                    for choice in chunk.choices:
                        said = choice.delta.content or choice.delta.refusal or ""
                        texts[choice.index] = texts.get(choice.index, "") + said
                messages = {choice.index: choice.message for choice in whole.choices}
                assert texts == {index: message.content or message.refusal or "" for index, message in messages.items()}

    face.tell(story)


def test_usage_is_in_a_stream_only_where_it_was_asked_for(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            with_usage = await all_of(await settled(client.chat.completions.create(**ASKED, **USAGE, stream=True)))
            without = await all_of(await settled(client.chat.completions.create(**ASKED, stream=True)))
            again = await all_of(await settled(client.chat.completions.create(**ASKED, **USAGE, stream=True)))
            assert with_usage[-1].usage is not None
            assert all(chunk.usage is None for chunk in without)
            assert len(without) == len(with_usage) - 1
            assert dumps(again) == dumps(with_usage)
            assert simulated.stats().requests == 1

    face.tell(story)


def test_a_stream_without_usage_does_not_serve_who_needs_it(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            await all_of(await settled(client.chat.completions.create(**ASKED, stream=True)))
            whole = await settled(client.chat.completions.create(**ASKED))
            assert whole.usage is not None
            assert resopt.last(whole).outcome == "miss"
            assert simulated.stats().requests == 2
            with_usage = await all_of(await settled(client.chat.completions.create(**ASKED, **USAGE, stream=True)))
            assert with_usage[-1].usage == whole.usage
            assert simulated.stats().requests == 2
            assert outcomes(client) == ["miss", "miss", "hit"]

    face.tell(story)


PARSES = {
    "schema": {"response_format": Shape},
    "tool": {"tools": [openai.pydantic_function_tool(LookUp)], "tool_choice": "required"},
    "plain": {},
    "refusal": {"response_format": Shape, **REFUSED},
}


@pytest.mark.parametrize("feature", PARSES)
def test_chat_parse(face, simulated, feature):
    body = {**ASKED, **PARSES[feature]}

    async def story(face):
        bare = face.bare(simulated)
        expected = await settled(bare.chat.completions.parse(**body))
        await settled(bare.close())
        simulated.reset()
        async with face.client(simulated, wrapping=keeping_refusals()) as client:
            miss = await settled(client.chat.completions.parse(**body))
            hit = await settled(client.chat.completions.parse(**body))
            assert told(dump(miss)) == told(dump(expected))
            assert dump(hit) == dump(miss)
            assert kinds(hit) == kinds(miss) == kinds(expected)
            if feature == "schema":
                assert isinstance(hit.choices[0].message.parsed, Shape)
            assert simulated.stats().requests == 1
            assert outcomes(client) == ["miss", "hit"]
            assert resopt.last(hit).outcome == "hit"

    face.tell(story)


RESPONSE_PARSES = {
    "schema": {"text_format": Shape},
    "tool": {"tools": [openai.pydantic_function_tool(LookUp)], "tool_choice": "required"},
    "plain": {},
    "refusal": {"text_format": Shape, **REFUSED},
}


@pytest.mark.parametrize("feature", RESPONSE_PARSES)
def test_responses_parse(face, simulated, feature):
    body = {**INPUT, **RESPONSE_PARSES[feature]}

    async def story(face):
        bare = face.bare(simulated)
        expected = await settled(bare.responses.parse(**body))
        await settled(bare.close())
        simulated.reset()
        async with face.client(simulated, wrapping=keeping_refusals()) as client:
            miss = await settled(client.responses.parse(**body))
            hit = await settled(client.responses.parse(**body))
            assert told(dump(miss)) == told(dump(expected))
            assert dump(hit) == dump(miss)
            assert kinds(hit) == kinds(miss) == kinds(expected)
            assert simulated.stats().requests == 1
            assert outcomes(client) == ["miss", "hit"]
            assert resopt.last(hit).outcome == "hit"

    face.tell(story)


async def helped(face, manager):
    """The events of a `.stream()` helper, and its final answer."""
    if face.blocks:
        with manager as stream:
            return list(stream), finish(stream)(), resopt.last(stream)
    async with manager as stream:
        return [event async for event in stream], await finish(stream)(), resopt.last(stream)


def finish(stream):
    return stream.get_final_completion if hasattr(stream, "get_final_completion") else stream.get_final_response


@pytest.mark.parametrize("feature", PARSES)
def test_chat_stream(face, simulated, feature):
    body = {**ASKED, **PARSES[feature], **USAGE}

    async def story(face):
        bare = face.bare(simulated)
        expected, final, trace = await helped(face, bare.chat.completions.stream(**body))
        assert trace is None
        await settled(bare.close())
        simulated.reset()
        async with face.client(simulated, wrapping=keeping_refusals()) as client:
            miss, miss_final, _ = await helped(face, client.chat.completions.stream(**body))
            hit, hit_final, trace = await helped(face, client.chat.completions.stream(**body))
            assert told(dumps(miss)) == told(dumps(expected))
            assert told(dump(miss_final)) == told(dump(final))
            assert dumps(hit) == dumps(miss)
            assert dump(hit_final) == dump(miss_final)
            assert kinds(hit_final) == kinds(final)
            assert simulated.stats().requests == 1
            assert trace.outcome == "hit"

    face.tell(story)


@pytest.mark.parametrize("feature", RESPONSE_PARSES)
def test_responses_stream(face, simulated, feature):
    body = {**INPUT, **RESPONSE_PARSES[feature]}

    async def story(face):
        bare = face.bare(simulated)
        expected, final, _ = await helped(face, bare.responses.stream(**body))
        await settled(bare.close())
        simulated.reset()
        async with face.client(simulated, wrapping=keeping_refusals()) as client:
            miss, miss_final, _ = await helped(face, client.responses.stream(**body))
            hit, hit_final, trace = await helped(face, client.responses.stream(**body))
            assert told(dumps(miss)) == told(dumps(expected))
            assert told(dump(miss_final)) == told(dump(final))
            assert dumps(hit) == dumps(miss)
            assert dump(hit_final) == dump(miss_final)
            assert simulated.stats().requests == 1
            assert trace.outcome == "hit"

    face.tell(story)


def test_azure(face, simulated):
    async def story(face):
        async with face.client(simulated, azure=True) as client:
            miss = await settled(client.chat.completions.create(**ASKED))
            hit = await settled(client.chat.completions.create(**ASKED))
            assert dump(hit) == dump(miss)
            streamed = await all_of(await settled(client.chat.completions.create(**ASKED, stream=True)))
            said = "".join(chunk.choices[0].delta.content or "" for chunk in streamed)
            assert said == miss.choices[0].message.content
            assert simulated.stats().requests == 1
            assert f"/openai/deployments/{MODEL}/" in simulated.last_request().path
            copied = client.with_options(timeout=5)
            assert resopt.last(await settled(copied.chat.completions.create(**ASKED))).outcome == "hit"

    face.tell(story)
