"""Streams of a wrapped Anthropic client that many read at once, that are left early, or that break."""

import random
import threading

import anyio
import anyio.to_thread
import pytest

import resopt
from claude import BODY, Claude, anthropic, calls, dumped, face, running, server
from raw_server import wait_until
from test_simulated_sdks import simulate

TESTED_WITH = ("Anthropic", "anthropic")
__all__ = ["face", "running", "server"]
MANY, LEAVERS = 200, 50


async def settled(face, condition):
    """Wait until the server counts what it should."""
    if face.blocking:
        return wait_until(face.server, condition)
    return await anyio.to_thread.run_sync(wait_until, face.server, condition)


def whole(server):
    """The events of the stream that all are to get, from a bare client."""
    with anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0) as client:
        return [event.model_dump(exclude={"message": {"id"}}) for event in client.messages.create(**BODY, stream=True)]


def without_id(events):
    return [event.model_dump(exclude={"message": {"id"}}) for event in events]


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.anyio
async def test_of_many_tasks_with_one_stream_any_may_leave(server):
    expected = await anyio.to_thread.run_sync(whole, server)
    chance = random.Random(7)
    leaving = {number: chance.randrange(len(expected)) for number in chance.sample(range(MANY), LEAVERS)}
    got, outcomes = {}, []

    async def read(client, number):
        stream = await client.messages.create(**BODY, stream=True, **simulate("pace=0.01"))
        events = []
        async with stream:
            async for event in stream:
                if leaving.get(number) == len(events):
                    return
                events.append(event)
        got[number] = without_id(events)
        outcomes.append(resopt.last(stream).outcome)

    async with anthropic.AsyncAnthropic(base_url=server.url, api_key="k", max_retries=0) as bare:
        client = resopt.wrap(bare)
        async with anyio.create_task_group() as group:
            for number in range(MANY):
                group.start_soon(read, client, number)
        assert client.resopt.stats.entries == 1
    assert set(got) == set(range(MANY)) - set(leaving)
    assert all(events == expected for events in got.values())
    assert (outcomes.count("miss"), outcomes.count("coalesced")) == (1, MANY - LEAVERS - 1)
    assert (calls(server), server.stats().streams_aborted) == (2, 0)


