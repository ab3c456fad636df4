"""LiteLLM's cache: real calls over real HTTP, the simulator counts what arrives."""

import asyncio
import json
import os
import time
import warnings

import pytest

from provider_faces import KEY
from resopt import ManualClock, MissingExtraError, ResponseCache, Scope

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or importing it asks the network for prices
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    litellm = pytest.importorskip("litellm")
    try:
        from resopt.integrations.litellm import ResoptCache
    except MissingExtraError as error:
        pytest.skip(str(error), allow_module_level=True)

from pydantic import BaseModel

# LiteLLM's own: pydantic warnings of its models, and HTTP clients that it closes when the process ends.
pytestmark = pytest.mark.filterwarnings("ignore::Warning")
TESTED_WITH = ("LiteLLM", "litellm", "openai")
QUESTION = "What is Python?"
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


class Cache(ResoptCache):
    """Counts what it was offered to store."""

    offered = 0

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        store = self.cache.set_cache

        def set_cache(*args, **kwargs):
            store(*args, **kwargs)
            self.offered += 1

        self.cache.set_cache = set_cache


@pytest.fixture
def cache(monkeypatch):
    made = Cache()
    monkeypatch.setattr(litellm, "cache", made)
    return made


@pytest.fixture
def call(server, cache):
    """The parameters of a call to the simulator."""

    def call(question=QUESTION, **parameters):
        messages = [{"role": "user", "content": question}]
        usual = {"model": "openai/gpt-4o", "messages": messages, "api_base": server.base_url, "api_key": KEY}
        return usual | {"num_retries": 0, "max_retries": 0} | parameters

    return call


def asked(server):
    return server.stats().requests


def seen():
    """Hits of the cache, and answers it was offered: each call ends in one of them."""
    return litellm.cache.responses.stats.hits + litellm.cache.offered


async def landed(before):
    """LiteLLM stores in tasks and threads of its own, later; what it never offers is not waited for any longer."""
    deadline = time.monotonic() + 1
    while seen() == before and time.monotonic() < deadline:  # noqa: ASYNC110 - its tasks tell nobody
        await asyncio.sleep(0.001)


def run(*calls):
    """The answers of async calls, one after the other."""

    async def main():
        results = []
        for one in calls:
            before = seen()
            result = await litellm.acompletion(**one)
            results.append([chunk async for chunk in result] if one.get("stream") else result)
            await landed(before)
        return results

    return asyncio.run(main())


def blocking(*calls):
    """The answers of blocking calls."""
    results = []
    for one in calls:
        before = seen()
        result = litellm.completion(**one)
        results.append(list(result) if one.get("stream") else result)
        asyncio.run(landed(before))
    return results


@pytest.fixture(params=[blocking, run], ids=["sync", "async"])
def ask(request):
    return request.param


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_a_hit_equals_the_miss_and_asks_nobody(server, call, ask):
    first, second = ask(call(), call())
    assert asked(server) == 1
    assert second.model_dump(exclude_none=True) == first.model_dump(exclude_none=True)
    assert type(second) is type(first)
    assert second is not first


def test_a_hit_belongs_to_its_caller(call, ask):
    _, spoilt = ask(call(), call())
    text = spoilt.choices[0].message.content
    spoilt.choices[0].message.content = "spoilt"
    assert ask(call())[0].choices[0].message.content == text


@pytest.mark.parametrize(
    "other",
    [
        {"model": "openai/gpt-4o-mini"},
        {"temperature": 0.5},
        {"seed": 1},
        {"stop": ["\n\n"]},
        {"top_k": 3},
        {"extra_body": {"anything": 1}},
        {"tools": [TOOL]},
        {"question": QUESTION.lower()},
    ],
    ids=str,
)
def test_other_parameters_have_other_answers(server, call, ask, other):
    ask(call(), call(**other), call(), call(**other))
    assert asked(server) == 2


def test_equal_calls_have_equal_keys_in_any_order(cache, call):
    given = call(temperature=0, seed=1)
    backwards = dict(reversed(given.items()))
    assert cache.get_cache_key(**given) == cache.get_cache_key(**backwards)
    assert cache.get_cache_key(**given) == cache.get_cache_key(**given, user="ann", stream=True, timeout=3, n=None)


