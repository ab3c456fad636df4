"""`batch_process` and its kin: order, errors, cancellation, duplicates, checkpoints, streams of any length."""

import math
import sqlite3
import threading
import time

import anyio
import anyio.lowlevel
import pytest

import resopt
from asking import PRICES, Scripted, Twin, ask, outcomes
from resopt import (
    AsyncOptimizer,
    BatchError,
    BatchInputError,
    BatchStream,
    CheckpointError,
    ConfigurationError,
    InvalidRequestError,
    ItemCancelledError,
    Optimizer,
    Request,
    Response,
    Scope,
    batch_process,
    batch_process_blocking,
)
from resopt.batch import progress as progress_module
from resopt.batch.checkpoint import Checkpoint
from resopt.terms import current_terms

pytestmark = pytest.mark.anyio


class Worker:
    """Doubles numbers, and knows how many it doubled at once."""

    def __init__(self, seconds=0.0, bad=()):
        self.calls = []
        self.now = self.most = 0
        self.seconds, self.bad = seconds, bad
        self.terms = []

    async def __call__(self, item):
        self.calls.append(item)
        self.terms.append(current_terms())
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await anyio.sleep(self.seconds)
            if item in self.bad:
                raise ValueError(f"bad {item}")
            return 2 * item
        finally:
            self.now -= 1


async def test_results_are_in_order_and_no_more_run_than_asked_for():
    worker = Worker(0.001)
    assert await batch_process(range(50), 7, run=worker) == [2 * item for item in range(50)]
    assert worker.most == 7
    assert {terms.lane for terms in worker.terms} == {"bulk"}
    assert current_terms().lane == "interactive"


async def test_nothing_in_nothing_out():
    assert await batch_process([], run=Worker()) == []


async def test_a_slow_item_delays_nobody_else():
    ended = []

    async def work(item):
        await anyio.sleep(0.3 if item == 0 else 0.001)
        ended.append(item)

    await batch_process(range(40), 4, run=work)
    assert ended[-1] == 0


async def test_errors_are_raised_together_with_all_results():
    with pytest.raises(BatchError, match="2 of 6 items failed") as caught:
        await batch_process(range(6), run=Worker(bad=(1, 4)))
    assert [str(error) for error in caught.value.exceptions] == ["bad 1", "bad 4"]
    assert [type(one).__name__ for one in caught.value.results] == [
        "int",
        "ValueError",
        "int",
        "int",
        "ValueError",
        "int",
    ]
    assert isinstance(caught.value, resopt.ResoptError)
    matched, rest = caught.value.split(ValueError)
    assert isinstance(matched, BatchError)
    assert rest is None
    assert matched.results == caught.value.results


async def test_errors_can_be_had_as_values():
    results = await batch_process(range(3), run=Worker(bad=(1,)), errors="return")
    assert (results[0], type(results[1]), results[2]) == (0, ValueError, 4)


async def test_equal_items_are_sent_once_and_share_nothing():
    calls = []

    async def work(item):
        calls.append(item)
        await anyio.lowlevel.checkpoint()
        return [item]

    results = await batch_process(["a", "b", "a", "a"], run=work)
    assert results == [["a"], ["b"], ["a"], ["a"]]
    assert sorted(calls) == ["a", "b"]
    assert len({id(result) for result in results}) == 4


async def test_equal_items_share_an_error():
    results = await batch_process([1, 1, 1], run=(worker := Worker(bad=(1,))), errors="return")
    assert [str(result) for result in results] == ["bad 1"] * 3
    assert worker.calls == [1]


async def test_items_that_only_look_alike_are_different():
    seen = []

    async def work(item):
        seen.append(item)
        return item

    items = [1, 1.0, True, "1", b"1", None]
    assert list(map(type, await batch_process(items, run=work))) == list(map(type, items))
    assert len(seen) == 6


async def test_the_caller_may_say_what_is_equal_and_what_is_not():
    worker = Worker()
    assert await batch_process([1, 11, 2], run=worker, identity=lambda item: item % 10) == [2, 2, 4]
    assert await batch_process([1, 1], run=worker, identity=lambda _: None) == [2, 2]
    assert len(worker.calls) == 4


