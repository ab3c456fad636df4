"""What goes wrong upstream reaches OpenAI's callers as the library's own errors, and is never kept."""

import threading

import anyio
import openai
import pytest

import resopt
from wrapping import (
    ASKED,
    INPUT,
    TALK,
    USAGE,
    Face,
    all_of,
    balanced,
    face,
    outcomes,
    serving,
    settled,
    simulate,
    simulated,
    task_face,
)

TESTED_WITH = ("OpenAI", "openai")
__all__ = ["face", "serving", "simulated", "task_face"]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]

BODIES = {"chat": ASKED, "responses": INPUT}
BROKEN = {
    "dies": "die=3",
    "dies at once": "die=0",
    "error event": "error_event=3",
    "cut": "cut=3",
    "unended": "unended",
    "disconnect": "disconnect",
    "stall": "stall=5, stall_at=2",
}


def create(client, api):
    return client.chat.completions.create if api == "chat" else client.responses.create


async def outcome_of(call):
    """The events that came, and the error that ended them."""
    events = []
    try:
        stream = await settled(call())
        if hasattr(stream, "__anext__"):
            async for event in stream:
                events.append(event)  # noqa: PERF401
        else:
            for event in stream:
                events.append(event)  # noqa: PERF402
    except Exception as error:
        return len(events), type(error), str(error)
    return len(events), None, ""


@pytest.mark.parametrize("api", BODIES)
@pytest.mark.parametrize("way", BROKEN)
def test_a_broken_stream(face, simulated, api, way):
    patience = 0.5 if way == "stall" else 30  # what is to be seen of the others is no timeout, however busy the machine
    body = {**BODIES[api], "stream": True, "timeout": patience, **simulate(BROKEN[way])}

    async def story(face):
        bare = face.bare(simulated)
        expected = await outcome_of(lambda: create(bare, api)(**body))
        await settled(bare.close())
        simulated.reset()
        async with face.client(simulated) as client:
            assert await outcome_of(lambda: create(client, api)(**body)) == expected
            assert client.resopt.stats.entries == (1 if way == "unended" and api == "chat" else 0)
            assert len(outcomes(client)) == 1
            assert outcomes(client) == ["miss" if expected[1] is None else "error"]
            await outcome_of(lambda: create(client, api)(**body))
            assert simulated.stats().requests == (1 if way == "unended" and api == "chat" else 2)
            assert balanced(client)

    face.tell(story)