def test_the_place_and_the_account_are_in_the_key(cache, call):
    keys = {
        cache.get_cache_key(**call()),
        cache.get_cache_key(**call(api_key="sk-of-somebody-else")),
        cache.get_cache_key(**call(api_base="http://127.0.0.1:1/v1")),
        cache.get_cache_key(**call(), cache={"namespace": "n"}),
    }
    assert len(keys) == 4
    assert not any(KEY in one for one in keys)
    tenant = ResoptCache(scope=Scope(tenant="a"))
    assert tenant.get_cache_key(**call()) == tenant.get_cache_key(**call(api_key="sk-of-somebody-else"))


def test_the_members_of_a_router_group_share(server, cache):
    members = [
        {"model_name": "chat", "litellm_params": {"model": "openai/gpt-4o", "api_base": base, "api_key": KEY}}
        for base in (server.base_url, server.base_url.replace("127.0.0.1", "localhost"))
    ]

    async def main():
        router = litellm.Router(members, num_retries=0, cache_responses=True)
        for _ in range(8):
            before = seen()
            await router.acompletion("chat", [{"role": "user", "content": QUESTION}])
            await landed(before)

    asyncio.run(main())
    assert asked(server) == 1


def test_tenants_never_meet(server, call, monkeypatch):
    shared = ResponseCache()
    for tenant in ("a", "b", "a"):
        monkeypatch.setattr(litellm, "cache", Cache(shared, Scope(tenant=tenant)))
        blocking(call())
    assert asked(server) == 2


def test_a_schema_is_told_by_what_it_holds(cache, call):
    def city(field):
        return type("City", (BaseModel,), {"__annotations__": {field: str}})

    names = [cache.get_cache_key(**call(response_format=city(field))) for field in ("name", "name", "country")]
    assert names[0] == names[1] != names[2]


def test_what_no_key_can_cover_is_asked_each_time(server, cache, call):
    assert cache.get_cache_key(**call(extra_headers=object())) == "unkeyable"
    cache.cache.set_cache("unkeyable", {"timestamp": 1.0, "response": "{}"})
    assert cache.cache.get_cache("unkeyable") is None


def test_tool_calls_are_kept(server, call, ask):
    tools = {"tools": [TOOL], "tool_choice": "required"}
    first, second, chunks = ask(call(**tools), call(**tools), call(**tools, stream=True))
    assert asked(server) == 1
    assert second.choices[0].message.tool_calls == first.choices[0].message.tool_calls
    (called,) = [one for chunk in chunks for one in (chunk.choices[0].delta.tool_calls or ()) if one.function.name]
    assert called.function.name == "weather"


def test_streams_are_kept_and_serve_plain_calls_and_the_reverse(server, call, ask):
    live, replayed, plain = ask(call(stream=True), call(stream=True), call())
    assert asked(server) == 1
    assert text_of(live) == text_of(replayed) == plain.choices[0].message.content != ""
    other = "What is Rust?"
    plain, replayed = ask(call(other), call(other, stream=True))
    assert asked(server) == 2
    assert text_of(replayed) == plain.choices[0].message.content


@pytest.mark.parametrize("fault", ["truncate", "filter"])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_truncated_or_filtered_answer_is_not_stored(server, cache, call, ask, fault, streaming):
    server.next_faults(fault)
    ask(call(stream=streaming))
    assert len(cache.responses) == 0
    ask(call(stream=streaming), call(stream=streaming))
    assert asked(server) == 2


def test_an_error_is_not_stored(server, cache, call, ask):
    server.next_faults("500")
    with pytest.raises(litellm.InternalServerError):
        ask(call())
    assert len(cache.responses) == 0


def chat(finish_reason="stop", **message):
    return {"choices": [{"finish_reason": finish_reason, "message": message}]}