async def test_an_identity_that_fails_is_the_items_error():
    results = await batch_process([1, 0], run=Worker(), identity=lambda item: 1 // item, errors="return")
    assert results[0] == 2
    assert isinstance(results[1], InvalidRequestError)
    assert isinstance(results[1].__cause__, ZeroDivisionError)


async def test_items_that_are_no_plain_data_are_on_their_own():
    item = object()
    seen = []

    async def work(one):
        seen.append(one)

    await batch_process([item, item], run=work)
    assert seen == [item, item]


@pytest.mark.parametrize("kind", ["generator", "async"])
async def test_a_source_that_fails_ends_the_batch_and_loses_nothing(kind):
    def broken():
        yield from range(5)
        raise OSError("disk")

    async def broken_later():
        for item in broken():
            yield item

    with pytest.raises(BatchInputError, match="after 5 of them") as caught:
        await batch_process(broken() if kind == "generator" else broken_later(), 2, run=Worker())
    assert caught.value.results == [0, 2, 4, 6, 8]
    assert isinstance(caught.value.__cause__, OSError)


async def test_an_item_cancelled_from_within_is_its_own_affair():
    async def work(item):
        if item == 2:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anyio.sleep(1)
            raise anyio.get_cancelled_exc_class()() if anyio_backend_is("asyncio") else ItemCancelledError("own")
        return item

    results = await batch_process(range(5), 2, run=work, errors="return")
    assert [type(result).__name__ for result in results] == ["int", "int", "ItemCancelledError", "int", "int"]


def anyio_backend_is(name):
    import sniffio

    return sniffio.current_async_library() == name


async def test_cancelling_the_batch_cancels_what_is_in_the_air():
    worker = Worker(10)
    with anyio.move_on_after(0.05) as scope:
        await batch_process(range(100), 5, run=worker)
    assert scope.cancelled_caught
    assert (worker.now, len(worker.calls)) == (0, 5)


async def test_an_async_source_is_read_no_faster_than_it_is_worked_off():
    taken = 0

    async def source():
        nonlocal taken
        for item in range(30):
            taken += 1
            yield item

    worker = Worker()

    async def work(item):
        assert taken <= len(worker.calls) + 4
        return await worker(item)

    assert await batch_process(source(), 3, run=work) == [2 * item for item in range(30)]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "run=… or optimizer=…"),
        ({"run": Worker(), "optimizer": 1}, "one of them"),
        ({"run": 3}, "run must be a function"),
        ({"optimizer": 3}, "must be an AsyncOptimizer"),
        ({"run": Worker(), "model": "gpt-4o"}, "takes the item alone"),
        ({"run": Worker(), "batch_size": 0}, "batch_size"),
        ({"run": Worker(), "batch_size": True}, "batch_size"),
        ({"run": Worker(), "errors": "ignore"}, "errors must be one of"),
        ({"run": Worker(), "task": 3}, "task"),
        ({"run": Worker(), "progress": 3}, "progress"),
        ({"run": Worker(), "checkpoint": 3}, "checkpoint"),
    ],
)
async def test_options_that_make_no_sense_are_refused(options, match):
    with pytest.raises(ConfigurationError, match=match):
        await batch_process([1], **options)


@pytest.mark.parametrize("queries", ["text", b"bytes", 3, None])
async def test_a_text_is_no_list_of_queries(queries):
    with pytest.raises(ConfigurationError, match="queries must be a list"):
        await batch_process(queries, run=Worker())


async def test_progress_is_told(monkeypatch):
    told = []
    await batch_process([1, 1, 2], run=Worker(), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    monkeypatch.setattr(progress_module, "_bar", None)  # without a terminal no bar is made
    assert await batch_process([1], run=Worker(), progress=True) == [2]


async def test_a_bar_is_drawn_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert await batch_process(range(3), run=Worker(), progress=True) == [0, 2, 4]
    assert "items" in capsys.readouterr().err


# ---- checkpoints


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.sqlite"


async def test_a_second_run_pays_for_nothing(path):
    worker = Worker(bad=(3,))
    with pytest.raises(BatchError):
        await batch_process(range(5), run=worker, checkpoint=path)
    again = Worker()
    assert await batch_process([4, 3, 2, 1, 0, 7], run=again, checkpoint=path) == [8, 6, 4, 2, 0, 14]
    assert sorted(again.calls) == [3, 7]


async def test_results_come_back_as_they_were(path):
    results = [None, "text", b"bytes", 1, 1.5, True, [1, {"a": [b"x"]}], Response(text="hello", model="m")]
    answers = dict(enumerate(results))

    async def work(item):
        return answers[item]

    for _ in range(2):
        assert await batch_process(range(len(results)), run=work, checkpoint=path) == results
        answers.clear()


@pytest.mark.parametrize("result", [(1, 2), {1: 2}, object(), [object()], 2**70])
async def test_a_result_that_would_not_come_back_is_an_error_that_holds_it(path, result):
    async def work(_):
        return result

    (error,) = await batch_process([1], run=work, checkpoint=path, errors="return")
    assert isinstance(error, CheckpointError)
    assert error.result is result


async def test_an_item_that_cannot_be_encoded_is_a_typed_error_with_a_checkpoint(path):
    results = await batch_process([1, object(), "\ud800"], run=Worker(), checkpoint=path, errors="return")
    assert results[0] == 2
    assert all(isinstance(result, InvalidRequestError) for result in results[1:])


async def test_one_file_serves_several_tasks(path):
    worker = Worker()
    for task in ("a", "b", "a"):
        await batch_process([1], run=worker, checkpoint=path, task=task)
    assert worker.calls == [1, 1]


async def test_each_call_has_a_name_that_lasts(path):
    names = []

    async def work(item):
        names.append(current_terms().idempotency_key)
        raise ValueError

    for _ in range(2):
        await batch_process([1, 2], run=work, checkpoint=path, errors="return")
    assert len(set(names)) == 2
    assert sorted(names[:2]) == sorted(names[2:])
    await batch_process([1, 2], run=work, checkpoint=path.with_name("other.sqlite"), errors="return")
    assert len(set(names)) == 4, "another run is other calls"


async def test_a_file_in_use_is_refused(path):
    with Checkpoint(path), pytest.raises(CheckpointError, match="in use by another run"):
        await batch_process([1], run=Worker(), checkpoint=path)
    assert await batch_process([1], run=Worker(), checkpoint=path) == [2]


@pytest.mark.parametrize("content", [b"hello" * 1000, b"SQLite format 3\0" + bytes(200)])
async def test_a_file_of_something_else_is_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="no checkpoint, or damaged"):
        await batch_process([1], run=Worker(), checkpoint=path)
    assert path.read_bytes() == content