@pytest.mark.parametrize("api", BODIES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_status_error(face, simulated, api, stream, status):
    body = {**BODIES[api], "stream": stream, **simulate(f"status={status}")}

    async def story(face):
        bare = face.bare(simulated)
        with pytest.raises(openai.APIStatusError) as expected:
            await settled(create(bare, api)(**body))
        await settled(bare.close())
        async with face.client(simulated) as client:
            with pytest.raises(openai.APIStatusError) as raised:
                await settled(create(client, api)(**body))
            assert type(raised.value) is type(expected.value)
            assert raised.value.status_code == status
            assert raised.value.body == expected.value.body
            assert raised.value.response.status_code == status
            assert outcomes(client) == ["error"]

    face.tell(story)


@pytest.mark.parametrize("stream", [False, True])
def test_all_who_wait_get_the_error_each_their_own(task_face, simulated, stream):
    async def story(face):
        errors = []

        async def ask(client):
            try:
                await client.chat.completions.create(**ASKED, stream=stream, **simulate("status=503, first_byte=0.2"))
            except openai.InternalServerError as error:
                errors.append(error)

        async with face.client(simulated) as client:
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(ask, client)
            assert len(errors) == 20
            assert len({id(error) for error in errors}) == 20
            assert {error.status_code for error in errors} == {503}
            assert simulated.stats().requests == 1
            assert outcomes(client) == ["error"] * 20

    task_face.tell(story)


@pytest.mark.parametrize("stream", [False, True])
def test_all_threads_that_wait_get_the_error(simulated, stream):
    errors = []
    ready = threading.Barrier(10)

    def ask(client):
        ready.wait()
        try:
            client.chat.completions.create(**ASKED, stream=stream, **simulate("status=503, first_byte=0.3"))
        except openai.InternalServerError as error:
            errors.append(error)

    async def story(face):
        async with face.client(simulated) as client:
            threads = [threading.Thread(target=ask, args=(client,)) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len({id(error) for error in errors}) == 10
            assert simulated.stats().requests == 1

    Face("blocking").tell(story)


@pytest.mark.parametrize("stream", [False, True])
def test_retries_are_the_clients_own(face, simulated, stream):
    async def story(face):
        async with face.client(simulated, max_retries=2) as client:
            simulated.next_faults("status=500, retry_after=0.01", "status=429, retry_after=0.01")
            made = await settled(client.chat.completions.create(**ASKED, stream=stream))
            if stream:
                await all_of(made)
            assert resopt.last(made).outcome == "miss"
            assert simulated.stats().requests == 3
            assert outcomes(client) == ["miss"]

    face.tell(story)


REFUSED = {
    "length": {"max_tokens": 4},
    "filter": simulate("filter"),
    "blank": simulate("blank"),
    "refusal": simulate("refusal"),
    "error body": simulate("error_body"),
    "empty": simulate("empty"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("why", REFUSED)
def test_what_is_no_good_answer_is_not_kept(face, simulated, why, stream):
    if stream and why in ("error body", "empty"):
        pytest.skip("a reply in one piece to who asked for a stream is no stream")
    body = {**ASKED, **REFUSED[why], "stream": stream}

    async def story(face):
        async with face.client(simulated) as client:
            for _ in range(2):
                made = await settled(client.chat.completions.create(**body))
                if stream:
                    await all_of(made)
                steps = resopt.last(made).steps
                assert [step.action for step in steps if step.stage == "admit"] == ["refused"]
            assert simulated.stats().requests == 2
            assert outcomes(client) == ["miss", "miss"]
            assert client.resopt.stats.entries == 0
            assert balanced(client)

    face.tell(story)


@pytest.mark.parametrize("why", ["error body", "html"])
def test_an_error_with_status_200_is_what_the_bare_client_makes_of_it(face, simulated, why):
    body = {**ASKED, **simulate({"error body": "error_body", "html": "html"}[why])}

    async def made_by(client):
        try:
            made = await settled(client.chat.completions.create(**body))
        except Exception as error:
            return type(error), str(error)
        return type(made), made.model_dump(warnings=False) if hasattr(made, "model_dump") else made

    async def story(face):
        bare = face.bare(simulated)
        expected = await made_by(bare)
        await settled(bare.close())
        async with face.client(simulated) as client:
            assert await made_by(client) == expected
            assert client.resopt.stats.entries == 0
            assert len(outcomes(client)) == 1

    face.tell(story)


@pytest.mark.parametrize("why", ["incomplete", "refusal", "blank"])
@pytest.mark.parametrize("stream", [False, True])
def test_responses_that_are_no_good_answer_are_not_kept(face, simulated, why, stream):
    fields = {"incomplete": {"max_output_tokens": 4}, "refusal": simulate("refusal"), "blank": simulate("blank")}[why]

    async def story(face):
        async with face.client(simulated) as client:
            for _ in range(2):
                made = await settled(client.responses.create(**INPUT, **fields, stream=stream))
                if stream:
                    await all_of(made)
            assert simulated.stats().requests == 2
            assert client.resopt.stats.entries == 0

    face.tell(story)


def test_a_truncated_refusal_is_not_kept_where_refusals_are():
    from resopt.cache.admission import unfit
    from resopt.providers.dialect import dialect_of

    body = b'{"choices":[{"index":0,"finish_reason":"%s","message":{"role":"assistant","refusal":"I cann"}}]}'
    whole, cut = (dialect_of("openai.chat").read(body % end, 0.1) for end in (b"stop", b"length"))
    assert unfit(whole, refusals=True) == ""
    assert unfit(whole) == "ended by refusal"
    assert unfit(cut, refusals=True) == "ended by length"


@pytest.mark.parametrize(("choices", "kept"), [(1, False), (2, False), (3, True)])
def test_a_reply_with_a_choice_missing_is_not_kept(choices, kept):
    import msgspec

    from resopt.providers.dialect import dialect_of

    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes."}}
    body = msgspec.json.encode({"model": "gpt-4o", "choices": [{**choice, "index": i} for i in range(choices)]})
    cache = resopt.ResponseCache()
    request = resopt.Request.chat("Is it?", n=3)
    step = cache.admit(request, dialect_of("openai.chat").read(body, 0.1))
    assert (step.action == "kept") is kept
    assert cache.stats.not_admitted == ({} if kept else {"a choice is missing": 1})


def test_refusals_must_be_a_bool():
    with pytest.raises(resopt.ConfigurationError, match="refusals must be a bool, not str"):
        resopt.ResponseCache(refusals="yes")


def test_a_wrong_argument_is_the_librarys_own_error(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            with pytest.raises(TypeError, match="nonsense"):
                await settled(client.chat.completions.create(**ASKED, nonsense=1))
            with pytest.raises(TypeError, match="messages"):
                await settled(client.chat.completions.create(model="gpt-4o"))
            with pytest.raises(TypeError, match="nonsense"):
                await settled(client.chat.completions.parse(**ASKED, nonsense=1))
            assert simulated.stats().requests == 0

    face.tell(story)


def test_usage_comes_from_the_usage_chunk(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            talk = [*TALK, {"role": "user", "content": "And Rust?"}]
            body = {**ASKED, "messages": talk, **simulate("cached=2")}
            stream = await settled(client.chat.completions.create(**body, **USAGE, stream=True))
            usage = (await all_of(stream))[-1].usage
            trace = resopt.last(stream)
            assert trace.usage.input_tokens == usage.prompt_tokens
            assert trace.usage.cached_input_tokens == usage.prompt_tokens_details.cached_tokens == 2
            assert trace.usage.output_tokens == usage.completion_tokens
            silent = await settled(client.chat.completions.create(**ASKED, stream=True))
            await all_of(silent)
            assert resopt.last(silent).cost is None
            assert balanced(client)

    face.tell(story)