@pytest.mark.parametrize(
    "answer",
    [
        chat("length", content="Yes."),
        chat("content_filter", content="Yes."),
        chat(None, content="Yes."),
        chat(content=" "),
        chat(content=None),
        chat(content="No.", refusal="I cannot."),
        {"choices": []} | chat("length", text="Yes."),
        {"object": "response", "status": "incomplete", "output": []},
        {"object": "response", "status": "completed", "output": [{"content": [{"type": "refusal"}]}]},
        {"type": "message", "stop_reason": "max_tokens", "content": [{"type": "text", "text": "Yes."}]},
        {"type": "message", "stop_reason": "end_turn", "content": []},
    ],
)
def test_what_is_not_good_enough_is_not_stored(cache, answer):
    cache.cache.set_cache("k", {"timestamp": 1.0, "response": json.dumps(answer)})
    assert cache.cache.get_cache("k") is None
    assert len(cache.responses) == 0


@pytest.mark.parametrize(
    "answer",
    [
        chat(content="Yes."),
        chat("tool_calls", content=None, tool_calls=[{"id": "1"}]),
        {"choices": [{"finish_reason": "stop", "text": "Yes."}]},
        {"object": "response", "status": "completed", "output": [{"content": [{"type": "output_text"}]}]},
        {"type": "message", "stop_reason": "end_turn", "content": [{"type": "text", "text": "Yes."}]},
        {"embedding": [0.5], "index": 0, "object": "embedding"},
        {"text": "A transcript."},
    ],
)
def test_what_is_good_comes_back_equal_and_fresh(cache, answer):
    value = {"timestamp": 1.0, "response": answer}
    cache.cache.set_cache("k", value)
    first, second = cache.cache.get_cache("k"), cache.cache.get_cache("k")
    assert first == second == value
    assert first is not second


def test_the_rules_of_freshness_judge_the_last_question(server, cache, call, ask):
    ask(call("What time is it now?"), call("What time is it now?"))
    assert asked(server) == 2
    assert len(cache.responses) == 0


def test_long_conversations_are_kept_too(server, call, ask):
    """LiteLLM's own cache leaves out what has more than four messages."""
    turns = [{"role": role, "content": QUESTION} for role in ("user", "assistant") * 5][:-1]
    ask(call(messages=turns), call(messages=turns))
    assert asked(server) == 1


def test_the_controls_of_a_call_are_honoured(server, call, ask):
    ask(call(cache={"no-store": True}), call(), call(cache={"no-cache": True}))
    assert asked(server) == 3
    ask(call(cache={"s-maxage": 60}))
    assert asked(server) == 3


def test_invalidate_clear_and_time_to_live(server, call, ask, monkeypatch):
    clock = ManualClock()
    cache = Cache(ResponseCache(ttl_seconds=600, clock=clock), tags=("docs",), ttl=60)
    monkeypatch.setattr(litellm, "cache", cache)
    forget = [
        lambda: cache.responses.invalidate(tag="docs"),
        lambda: asyncio.run(cache.delete_cache_keys([cache.get_cache_key(**call())])),
        cache.cache.flush_cache,
        lambda: clock.advance(61),
        lambda: None,
    ]
    for count, one in enumerate(forget, start=1):
        ask(call(), call())
        assert asked(server) == count
        one()


def test_a_calls_own_time_to_live(server, call, monkeypatch):
    clock = ManualClock()
    monkeypatch.setattr(litellm, "cache", Cache(ResponseCache(clock=clock)))
    blocking(call(cache={"ttl": 10}))
    clock.advance(11)
    blocking(call())
    assert asked(server) == 2


def test_embeddings_are_kept_each_on_its_own(cache, monkeypatch):
    value = {"timestamp": 1.0, "response": {"embedding": [1.0]}}
    asyncio.run(cache.cache.async_set_cache_pipeline([("a", value), ("b", value)], input=["What time is it now?"]))
    assert asyncio.run(cache.cache.async_get_cache("a")) == value
    assert len(cache.responses) == 2


def test_many_at_once_get_answers_of_their_own(server, call):
    async def main():
        await litellm.acompletion(**call())
        await landed(0)
        return await asyncio.gather(*(litellm.acompletion(**call()) for _ in range(20)))

    answers = asyncio.run(main())
    assert asked(server) == 1
    assert len({id(answer) for answer in answers}) == 20
    assert len({answer.choices[0].message.content for answer in answers}) == 1