async def test_a_database_of_something_else_is_left_alone(path):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(CheckpointError, match="something else"):
        Checkpoint(path)


async def test_a_later_release_is_respected(path):
    Checkpoint(path).close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version=99")
    other.close()
    with pytest.raises(CheckpointError, match="later release"):
        Checkpoint(path)


async def test_a_damaged_result_runs_again(path):
    await batch_process([1, 2], run=Worker(), checkpoint=path)
    other = sqlite3.connect(path)
    other.execute("UPDATE result SET value = x'70ff' WHERE rowid = (SELECT min(rowid) FROM result)")
    other.commit()
    other.close()
    worker = Worker()
    assert await batch_process([1, 2], run=worker, checkpoint=path) == [2, 4]
    assert len(worker.calls) == 1


async def test_a_checkpoint_where_none_can_be(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be opened"):
        await batch_process([1], run=Worker(), checkpoint=tmp_path / "no" / "such" / "folder")


# ---- an optimizer


async def test_an_optimizer_answers_and_every_item_has_a_record():
    optimizer = AsyncOptimizer(Scripted(), prices=PRICES)
    answers = await optimizer.gather(["a", "b", "A", "a"], 4, errors="raise")
    assert [answer.text.split(": ")[1] for answer in answers] == ["a", "b", "a", "a"]
    assert sorted(outcomes(optimizer))[-2:] == ["miss", "miss"]
    assert outcomes(optimizer).count("coalesced") >= 1
    assert len({answer.trace.id for answer in answers}) == 4
    report = optimizer.ledger.summary()
    assert (report.batch_utilisation, report.work.batches, report.work.batch_size) == (1.0, 1, 4.0)
    assert "Batches: 1 of 4.0 requests" in str(report)
    await optimizer.complete("alone")
    assert optimizer.ledger.summary().batch_utilisation == 0.8


async def test_a_blocking_optimizer_does_the_same():
    optimizer = Optimizer(Twin(), prices=PRICES)
    answers = optimizer.gather(["a", "b", "A", "a"], 2)
    assert [answer.text.split(": ")[1].lower() for answer in answers] == ["a", "b", "a", "a"]
    assert sorted(outcomes(optimizer))[-2:] == ["miss", "miss"]
    assert len(outcomes(optimizer)) == 4
    assert optimizer.ledger.summary().work.batched == 4


async def test_the_public_function_takes_an_optimizer_and_parameters():
    provider = Scripted()
    async with AsyncOptimizer(provider) as optimizer:
        await batch_process(["a", ask("b", model="gpt-4o-mini")], optimizer=optimizer, model="gpt-3.5-turbo")
        results = await batch_process([3, "c"], optimizer=optimizer, errors="return")
        assert optimizer.ledger.summary().work.batched == 4
    assert sorted(request.model for request in provider.requests) == ["gpt-3.5-turbo", "gpt-4o", "gpt-4o-mini"]
    assert isinstance(results[0], ConfigurationError)


async def test_requests_that_differ_in_scope_or_want_no_sharing_are_asked_apart():
    provider = Scripted()
    async with AsyncOptimizer(provider) as optimizer:
        apart = [Request.chat("q", cache="bypass")] * 3 + [Request.chat("q", scope=Scope(tenant=t)) for t in "ab"]
        await optimizer.gather(apart)
    assert provider.calls == 5


async def test_a_deadline_holds_for_the_whole_batch():
    ends = []

    class Noting(Scripted):
        async def complete(self, request):
            ends.append(current_terms().seconds_left)
            return await super().complete(request)

    async with AsyncOptimizer(Noting()) as optimizer:
        await optimizer.gather(["a"], deadline=5.0)
        await optimizer.gather(["b"])
    assert 0 < ends[0] <= 5.0
    assert ends[1] == math.inf


async def test_a_tier_that_is_none():
    async with AsyncOptimizer(Scripted()) as optimizer:
        with pytest.raises(ConfigurationError, match="tier must be one of"):
            await optimizer.gather(["a"], tier="cheap")
        with pytest.raises(ConfigurationError, match="needs deferred="):
            await optimizer.gather(["a"], tier="batch")


# ---- blocking


def test_blocking_runs_in_threads():
    threads = set()

    def work(item):
        threads.add(threading.get_ident())
        assert current_terms().lane == "bulk"
        time.sleep(0.02)
        return item + 1

    assert batch_process_blocking(range(12), 4, run=work) == list(range(1, 13))
    assert 1 < len(threads) <= 4
    assert threading.get_ident() not in threads


def test_blocking_has_the_same_errors(tmp_path):
    with pytest.raises(BatchError) as caught:
        batch_process_blocking([1, 0, 0], run=lambda item: 1 // item, checkpoint=tmp_path / "run.sqlite")
    assert caught.value.results[0] == 1
    assert len(caught.value.exceptions) == 2
    with pytest.raises(ConfigurationError, match="await batch_process"):
        batch_process_blocking(async_numbers(), run=abs)
    with pytest.raises(BatchInputError) as broken:
        batch_process_blocking(failing(), run=abs)
    assert broken.value.results == [1]


async def async_numbers():
    yield 1


def failing():
    yield -1
    raise OSError


def test_an_interrupt_takes_nothing_more():
    taken = []

    def work(item):
        taken.append(item)
        if item == 3:
            raise KeyboardInterrupt
        time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        batch_process_blocking(range(1000), 2, run=work)
    assert len(taken) < 20


# ---- streams


async def test_a_stream_gives_results_in_order_in_bounded_memory():
    async def source():
        for item in range(500):
            yield item

    async def work(item):
        await anyio.sleep(0.001 if item % 7 == 0 else 0)
        return item

    seen = []
    async with BatchStream(source(), 5, run=work, window=8) as stream:
        async for result in stream:
            seen.append(result)
            assert stream.taken <= len(seen) + 8
    assert seen == list(range(500))


async def test_a_stream_may_be_left():
    worker = Worker()

    def endless():
        item = 0
        while True:
            yield item
            item += 1

    async with BatchStream(endless(), 3, run=worker) as stream:
        assert [await anext(stream) for _ in range(10)] == [2 * item for item in range(10)]
    assert worker.now == 0
    assert len(worker.calls) <= 10 + 12


async def test_errors_of_a_stream_are_raised_in_their_place_or_returned():
    async with BatchStream(range(4), run=Worker(bad=(2,)), errors="return") as stream:
        assert [type(result).__name__ async for result in stream] == ["int", "int", "ValueError", "int"]
    async with BatchStream(range(4), run=Worker(bad=(2,))) as stream:
        assert [await anext(stream), await anext(stream)] == [0, 2]
        with pytest.raises(ValueError, match="bad 2"):
            await anext(stream)


async def test_a_stream_whose_source_fails_gives_what_came_before():
    async with BatchStream(failing(), run=Worker()) as stream:
        assert await anext(stream) == -2
        with pytest.raises(BatchInputError, match="after 1 of them"):
            await anext(stream)


async def test_a_stream_of_an_optimizer_counts_as_a_batch():
    async with AsyncOptimizer(Scripted()) as optimizer:
        async with BatchStream(["a", "b", "a"], optimizer=optimizer) as stream:
            assert [answer.text.split(": ")[1] async for answer in stream] == ["a", "b", "a"]
        assert optimizer.ledger.summary().work.batched == 3


async def test_a_stream_with_a_checkpoint(path):
    worker = Worker()
    for _ in range(2):
        async with BatchStream(range(5), run=worker, checkpoint=path) as stream:
            assert [result async for result in stream] == [0, 2, 4, 6, 8]
    assert len(worker.calls) == 5
    with pytest.raises(ConfigurationError, match="window"):
        BatchStream([1], 10, run=worker, window=3)
