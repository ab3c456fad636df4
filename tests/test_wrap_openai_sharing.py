"""Equal streams of OpenAI's clients share one upstream: late joiners, leavers, slow readers, dropped streams."""

import asyncio
import gc
import random
import threading

import anyio
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
    dumps,
    eventually,
    face,
    following,
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

SLOW = simulate("pace=0.005")
STREAMED = {**ASKED, **USAGE, "stream": True}


def test_two_hundred_tasks_share_a_stream_and_fifty_leave(task_face, simulated):
    leaving = set(random.Random(4).sample(range(200), 50))

    async def story(face):
        heard = {}

        async def read(client, number):
            stream = await client.chat.completions.create(**STREAMED, **SLOW)
            heard[number] = []
            async for chunk in stream:
                heard[number].append(chunk.model_dump())
                if number in leaving and len(heard[number]) > number % 20:
                    break
            if number in leaving:
                await stream.close()

        async with face.client(simulated) as client:
            async with anyio.create_task_group() as group:
                for number in range(200):
                    group.start_soon(read, client, number)
            stats = simulated.stats()
            assert (stats.requests, stats.streams, stats.streams_aborted) == (1, 1, 0)
            whole = heard[min(set(range(200)) - leaving)]
            assert whole[-1]["usage"]["completion_tokens"] > 0
            for number, chunks in heard.items():
                assert chunks == (whole[: len(chunks)] if number in leaving else whole)
            counted = outcomes(client)
            assert len(counted) == 200
            assert counted.count("miss") == 1
            assert counted.count("coalesced") + counted.count("cancelled") == 199
            assert counted.count("cancelled") == 50
            assert balanced(client)
            with resopt.options(cache="only"):
                again = await all_of(await client.chat.completions.create(**STREAMED, **SLOW))
            assert dumps(again) == whole

    task_face.tell(story)


def test_two_hundred_tasks_are_cancelled_or_served(task_face, simulated):
    leaving = set(random.Random(5).sample(range(200), 50))

    async def story(face):
        heard = {}

        async def read(client, number):
            with anyio.CancelScope() as scope:
                heard[number] = []
                stream = await client.chat.completions.create(**STREAMED, **SLOW)
                async for chunk in stream:
                    heard[number].append(chunk.model_dump())
                    if number in leaving and len(heard[number]) > number % 20:
                        scope.cancel()

        async with face.client(simulated) as client:
            async with anyio.create_task_group() as group:
                for number in range(200):
                    group.start_soon(read, client, number)
            stats = simulated.stats()
            assert (stats.requests, stats.streams, stats.streams_aborted) == (1, 1, 0)
            whole = heard[min(set(range(200)) - leaving)]
            assert all(chunks == whole for number, chunks in heard.items() if number not in leaving)

            def all_left():
                gc.collect()
                return len(outcomes(client)) == 200

            await eventually(all_left, face)
            assert outcomes(client).count("miss") == 1

    task_face.tell(story)