def test_of_many_threads_with_one_stream_any_may_leave(server):
    expected = whole(server)
    chance = random.Random(8)
    leaving = {number: chance.randrange(len(expected)) for number in chance.sample(range(MANY), LEAVERS)}
    got = {}
    together = threading.Barrier(MANY)

    def read(client, number):
        together.wait(30)
        events = []
        with client.messages.create(**BODY, stream=True, **simulate("pace=0.002")) as stream:
            for event in stream:
                if leaving.get(number) == len(events):
                    return
                events.append(event)
        got[number] = without_id(events)

    with anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0) as bare:
        client = resopt.wrap(bare)
        readers = [threading.Thread(target=read, args=(client, number)) for number in range(MANY)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(60)
        assert client.resopt.stats.entries == 1
    assert set(got) == set(range(MANY)) - set(leaving)
    assert all(events == expected for events in got.values())
    assert (calls(server), server.stats().streams_aborted) == (2, 0)


def test_who_joins_late_gets_all_events_through_the_helper_too(face):
    async def test(wrapped, bare):
        body = simulate("pace=0.002")
        early = await wrapped.open(**body)
        first = [await wrapped.next(early) for _ in range(5)]
        async with wrapped.helper(**body) as late:
            events = await wrapped.read(late)
            message = await wrapped.came(late.get_final_message())
        rest = await wrapped.read(early)
        assert calls(face.server) == 1
        raw = [event for event in events if event.type not in ("text", "content_block_stop", "message_stop")]
        of_api = [e for e in [*first, *rest] if e.type not in ("content_block_stop", "message_stop")]
        assert dumped(raw) == dumped(of_api)
        assert early.response.headers["request-id"] == late.response.headers["request-id"] == late.request_id
        hit = await wrapped.create(**body)
        assert message.model_dump(exclude={"content": {"__all__": {"parsed_output"}}}) == dumped(hit)
        assert {resopt.last(early).outcome, resopt.last(late).outcome} == {"miss", "coalesced"}

    face.run(test)


async def broken(claude, stream):
    """What was seen of a stream and of the error that broke it, and the error."""
    seen = 0
    try:
        while True:
            await claude.next(stream)
            seen += 1
    except (StopIteration, StopAsyncIteration):
        raise AssertionError("it has not broken") from None
    except Exception as error:
        status = error.response.status_code if isinstance(error, anthropic.APIStatusError) else None
        return (seen, type(error), str(error), status, getattr(error, "body", None)), error


@pytest.mark.parametrize("wishes", ["die=0", "die=1", "die=5", "error_event=0", "error_event=4"])
def test_all_who_read_a_stream_that_breaks_see_the_sdks_own_error(face, wishes):
    async def test(wrapped, bare):
        expected = await broken(bare, await bare.open(**simulate(wishes)))
        streams = [await wrapped.open(**simulate(wishes)) for _ in range(3)]
        caught = [await broken(wrapped, stream) for stream in streams]
        assert [what for what, _ in caught] == [expected[0]] * 3
        assert len({id(error) for _, error in caught}) == 3
        assert calls(face.server) == 2
        async with wrapped.helper(**simulate(wishes)) as helped:
            with pytest.raises(type(expected[1])):
                await wrapped.read(helped)
        assert calls(face.server) == 3
        assert wrapped.client.resopt.stats.entries == 0

    face.run(test)


@pytest.mark.parametrize("read", [0, 1, 3])
def test_when_all_have_left_the_stream_upstream_is_closed(face, read):
    async def test(wrapped, bare):
        body = simulate("stall=30, stall_at=6")
        streams = [await wrapped.open(**body) for _ in range(3)]
        for stream in streams:
            for _ in range(read):
                await wrapped.next(stream)
        for stream in streams[:2]:
            await wrapped.close(stream)
        assert face.server.stats().streams_aborted == 0
        if read:
            assert (await wrapped.next(streams[2])).type
        await wrapped.close(streams[2])
        await settled(face, lambda stats: stats.streams_aborted == 1)
        assert (calls(face.server), wrapped.client.resopt.stats.entries) == (1, 0)
        assert wrapped.client.resopt.cut_off == 1

    face.run(test)


def test_leaving_the_helper_closes_the_stream_upstream(face):
    async def test(wrapped, bare):
        async with wrapped.helper(**simulate("stall=30, stall_at=6")) as stream:
            event = await wrapped.next(stream)
        assert event.type == "message_start"
        await settled(face, lambda stats: stats.streams_aborted == 1)

    face.run(test)


def test_a_stream_that_is_dropped_is_closed(face):
    async def test(wrapped, bare):
        stream = await wrapped.open(**simulate("stall=30, stall_at=6"))
        await wrapped.next(stream)
        del stream
        await settled(face, lambda stats: stats.streams_aborted == 1)

    face.run(test)


def test_who_stops_reading_holds_nobody_up(face):
    async def test(wrapped, bare):
        idle = await wrapped.open()
        await wrapped.next(idle)
        others = [await wrapped.events() for _ in range(3)]
        assert dumped(others[0]) == dumped(others[1]) == dumped(others[2])
        assert dumped(await wrapped.read(idle)) == dumped(others[0])[1:]
        assert calls(face.server) == 1

    face.run(test)


def test_events_of_one_reader_are_not_anothers(face):
    async def test(wrapped, bare):
        one, other = await wrapped.open(), await wrapped.open()
        mine = await wrapped.next(one)
        mine.message.usage.input_tokens = -1
        assert (await wrapped.next(other)).message.usage.input_tokens > 0
        await wrapped.read(one)
        await wrapped.read(other)

    face.run(test)


def test_a_paced_replay_is_the_same(face):
    async def test(wrapped, bare):
        expected = await wrapped.events()
        with resopt.options(replay_pace=0.0001):
            assert dumped(await wrapped.events()) == dumped(expected)

    face.run(test)


def test_a_stream_can_be_read_from_memory_on_another_loop(server):
    bare = anthropic.AsyncAnthropic(base_url=server.url, api_key="k", max_retries=0)
    client = resopt.wrap(bare)

    async def read():
        events = dumped(await Claude(client).events())
        await bare.close()
        return events

    assert anyio.run(read) == anyio.run(read) == anyio.run(read, backend="trio")
    assert calls(server) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.anyio
async def test_of_many_tasks_with_one_question_one_asks(server):
    made = []

    async def ask(client):
        made.append(await client.messages.create(**BODY, **simulate("first_byte=0.2")))

    async with anthropic.AsyncAnthropic(base_url=server.url, api_key="k", max_retries=0) as bare:
        client = resopt.wrap(bare)
        async with anyio.create_task_group() as group:
            for _ in range(MANY):
                group.start_soon(ask, client)
    assert calls(server) == 1
    assert len({id(one) for one in made}) == len({id(one.content) for one in made}) == MANY
    assert all(dumped(one) == dumped(made[0]) for one in made)
    outcomes = [resopt.last(one).outcome for one in made]
    assert (outcomes.count("miss"), outcomes.count("coalesced")) == (1, MANY - 1)


def test_of_many_threads_with_one_question_one_asks(server):
    made, together = [], threading.Barrier(40)

    def ask(client):
        together.wait(30)
        made.append(client.messages.create(**BODY, **simulate("first_byte=0.2")))

    with anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0) as bare:
        client = resopt.wrap(bare)
        threads = [threading.Thread(target=ask, args=(client,)) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert calls(server) == 1
    assert len({id(one.content) for one in made}) == 40
    assert all(dumped(one) == dumped(made[0]) for one in made)
