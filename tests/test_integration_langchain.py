"""LangChain's cache: real models over real HTTP, the simulator counts what they ask it."""

import json
import sys

import anyio
import httpx
import pytest

from provider_faces import KEY
from resopt import ManualClock, ResponseCache, Scope

pytest.importorskip("langchain_openai")

from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.language_models import FakeListChatModel, FakeListLLM
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, create_model

from resopt.integrations.langchain import ResoptCache

TESTED_WITH = ("LangChain", "langchain-core", "langchain-openai", "openai")
QUESTION = "What is Python?"
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture
def cache():
    return ResoptCache()


@pytest.fixture
def chat(server, cache):
    """A chat model against the simulator; each call makes one more, with the settings given.

    Each has the same HTTP client: LangChain would never close its own.
    """

    def chat(**settings):
        usual = {"model": "gpt-4o", "base_url": server.base_url, "api_key": KEY, "cache": cache, "max_retries": 0}
        return ChatOpenAI(**(usual | {"http_client": client} | settings))

    with httpx.Client() as client:
        yield chat


def asked(server):
    return server.stats().requests


def plain(message):
    """A message as data, without the cost that LangChain itself writes on what came from a cache."""
    data = message.model_dump()
    data["usage_metadata"].pop("total_cost", None)
    return data


def test_a_hit_equals_the_miss_and_asks_nobody(server, chat):
    first, second = chat().invoke(QUESTION), chat().invoke(QUESTION)
    assert asked(server) == 1
    assert plain(first) == plain(second)
    assert second.usage_metadata["input_tokens"] > 0
    assert second.response_metadata["finish_reason"] == "stop"
    assert type(second) is AIMessage


def test_a_hit_belongs_to_its_caller(chat):
    chat().invoke(QUESTION)
    spoilt = chat().invoke(QUESTION)
    spoilt.content = "spoilt"
    spoilt.response_metadata.clear()
    again = chat().invoke(QUESTION)
    assert again.content != "spoilt"
    assert again.response_metadata


def test_what_the_first_caller_changes_is_not_stored(chat):
    first = chat().invoke(QUESTION)
    text, first.content = first.content, "spoilt"
    assert chat().invoke(QUESTION).content == text


@pytest.mark.parametrize(
    "other",
    [
        {"model": "gpt-4o-mini"},
        {"temperature": 0.5},
        {"seed": 1},
        {"stop": ["\n\n"]},
        {"logit_bias": {"1": 2}},
    ],
    ids=str,
)
def test_other_settings_have_other_answers(server, chat, other):
    chat().invoke(QUESTION)
    chat(**other).invoke(QUESTION)
    assert asked(server) == 2


def test_other_words_and_other_tools_have_other_answers(server, chat):
    chat().invoke(QUESTION)
    chat().invoke(QUESTION.lower())
    chat().invoke([("system", "Be brief."), ("human", QUESTION)])
    chat().bind_tools([TOOL]).invoke(QUESTION)
    assert asked(server) == 4


def test_tenants_never_meet(server, chat):
    shared = ResponseCache()
    for tenant in ("a", "b", "a"):
        chat(cache=ResoptCache(shared, Scope(tenant=tenant))).invoke(QUESTION)
    assert asked(server) == 2


def test_tool_calls_are_kept(server, chat):
    model = chat().bind_tools([TOOL], tool_choice="required")
    first, second = model.invoke(QUESTION), model.invoke(QUESTION)
    assert asked(server) == 1
    assert second.tool_calls == first.tool_calls != []
    assert plain(first) == plain(second)


def test_a_conversation_is_found_again_turn_by_turn(server, chat):
    """LangChain writes a cost into the history that a hit made; no model sees it, so it changes no key."""
    for _ in range(2):
        history = [HumanMessage(QUESTION)]
        history += [chat().invoke(history), HumanMessage("And what is Rust?")]
        chat().invoke(history)
    assert asked(server) == 2


class City(BaseModel):
    name: str


