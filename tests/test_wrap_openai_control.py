"""Control per call, customers kept apart, and everything of OpenAI's clients that is not covered stays as it was."""

import copy
import gc
import inspect
import pickle
import threading

import anyio
import openai
import pytest

import resopt
from wrapping import (
    ASKED,
    INPUT,
    MODEL,
    TALK,
    USAGE,
    Face,
    all_of,
    dump,
    dumps,
    face,
    outcomes,
    serving,
    settled,
    simulated,
    task_face,
)

TESTED_WITH = ("OpenAI", "openai")
__all__ = ["face", "serving", "simulated", "task_face"]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]


def ask(client, **fields):
    return settled(client.chat.completions.create(**{**ASKED, **fields}))


def how(answer):
    return resopt.last(answer).outcome


@pytest.mark.parametrize("stream", [False, True])
def test_each_cache_mode(face, simulated, stream):
    async def story(face):
        async with face.client(simulated) as client:

            async def outcome(mode=None):
                with resopt.options(cache=mode):
                    made = await ask(client, stream=stream)
                    if stream:
                        await all_of(made)
                return how(made)

            with pytest.raises(resopt.CacheMissError):
                await outcome("only")
            assert await outcome("bypass") == "bypass"
            assert await outcome() == "miss"
            assert await outcome("only") == "hit"
            assert await outcome("refresh") == "miss"
            assert await outcome("bypass") == "bypass"
            assert await outcome() == "hit"
            assert simulated.stats().requests == 4
            assert outcomes(client) == ["error", "bypass", "miss", "hit", "miss", "bypass", "hit"]

    face.tell(story)