def test_forty_threads_share_a_stream_and_ten_leave(simulated):
    leaving = set(range(0, 40, 4))
    heard, failed = {}, []
    face = Face("blocking")
    ready = threading.Barrier(40)

    def read(client, number):
        try:
            ready.wait()
            stream = client.chat.completions.create(**STREAMED, **SLOW)
            heard[number] = []
            for chunk in stream:
                heard[number].append(chunk.model_dump())
                if number in leaving and len(heard[number]) > number % 20:
                    stream.close()
                    break
        except BaseException as error:
            failed.append(error)

    async def story(face):
        async with face.client(simulated) as client:
            threads = [threading.Thread(target=read, args=(client, number)) for number in range(40)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert failed == []
            stats = simulated.stats()
            assert (stats.requests, stats.streams, stats.streams_aborted) == (1, 1, 0)
            whole = heard[1]
            for number, chunks in heard.items():
                assert chunks == (whole[: len(chunks)] if number in leaving else whole)
            counted = outcomes(client)
            assert len(counted) == 40
            assert counted.count("miss") == 1
            assert counted.count("cancelled") == 10

    face.tell(story)


def test_who_joins_late_gets_the_beginning_too(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            first = await settled(client.chat.completions.create(**STREAMED, **SLOW))
            begun = [await following(first) for _ in range(5)]
            late = await settled(client.chat.completions.create(**STREAMED, **SLOW))
            joined = [await following(late) for _ in range(5)]
            assert dumps(joined) == dumps(begun)
            assert all(one is not other for one, other in zip(begun, joined, strict=True))
            rest = await all_of(late)
            assert dumps(await all_of(first)) == dumps(rest)
            assert simulated.stats().requests == 1
            assert outcomes(client) == ["miss", "coalesced"]
            assert resopt.last(first).outcome == "coalesced"
            assert resopt.last(late).outcome == "miss"
            assert balanced(client)

    face.tell(story)


def test_the_first_reader_leaves_and_the_others_go_on(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            first = await settled(client.chat.completions.create(**STREAMED, **SLOW))
            await following(first)
            late = await settled(client.chat.completions.create(**STREAMED, **SLOW))
            await settled(first.close())
            heard = await all_of(late)
            assert heard[-1].usage is not None
            assert simulated.stats().streams_aborted == 0
            assert outcomes(client) == ["cancelled", "miss"]
            hit = await settled(client.chat.completions.create(**ASKED, **SLOW))
            assert resopt.last(hit).outcome == "hit"

    face.tell(story)


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_when_all_leave_the_upstream_is_closed_and_nothing_is_kept(face, simulated, api):
    async def story(face):
        async with face.client(simulated) as client:
            create = client.chat.completions.create if api == "chat" else client.responses.create
            body = STREAMED if api == "chat" else {**INPUT, "stream": True}
            slow = simulate("pace=0.05")
            first = await settled(create(**body, **slow))
            other = await settled(create(**body, **slow))
            await following(first)
            await following(other)
            await settled(first.close())
            await settled(other.close())
            await settled(other.close())
            await eventually(lambda: simulated.stats().streams_aborted == 1, face)
            assert outcomes(client) == ["cancelled", "cancelled"]
            assert client.resopt.cut_off == 1
            assert client.resopt.stats.entries == 0
            with resopt.options(cache="only"), pytest.raises(resopt.CacheMissError):
                await settled(create(**body, **slow))
            assert simulated.stats().requests == 1

    face.tell(story)


def test_who_leaves_after_the_last_word_has_had_the_answer(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            stream = await settled(client.chat.completions.create(**ASKED, stream=True, **SLOW))
            while (await following(stream)).choices[0].finish_reason is None:
                pass
            await settled(stream.close())
            assert outcomes(client) == ["miss"]
            assert client.resopt.cut_off == 0
            again = await settled(client.chat.completions.create(**ASKED, stream=True, **SLOW))
            assert (await all_of(again))[-1].choices[0].finish_reason == "stop"
            assert outcomes(client) == ["miss", "hit"]

    face.tell(story)


@pytest.mark.parametrize("helper", ["chat", "responses"])
def test_leaving_a_helper_early_closes_the_upstream(face, simulated, helper):
    async def story(face):
        async with face.client(simulated) as client:
            slow = simulate("pace=0.05")
            if helper == "chat":
                manager = client.chat.completions.stream(**ASKED, **slow)
            else:
                manager = client.responses.stream(**INPUT, **slow)
            if face.blocks:
                with manager as stream:
                    next(stream)
            else:
                async with manager as stream:
                    await anext(stream)
            assert outcomes(client) == ["cancelled"]
            await eventually(lambda: simulated.stats().streams_aborted == 1, face)

    face.tell(story)


@pytest.mark.parametrize("helper", [False, True])
def test_a_dropped_stream_is_left(face, simulated, helper, recwarn):
    async def story(face):
        async with face.client(simulated) as client:
            slow = simulate("pace=0.05")
            if helper:
                manager = client.chat.completions.stream(**ASKED, **slow)
                stream = manager.__enter__() if face.blocks else await manager.__aenter__()
                del manager
            else:
                stream = await settled(client.chat.completions.create(**STREAMED, **slow))
            await following(stream)
            del stream
            if helper:
                gc.collect()
            await eventually(lambda: simulated.stats().streams_aborted == 1, face)
            await eventually(lambda: outcomes(client) == ["cancelled"], face)

    face.tell(story)
    gc.collect()
    said = [str(one.message) for one in recwarn.list]
    assert [text for text in said if "never awaited" in text or "unclosed" in text] == []


def test_a_reader_that_stops_reading_blocks_nobody(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            sleeping = await settled(client.chat.completions.create(**STREAMED))
            await following(sleeping)
            body = {**STREAMED, "messages": [*TALK, {"role": "user", "content": "And Rust?"}]}
            other = await all_of(await settled(client.chat.completions.create(**body)))
            beside = await all_of(await settled(client.chat.completions.create(**STREAMED)))
            assert other[-1].usage is not None
            rest = await all_of(sleeping)
            assert dumps(beside)[1:] == dumps(rest)
            assert simulated.stats().requests == 2

    face.tell(story)


def test_a_task_cancelled_while_the_stream_opens_leaves_it(task_face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            with anyio.move_on_after(0.1):
                await client.chat.completions.create(**STREAMED, **simulate("first_byte=30"))
            await eventually(lambda: simulated.stats().disconnected == 1, face)
            assert outcomes(client) == ["cancelled"]
            assert client.resopt.cut_off == 1

    task_face.tell(story)


def test_the_one_who_opens_is_cancelled_and_the_joiner_goes_on(task_face, simulated):
    async def story(face):
        heard = []
        async with face.client(simulated) as client:

            async def join():
                heard.extend(await all_of(await client.chat.completions.create(**STREAMED, **slow)))

            slow = simulate("first_byte=0.3")
            async with anyio.create_task_group() as group:
                with anyio.CancelScope() as scope:

                    async def later():
                        await anyio.sleep(0.05)
                        group.start_soon(join)
                        await anyio.sleep(0.05)
                        scope.cancel()

                    group.start_soon(later)
                    await client.chat.completions.create(**STREAMED, **slow)
                assert scope.cancelled_caught
            assert heard[-1].usage is not None
            assert simulated.stats().requests == 1
            assert outcomes(client) == ["cancelled", "miss"]

    task_face.tell(story)


def test_a_stream_left_in_a_loop_that_stops_holds_up_nobody(simulated, nothing_is_logged):
    """A loop that is stopped, not shut down, cancels nothing: who asks for the same elsewhere must not wait for it."""
    face = Face("asyncio")
    client = resopt.wrap(face.bare(simulated))
    slow = simulate("pace=0.02")
    stopped = asyncio.new_event_loop()
    stream = stopped.run_until_complete(client.chat.completions.create(**STREAMED, **slow))
    stopped.run_until_complete(anext(stream))

    async def elsewhere():
        other = resopt.wrap(face.bare(simulated))
        # The same optimizer, as connections cannot be shared by two loops.
        other.__dict__["_resopt_door"] = client._resopt_door.beside(other)
        heard = await all_of(await other.chat.completions.create(**STREAMED, **slow))
        await other.close()
        return heard

    heard = asyncio.run(elsewhere())
    assert heard[-1].usage is not None
    assert simulated.stats().requests == 2
    stopped.run_until_complete(stream.close())
    stopped.run_until_complete(client.close())
    stopped.close()


def test_a_loop_can_be_closed_after_the_last_has_left(simulated, nothing_is_logged):
    face = Face("asyncio")

    async def story():
        client = resopt.wrap(face.bare(simulated))
        stream = await client.chat.completions.create(**STREAMED, **simulate("pace=0.02"))
        await anext(stream)
        await stream.close()
        whole = await all_of(await client.chat.completions.create(**STREAMED))
        await client.close()
        return whole

    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(story())[-1].usage is not None
    loop.run_until_complete(loop.shutdown_asyncgens())  # of the library's own
    assert asyncio.all_tasks(loop) == set()
    loop.close()


def test_two_tasks_cannot_read_one_stream_at_once(task_face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            stream = await client.chat.completions.create(**STREAMED, **simulate("stall=0.3, stall_at=1"))
            await anext(stream)
            failed = []

            async def read():
                try:
                    await anext(stream)
                except RuntimeError as error:
                    failed.append(str(error))

            async with anyio.create_task_group() as group:
                group.start_soon(read)
                group.start_soon(read)
            assert failed == ["this stream is being read by another task already"]
            assert (await all_of(stream))[-1].usage is not None
            assert outcomes(client) == ["miss"]

    task_face.tell(story)


@pytest.mark.parametrize("others", [False, True])
def test_a_stream_closed_by_one_task_ends_for_the_other_that_reads_it(task_face, simulated, others):
    async def story(face):
        async with face.client(simulated) as client:
            slow = simulate("stall=1, stall_at=1")
            stream = await client.chat.completions.create(**STREAMED, **slow)
            await anext(stream)
            beside = await client.chat.completions.create(**STREAMED, **slow) if others else None
            async with anyio.create_task_group() as group:

                async def read():
                    with anyio.fail_after(0.5):
                        assert await all_of(stream) == []

                group.start_soon(read)
                await anyio.sleep(0.05)
                await stream.close()
            assert outcomes(client) == ["cancelled"]
            if others:
                assert (await all_of(beside))[-1].usage is not None

    task_face.tell(story)


def test_streams_with_other_options_do_not_meet(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:
            one = await settled(client.chat.completions.create(**ASKED, stream=True, **SLOW))
            other = await settled(client.chat.completions.create(**STREAMED, **SLOW))
            with_usage, without = await all_of(other), await all_of(one)
            assert with_usage[-1].usage is not None
            assert all(chunk.usage is None for chunk in without)
            assert simulated.stats().requests == 2

    face.tell(story)