def schema_of(fields):
    return create_model("City", __module__=__name__, **dict.fromkeys(fields, (str, ...)))


def test_structured_output_is_known_by_its_schema_not_its_name(monkeypatch, cache):
    """LangChain tells its cache the name of the class alone."""
    told = f"---[('response_format', {City})]"
    cache.update("p", told, [message('{"name": "Rome"}')])
    assert cache.lookup("p", told)
    monkeypatch.setattr(sys.modules[__name__], "City", schema_of(["country"]))
    assert cache.lookup("p", told) is None
    monkeypatch.setattr(sys.modules[__name__], "City", schema_of(["name"]))
    assert cache.lookup("p", told)


@pytest.mark.parametrize("told", ["<class 'nowhere.City'>", "<class 'a.b.<locals>.City'>", "<function f at 0x7f12>"])
def test_what_has_only_a_name_is_not_stored(cache, told):
    cache.update("p", told, [message()])
    assert cache.lookup("p", told) is None
    assert len(cache.cache) == 0


def test_the_real_models_structured_output_is_asked_once(server, chat, cache):
    for _ in range(2):
        assert isinstance(chat().with_structured_output(City, method="json_schema").invoke(QUESTION), City)
    assert asked(server) == 1
    for _ in range(2):
        chat().with_structured_output(City, method="function_calling", include_raw=True).invoke(QUESTION)
    assert asked(server) == 2


def test_structured_output_is_parsed_from_a_hit(server, chat, cache):
    parsed = AIMessage('{"name": "Rome"}', additional_kwargs={"parsed": City(name="Rome")})
    cache.update("p", "l", [ChatGeneration(message=parsed)])
    assert cache.lookup("p", "l")[0].message.additional_kwargs["parsed"] == {"name": "Rome"}


@pytest.mark.parametrize("fault", ["truncate", "filter"])
def test_a_truncated_or_filtered_answer_is_not_stored(server, chat, cache, fault):
    server.next_faults(fault)
    chat().invoke(QUESTION)
    chat().invoke(QUESTION)
    assert asked(server) == 2
    assert sum(cache.cache.stats.not_admitted.values()) == 1
    chat().invoke(QUESTION)
    assert asked(server) == 2


def message(content="Yes.", **fields):
    return ChatGeneration(message=AIMessage(content, **fields))