def test_options_nest_and_are_taken_back(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            with resopt.options(tags=["a"], tenant="t"):
                with resopt.options(tags=("b",), cache="refresh"):
                    await ask(client)
                with resopt.options(cache="only"):
                    assert how(await ask(client)) == "hit"
            assert how(await ask(client)) == "miss"
            assert client.resopt.invalidate(tag="b") == 1
            with resopt.options(tenant="t"):
                assert how(await ask(client)) == "miss"

    face.tell(story)


def test_options_of_one_task_are_not_another_s(task_face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            seen = {}

            async def one(name, **settings):
                with resopt.options(**settings):
                    await anyio.sleep(0.02)
                    seen[name] = resopt.last(await ask(client)).key

            async with anyio.create_task_group() as group:
                group.start_soon(one, "plain")
                for name in "ab":
                    group.start_soon(lambda name=name: one(name, tenant=name))
            assert len(set(seen.values())) == 3
            assert simulated.stats().requests == 3

    task_face.tell(story)


def test_options_of_one_thread_are_not_another_s(simulated):
    async def story(face):
        async with face.client(simulated) as client:
            seen = {}
            ready = threading.Barrier(3)

            def one(name):
                with resopt.options(**({"tenant": name} if name else {})):
                    ready.wait()
                    seen[name] = resopt.last(client.chat.completions.create(**ASKED)).key

            threads = [threading.Thread(target=one, args=(name,)) for name in ("", "a", "b")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(set(seen.values())) == 3

    Face("blocking").tell(story)


@pytest.mark.parametrize(
    "wrong",
    [{"cache": "never"}, {"ttl": 0}, {"tags": "one"}, {"tags": [1]}, {"tenant": ""}, {"user": 3}, {"replay_pace": -1}],
)
def test_wrong_options_are_said_at_once(wrong):
    with pytest.raises(resopt.ConfigurationError), resopt.options(**wrong):
        raise AssertionError("not reached")


def test_time_to_live(face, simulated):
    clock = resopt.ManualClock()

    async def story(face):
        wrapping = {"cache": resopt.ResponseCache(clock=clock)}
        async with face.client(simulated, wrapping=wrapping) as client:
            with resopt.options(ttl=10):
                await ask(client)
            assert how(await ask(client)) == "hit"
            clock.advance(11)
            assert how(await ask(client)) == "miss"

    face.tell(story)


def test_a_personal_answer_is_one_user_s(face, simulated):
    body = {"messages": [{"role": "user", "content": "Where is my order?"}]}

    async def story(face):
        async with face.client(simulated) as client:
            assert how(await ask(client, **body)) == "bypass"
            for fields in ({"user": "ann"}, {"safety_identifier": "bob"}):
                assert how(await ask(client, **body, **fields)) == "miss"
                assert how(await ask(client, **body, **fields)) == "hit"
            with resopt.options(user="ann"):
                assert how(await ask(client, **body)) == "hit"
            assert client.resopt.invalidate(user="ann") == 1
            assert how(await ask(client, **body, user="bob")) == "hit"
            assert how(await ask(client, **body, user="ann")) == "miss"

    face.tell(story)


def test_customers_never_meet(face, simulated):
    cache = resopt.ResponseCache()

    async def story(face):
        async with (
            face.client(simulated, wrapping={"cache": cache}) as one,
            face.client(simulated, wrapping={"cache": cache}, api_key="other") as other,
            face.client(simulated, wrapping={"cache": cache}, base_url=simulated.url + "/openai/v1") as elsewhere,
            face.client(simulated, wrapping={"cache": cache}, organization="o") as organized,
            face.client(simulated, wrapping={"cache": cache}, default_headers={"x-a": "b"}) as headed,
            face.client(simulated, wrapping={"cache": cache}) as twin,
        ):
            for client in (one, other, elsewhere, organized, headed):
                assert how(await ask(client)) == "miss"
            assert how(await ask(twin)) == "hit"
            assert how(await ask(one.with_options(api_key="other"))) == "hit"
            assert how(await ask(one.with_options(api_key="third"))) == "miss"
            assert how(await ask(one.with_options(timeout=7, max_retries=1))) == "hit"
            assert how(await ask(one, extra_headers={"x-a": "c"})) == "miss"
            assert how(await ask(one, extra_headers={"x-request-id": "c"})) == "hit"
            with resopt.options(tenant="t"):
                assert how(await ask(one)) == "miss"
                assert how(await ask(other)) == "hit"
                assert how(await ask(organized)) == "hit"
                assert how(await ask(elsewhere)) == "miss"
            one.api_key = "fourth"
            assert how(await ask(one)) == "miss"

    face.tell(story)


def test_no_key_is_kept(face, simulated):
    async def story(face):
        async with face.client(simulated, api_key="sk-a-very-secret-key") as client:
            await ask(client)
            await all_of(await ask(client, stream=True, temperature=0.5))
            held = [ref for ref in gc.get_objects() if type(ref).__name__ == "Stored"]
            assert held
            assert not any("sk-a-very-secret-key" in repr(stored) for stored in held)
            assert "sk-a-very-secret-key" not in repr(client.resopt.ledger.records)

    face.tell(story)


def test_what_is_not_covered_is_the_bare_client_s(face, simulated):
    async def story(face):
        bare = face.bare(simulated)
        client = resopt.wrap(bare)
        kind = openai.OpenAI if face.blocks else openai.AsyncOpenAI
        assert isinstance(client, kind)
        assert type(client).__name__ == kind.__name__
        assert type(client).__module__ == kind.__module__
        assert client.api_key == bare.api_key
        assert client.base_url == bare.base_url
        assert not hasattr(bare, "resopt")
        for path in ("chat", "chat.completions", "responses", "models", "files", "beta", "moderations"):
            mine, its = client, bare
            for name in path.split("."):
                mine, its = getattr(mine, name), getattr(its, name)
            assert isinstance(mine, type(its))
            assert type(mine).__name__ == type(its).__name__
        for name in ("create", "parse", "stream"):
            for api in ("chat", "responses"):
                mine = getattr(client.chat.completions if api == "chat" else client.responses, name)
                its = getattr(bare.chat.completions if api == "chat" else bare.responses, name)
                assert inspect.signature(mine) == inspect.signature(its)
                assert mine.__name__ == its.__name__
                assert mine.__doc__ == its.__doc__
        assert MODEL in [model.id for model in await all_of(client.models.list())]
        await settled(client.moderations.create(input="x"))
        with pytest.raises(openai.NotFoundError):
            await settled(client.files.retrieve("file-1"))
        assert client.resopt.ledger.records == () or client.resopt.ledger.records == []
        await settled(bare.close())

    face.tell(story)


def test_raw_and_streamed_replies_pass_by(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            await ask(client)
            raw = await settled(client.chat.completions.with_raw_response.create(**ASKED))
            assert raw.headers["content-type"] == "application/json"
            assert raw.parse().choices[0].message.content
            other = await settled(client.with_raw_response.chat.completions.create(**ASKED))
            assert other.status_code == 200
            if face.blocks:
                with client.chat.completions.with_streaming_response.create(**ASKED) as reply:
                    assert b"choices" in reply.read()
            else:
                async with client.chat.completions.with_streaming_response.create(**ASKED) as reply:
                    assert b"choices" in await reply.read()
            assert simulated.stats().requests == 4
            assert outcomes(client) == ["miss"]

    face.tell(story)


def test_wrapping_twice_or_something_else_is_refused(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            with pytest.raises(resopt.ConfigurationError, match="wrapped already"):
                resopt.wrap(client)
            with pytest.raises(resopt.ConfigurationError, match="wrapped already"):
                resopt.wrap(client.with_options(timeout=3))

    face.tell(story)
    with pytest.raises(resopt.ConfigurationError, match="not int"):
        resopt.wrap(3)


def test_all_forms_of_arguments(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            first = await ask(client)
            unset = {"temperature": openai.NOT_GIVEN, "tools": getattr(openai, "omit", openai.NOT_GIVEN)}
            for fields in (
                {"messages": iter(TALK)},
                {"messages": (message for message in TALK)},
                unset,
                {"timeout": 30},
                {"extra_body": {}},
                {"extra_headers": {}},
            ):
                hit = await ask(client, **fields)
                assert how(hit) == "hit"
                assert dump(hit) == dump(first)
            added = await ask(client, extra_body={"top_k": 3})
            assert how(added) == "miss"
            assert b'"top_k":3' in simulated.last_request().body.replace(b" ", b"")
            assert how(await ask(client, extra_body={"top_k": 3})) == "hit"
            assert how(await ask(client, extra_body={"top_k": 4})) == "miss"
            assert how(await ask(client, messages=iter(TALK), temperature=0.1)) == "miss"
            assert simulated.stats().requests == 4

    face.tell(story)


def test_answers_are_turned_into_messages(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            miss, hit = await ask(client), await ask(client)
            more = {"role": "user", "content": "And Rust?"}
            first = await ask(client, messages=[*TALK, miss.choices[0].message, more])
            again = await ask(client, messages=[*TALK, hit.choices[0].message, more])
            assert (how(first), how(again)) == ("miss", "hit")
            reply = await settled(client.responses.create(**INPUT))
            for expected in ("miss", "hit"):
                made = await settled(client.responses.create(model=MODEL, input=[*TALK, *reply.output, more]))
                assert how(made) == expected

    face.tell(story)


def test_what_no_key_can_cover_passes_by(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            for _ in range(2):
                body = {"metadata": {"a": "b"}, "logit_bias": {1: 2}}
                made = await ask(client, **body)
                assert made.choices[0].message.content
                assert how(made) in ("bypass", "miss", "hit")
            assert len(outcomes(client)) == 2

    face.tell(story)


def test_each_caller_has_an_answer_of_their_own(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            miss = await ask(client)
            said = miss.choices[0].message.content
            miss.choices[0].message.content = "changed"
            hit = await ask(client)
            assert hit.choices[0].message.content == said
            hit.choices.clear()
            assert (await ask(client)).choices[0].message.content == said
            streamed = await all_of(await ask(client, stream=True))
            streamed[1].choices.clear()
            again = await all_of(await ask(client, stream=True))
            assert again[1].choices
            assert copy.deepcopy(hit) == hit
            assert pickle.loads(pickle.dumps(miss)) == miss
            assert "_resopt" not in repr(hit)
            assert "_resopt" not in hit.model_dump_json()
            assert hit._request_id is None

    face.tell(story)


def test_the_caller_s_messages_are_sent_as_they_were(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            talk = [{"role": "user", "content": "  What is  Python?\r\n"}]
            await ask(client, messages=talk)
            assert b'"  What is  Python?\\r\\n"' in simulated.last_request().body
            assert talk == [{"role": "user", "content": "  What is  Python?\r\n"}]

    face.tell(story)


def test_replay_can_be_paced(face, simulated, monkeypatch):
    slept = []

    async def doze(seconds):
        slept.append(seconds)

    async def story(face):
        async with face.client(simulated, wrapping={"replay_pace": 0.25}) as client:
            whole = await all_of(await ask(client, stream=True, **USAGE))
            assert slept == []
            monkeypatch.setattr("time.sleep", slept.append)
            monkeypatch.setattr("anyio.sleep", doze)
            paced = await all_of(await ask(client, stream=True, **USAGE))
            assert dumps(paced) == dumps(whole)
            assert set(slept) == {0.25}
            assert len(slept) in (len(whole), len(whole) + 1)
            slept.clear()
            with resopt.options(replay_pace=0):
                await all_of(await ask(client, stream=True, **USAGE))
            assert slept == []
            monkeypatch.undo()

    face.tell(story)


def test_the_optimizer_is_at_hand(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            with resopt.options(tags=["docs"]):
                await ask(client)
            await ask(client)
            assert client.resopt.stats.hits == 1
            assert client.resopt.ledger.summary().requests == 2
            assert client.resopt.skipped == {}
            assert client.resopt.cut_off == 0
            assert client.with_options(timeout=3).resopt is client.resopt
            assert client.resopt.invalidate(tag="docs") == 1
            assert how(await ask(client)) == "miss"
            await settled(client.resopt.close())
            with pytest.raises(resopt.ClosedError):
                await ask(client)

    face.tell(story)


def test_resources_are_wrapped_whichever_thread_uses_them_first(simulated):
    async def story(face):
        for _ in range(20):
            async with face.client(simulated) as client:
                ready = threading.Barrier(8)
                found = []

                def look(client=client, ready=ready, found=found):
                    ready.wait()
                    found.append(type(client.chat.completions))

                threads = [threading.Thread(target=look) for _ in range(8)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                assert all("_resopt_grafted" in vars(kind) for kind in found)
                assert len(found) == 8

    Face("blocking").tell(story)


def test_last_knows_nothing_of_others():
    assert resopt.last("text") is None
    assert resopt.last(None) is None