@pytest.mark.parametrize(
    ("reason", "generations"),
    [
        ("length", [message(response_metadata={"finish_reason": "length"})]),
        ("max_tokens", [message(response_metadata={"stop_reason": "max_tokens"})]),
        ("MAX_TOKENS", [message(response_metadata={"finish_reason": "MAX_TOKENS"})]),
        ("incomplete", [message(response_metadata={"status": "incomplete"})]),
        ("filter", [Generation(text="Yes.", generation_info={"finish_reason": "content_filter"})]),
        ("refusal", [message(additional_kwargs={"refusal": "I cannot."})]),
        ("refused part", [message([{"type": "refusal", "refusal": "I cannot."}])]),
        ("empty", [message(" ")]),
        ("only thoughts", [message([{"type": "thinking", "thinking": "Hm."}])]),
        ("one of two", [message(), message(response_metadata={"finish_reason": "length"})]),
        ("one of two is empty", [message(), message("")]),
        (
            "call that does not parse",
            [message(invalid_tool_calls=[{"name": "f", "args": "{", "id": "1", "error": "e"}])],
        ),
        ("nothing", []),
        ("not to be loaded", [message(additional_kwargs={"made of": object()})]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_good_enough_is_not_stored(cache, reason, generations):
    cache.update("p", "l", generations)
    assert cache.lookup("p", "l") is None
    assert len(cache.cache) == 0


@pytest.mark.parametrize(
    "generations",
    [
        [message()],
        [message(), message("No.")],
        [Generation(text="Yes.", generation_info={"finish_reason": "stop"})],
        [message(response_metadata={"finish_reason": "STOP"})],
        [message(response_metadata={"status": "completed"})],
        [message("", tool_calls=[{"name": "f", "args": {"a": 1}, "id": "1"}])],
        [message([{"type": "image", "base64": "AAAA"}])],
        [message([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes."}])],
        [message("Yes.", additional_kwargs={"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {}})],
    ],
)
def test_what_is_good_comes_back_equal_and_fresh(cache, generations):
    cache.update("p", "l", generations)
    first, second = cache.lookup("p", "l"), cache.lookup("p", "l")
    assert first == second == generations
    assert first[0] is not second[0]


def test_the_rules_of_freshness_judge_the_last_question(server, chat, cache):
    for _ in range(2):
        chat().invoke([("system", "Today is Monday."), ("human", [{"type": "text", "text": "What time is it now?"}])])
    assert asked(server) == 2
    assert len(cache.cache) == 0


def test_a_personal_answer_is_its_users_own(server, chat):
    shared = ResponseCache()
    for user in ("ann", "bob", "ann"):
        chat(cache=ResoptCache(shared, Scope(user=user))).invoke("Where is my order?")
    assert asked(server) == 2


def test_invalidate_clear_and_time_to_live(server, chat):
    clock = ManualClock()
    cache = ResoptCache(ResponseCache(ttl_seconds=60, clock=clock), tags=("docs",))
    model = chat(cache=cache)
    for count, forget in enumerate(
        [lambda: cache.cache.invalidate(tag="docs"), cache.clear, lambda: clock.advance(61), lambda: None], start=1
    ):
        model.invoke(QUESTION)
        model.invoke(QUESTION)
        assert asked(server) == count
        forget()
    assert cache.cache.stats.hits == 4


def test_async_calls_hit_in_the_loops_own_thread(server, chat, cache, monkeypatch):
    """LangChain's own async face of a cache asks in an executor; this one must not."""

    def refuse(*_):
        raise AssertionError("a thread for a memory cache")

    monkeypatch.setattr("langchain_core.caches.run_in_executor", refuse)

    async def main():
        async with httpx.AsyncClient() as client:
            model = chat(http_async_client=client)
            first, second = await model.ainvoke(QUESTION), await model.ainvoke(QUESTION)
        await cache.aclear()
        assert len(cache.cache) == 0
        return first, second

    first, second = anyio.run(main)
    assert asked(server) == 1
    assert plain(first) == plain(second)


def test_many_at_once_get_equal_answers(server, chat):
    async def main():
        async with httpx.AsyncClient() as client:
            model = chat(http_async_client=client)
            await model.ainvoke(QUESTION)
            return await model.abatch([QUESTION] * 50)

    answers = anyio.run(main)
    assert asked(server) == 1
    assert len({answer.content for answer in answers}) == 1
    assert len({id(answer) for answer in answers}) == 50


def test_an_answer_that_invoke_streamed_inside_is_kept(server, chat):
    """With `streaming=True` invoke puts its answer together from a stream."""
    model = chat(streaming=True)
    first, second = model.invoke(QUESTION), model.invoke(QUESTION)
    assert asked(server) == 1
    assert first.content == second.content


def test_stream_asks_no_cache(server, chat, cache):
    """As documented: if LangChain ever does, the documentation is to change."""
    for _ in range(2):
        list(chat().stream(QUESTION))
    assert asked(server) == 2
    assert cache.cache.stats.misses == 0


def test_the_cache_for_all_models(cache):
    before = get_llm_cache()
    set_llm_cache(cache)
    try:
        model = FakeListChatModel(responses=["one", "two"])
        assert [model.invoke("Hello there, world").content for _ in range(2)] == ["one", "one"]
        text = FakeListLLM(responses=["one", "two"])
        assert [text.invoke("Hello there, world") for _ in range(2)] == ["one", "one"]
        assert [text.invoke(json.dumps([{"a": float("nan")}])) for _ in range(2)] == ["two", "two"]
    finally:
        set_llm_cache(before)
