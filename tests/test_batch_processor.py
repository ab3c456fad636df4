"""Batchers: when a batch goes, what is in it, what a failing or leaving item does to others (nothing)."""

import time

import anyio
import anyio.lowlevel
import pytest

from resopt import (
    AdaptiveBatcher,
    BadRequestError,
    BatchProcessor,
    Cache,
    ClosedError,
    ConfigurationError,
    EmbeddingBatcher,
    InvalidRequestError,
    ItemCancelledError,
    ProviderResponseError,
    QueueFullError,
    RateLimitError,
)
from resopt.batch.fairness import FairQueue
from resopt.batch.sizes import AdaptiveSize

pytestmark = pytest.mark.anyio


class Batches:
    """Processes batches of numbers, doubling them, when its gate is open; knows what was in each."""

    def __init__(self, *, open_gate=True):
        self.seen = []
        self.gate = anyio.Event()
        self.cancelled = 0
        if open_gate:
            self.gate.set()

    async def __call__(self, items):
        self.seen.append(list(items))
        try:
            await self.gate.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        return [item if isinstance(item, Exception) else item * 2 for item in items]


async def submit_all(batcher, items, results=None):
    """Submit at the same time; the results by item."""
    results = {} if results is None else results

    async def one(position, item):
        try:
            results[position] = await batcher.submit(item)
        except Exception as error:
            results[position] = error

    async with anyio.create_task_group() as group:
        for position, item in enumerate(items):
            group.start_soon(one, position, item)
    return [results[position] for position in range(len(items))]


async def settle():
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def test_items_submitted_together_go_together_in_order():
    process = Batches()
    async with BatchProcessor(process, batch_size=4) as batcher:
        assert await submit_all(batcher, range(10)) == [2 * item for item in range(10)]
    assert [len(batch) for batch in process.seen] == [4, 4, 2]


async def test_a_lone_item_waits_for_nobody():
    async with BatchProcessor(Batches(), wait_ms=60_000) as batcher:
        with anyio.fail_after(5):
            assert await batcher.submit(1) == 2


async def test_without_eagerness_even_a_lone_item_waits():
    async with BatchProcessor(Batches(), wait_ms=50, eager=False) as batcher:
        began = time.monotonic()
        assert await batcher.submit(1) == 2
        assert time.monotonic() - began >= 0.045


async def test_while_others_run_an_item_waits_no_longer_than_allowed():
    process = Batches(open_gate=False)
    batcher = BatchProcessor(process, batch_size=10, wait_ms=40)
    async with anyio.create_task_group() as group:
        group.start_soon(batcher.submit, 1)
        await settle()
        began = time.monotonic()
        group.start_soon(batcher.submit, 2)
        group.start_soon(batcher.submit, 3)
        while len(process.seen) < 2:  # noqa: ASYNC110 - it is the batcher that makes it true
            await anyio.sleep(0.001)
        assert time.monotonic() - began >= 0.03
        assert [sorted(batch) for batch in process.seen] == [[1], [2, 3]]
        process.gate.set()


async def test_a_full_batch_goes_though_others_run():
    process = Batches(open_gate=False)
    batcher = BatchProcessor(process, batch_size=2, wait_ms=60_000)
    async with anyio.create_task_group() as group:
        for item in (1, 2, 3, 4):
            group.start_soon(batcher.submit, item)
            await settle()
        assert process.seen == [[1], [2, 3]]
        assert (batcher.figures.running, batcher.figures.queued) == (2, 1)
        process.gate.set()


async def test_only_items_of_one_key_share_a_batch():
    process = Batches()
    async with BatchProcessor(process, key=lambda item: item % 3) as batcher:
        await submit_all(batcher, range(20))
    assert all(len({item % 3 for item in batch}) == 1 for batch in process.seen)
    assert sorted(item for batch in process.seen for item in batch) == list(range(20))


async def test_size_is_weight_where_there_is_one():
    process = Batches()
    async with BatchProcessor(process, batch_size=10, weight=lambda item: item) as batcher:
        assert await submit_all(batcher, [4, 4, 4, 25, 1]) == [8, 8, 8, 50, 2]
    assert all(sum(batch) <= 10 or batch == [25] for batch in process.seen)
    assert sorted(item for batch in process.seen for item in batch) == [1, 4, 4, 4, 25]
    assert len(process.seen) < 5


async def test_only_so_many_batches_run_at_once():
    running = most = 0

    async def process(items):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.sleep(0.002)
        running -= 1
        return items

    async with BatchProcessor(process, batch_size=1, concurrency=3) as batcher:
        await submit_all(batcher, range(20))
    assert most == 3


async def test_an_item_that_fails_is_its_own_affair():
    error = ValueError("two")
    async with BatchProcessor(Batches()) as batcher:
        assert await submit_all(batcher, [1, error, 3]) == [2, error, 6]
        assert (batcher.figures.done, batcher.figures.failed) == (2, 1)


async def test_the_items_at_fault_are_found_when_the_batch_fails():
    calls = []

    async def process(items):
        calls.append(len(items))
        if 5 in items:
            raise BadRequestError("five")
        return items

    async with BatchProcessor(process, batch_size=8) as batcher:
        results = await submit_all(batcher, range(8))
    assert [type(result).__name__ for result in results] == ["int"] * 5 + ["BadRequestError"] + ["int"] * 2
    assert sorted(calls) == [1, 1, 2, 2, 4, 4, 8]


@pytest.mark.parametrize("isolate", [True, False])
async def test_a_provider_that_fails_is_not_asked_again_in_halves(isolate):
    calls = []

    async def process(items):
        calls.append(len(items))
        raise RateLimitError("slow down") if isolate else KeyError(1)

    async with BatchProcessor(process, isolate=isolate) as batcher:
        results = await submit_all(batcher, range(4))
    assert {type(result).__name__ for result in results} == {"RateLimitError" if isolate else "KeyError"}
    assert calls == [4]


@pytest.mark.parametrize("answer", [[], [1], [1, 2, 3, 4], None, 7])
async def test_a_batch_that_comes_back_in_another_size_is_nobodys(answer):
    async def process(items):
        return answer

    async with BatchProcessor(process) as batcher:
        results = await submit_all(batcher, range(3))
    assert {type(result) for result in results} == {ProviderResponseError}
    assert "of 3 items came back as" in str(results[0])


async def test_one_call_for_each_item():
    async def run(item):
        if item == 1:
            raise ValueError
        await anyio.lowlevel.checkpoint()
        return item

    async with BatchProcessor(run=run, batch_size=3) as batcher:
        results = await submit_all(batcher, range(5))
    assert [type(result).__name__ for result in results] == ["int", "ValueError", "int", "int", "int"]
    assert batcher.figures.batches == 2


async def test_who_leaves_while_waiting_takes_along_only_their_item():
    process = Batches(open_gate=False)
    batcher = BatchProcessor(process, batch_size=10, wait_ms=60_000)
    results = {}

    async def leaver():
        with anyio.move_on_after(0.02):
            await batcher.submit(3)

    async with anyio.create_task_group() as group:
        group.start_soon(submit_all, batcher, [1], results)
        await settle()
        group.start_soon(leaver)
        group.start_soon(submit_all, batcher, [9, 2], results)
        await anyio.sleep(0.05)
        assert (batcher.figures.cancelled, batcher.figures.queued) == (1, 2)
        process.gate.set()
        await batcher.aclose()
    assert [sorted(batch) for batch in process.seen] == [[1], [2, 9]]
    assert results[1] == 4


async def test_who_leaves_a_running_batch_harms_no_other_and_the_last_ends_it():
    process = Batches(open_gate=False)
    batcher = BatchProcessor(process)
    async with anyio.create_task_group() as group:
        first, second = anyio.CancelScope(), anyio.CancelScope()
        kept = {}

        async def in_scope(scope, item):
            with scope:
                kept[item] = await batcher.submit(item)

        group.start_soon(in_scope, first, 1)
        group.start_soon(in_scope, second, 2)
        await settle()
        first.cancel()
        await settle()
        assert process.cancelled == 0
        second.cancel()
        await settle()
        assert process.cancelled == 1
    assert kept == {}
    assert batcher.figures.cancelled == 2
    process.gate.set()
    assert await batcher.submit(3) == 6


async def test_work_cancelled_from_within_is_an_error():
    async def process(items):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
        raise ItemCancelledError("own")

    async with BatchProcessor(process) as batcher:
        with pytest.raises(ItemCancelledError):
            await batcher.submit(1)


async def test_a_full_queue_rejects_or_waits():
    process = Batches(open_gate=False)
    rejecting = BatchProcessor(process, batch_size=1, concurrency=1, max_queue=2, when_full="reject")
    async with anyio.create_task_group() as group:
        group.start_soon(rejecting.submit, 0)
        await settle()
        group.start_soon(rejecting.submit, 1)
        group.start_soon(rejecting.submit, 2)
        await settle()
        with pytest.raises(QueueFullError, match="2 items wait already"):
            await rejecting.submit(3)
        assert rejecting.figures.rejected == 1
        process.gate.set()
    waiting = BatchProcessor(Batches(), batch_size=1, concurrency=1, max_queue=2)
    assert await submit_all(waiting, range(50)) == [2 * item for item in range(50)]
    assert waiting.figures.rejected == 0


async def test_who_leaves_while_waiting_for_room():
    process = Batches(open_gate=False)
    batcher = BatchProcessor(process, batch_size=1, concurrency=1, max_queue=1)
    async with anyio.create_task_group() as group:
        for item in (0, 1):
            group.start_soon(batcher.submit, item)
            await settle()
        with anyio.move_on_after(0.02) as scope:
            await batcher.submit(2)
        assert scope.cancelled_caught
        group.start_soon(batcher.submit, 3)
        await settle()
        process.gate.set()
    assert process.seen == [[0], [1], [3]]


async def test_a_flood_of_one_tenant_delays_others_little():
    process = Batches(open_gate=False)
    batcher = BatchProcessor(process, batch_size=2, concurrency=1, tenant=lambda item: item // 1000, max_queue=40)
    async with anyio.create_task_group() as group:
        for item in range(100):
            group.start_soon(batcher.submit, item)
        await settle()
        for item in range(1000, 1005):
            group.start_soon(batcher.submit, item)
        await settle()
        process.gate.set()
    served = [item for batch in process.seen for item in batch]
    assert max(served.index(item) for item in range(1000, 1005)) < 15
    assert sorted(served) == [*range(100), *range(1000, 1005)]


async def test_a_full_queue_lets_in_tenants_with_little_in_it():
    process = Batches(open_gate=False)
    batcher = BatchProcessor(
        process, batch_size=1, concurrency=1, tenant=lambda item: item // 1000, max_queue=4, when_full="reject"
    )
    results = {}
    async with anyio.create_task_group() as group:
        group.start_soon(submit_all, batcher, list(range(8)), results)
        await settle()
        assert [type(error) for error in results.values()] == [QueueFullError] * len(results)
        assert len(results) >= 3
        other = {}
        group.start_soon(submit_all, batcher, [1000, 1001, 1002, 1003, 1004], other)
        await settle()
        assert [type(error) for error in other.values()] == [QueueFullError] * 3
        process.gate.set()


async def test_closing_runs_what_waits_and_takes_no_more():
    process = Batches(open_gate=False)
    batcher = BatchProcessor(process, batch_size=10, wait_ms=60_000)
    results = {}
    async with anyio.create_task_group() as group:
        group.start_soon(submit_all, batcher, [1], results)
        await settle()
        later = {}
        group.start_soon(submit_all, batcher, [2, 3], later)
        await settle()
        group.start_soon(batcher.aclose)
        await settle()
        with pytest.raises(ClosedError):
            await batcher.submit(4)
        process.gate.set()
        await batcher.aclose()
    assert (results[0], later) == (2, {0: 4, 1: 6})
    await batcher.aclose()


def test_a_batcher_serves_one_event_loop_after_another():
    async def process(items):
        return [2 * item for item in items]

    batcher = BatchProcessor(process)
    for backend in ("asyncio", "trio", "asyncio"):
        assert anyio.run(batcher.submit, 2, backend=backend) == 4


def test_a_loop_that_ends_leaves_nobody_waiting():
    async def main():
        batcher = BatchProcessor(Batches(open_gate=False))
        async with anyio.create_task_group() as group:
            group.start_soon(submit_all, batcher, [1, 2, 3])
            await settle()
            group.cancel_scope.cancel()
        return batcher

    for backend in ("asyncio", "trio"):
        batcher = anyio.run(main, backend=backend)
        assert batcher.figures.cancelled == 3


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "say how a batch is processed"),
        ({"process": abs, "run": abs}, "one of them"),
        ({"process": 3}, "process must be a function"),
        ({"process": abs, "key": 3}, "key must be a function"),
        ({"process": abs, "weight": "w"}, "weight must be a function"),
        ({"process": abs, "tenant": "t"}, "tenant must be a function"),
        ({"process": abs, "batch_size": 0}, "batch_size"),
        ({"process": abs, "wait_ms": -1}, "wait_ms"),
        ({"process": abs, "concurrency": 0.5}, "concurrency"),
        ({"process": abs, "max_queue": 0}, "max_queue"),
        ({"process": abs, "when_full": "drop"}, "when_full must be one of"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, match):
    with pytest.raises(ConfigurationError, match=match):
        BatchProcessor(**options)


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), "2", True])
async def test_a_weight_that_is_none_is_the_items_error(weight):
    async with BatchProcessor(Batches(), weight=lambda _: weight) as batcher:
        with pytest.raises(ConfigurationError, match="weight of an item"):
            await batcher.submit(1)


async def test_keys_must_be_hashable():
    async with BatchProcessor(Batches(), key=lambda _: []) as batcher:
        with pytest.raises(ConfigurationError, match="hashable"):
            await batcher.submit(1)


# ---- adaptive


async def test_an_adaptive_batcher_grows_under_load_and_a_lone_item_goes_at_once():
    process = Batches()

    async def slow(items):
        await anyio.sleep(0.003)
        return await process(items)

    async with AdaptiveBatcher(slow, concurrency=2, max_wait_ms=60_000, target_ms=200) as batcher:
        with anyio.fail_after(5):
            assert await batcher.submit(1) == 2
        assert await submit_all(batcher, range(600)) == [2 * item for item in range(600)]
        assert batcher.figures.largest > 20
        assert batcher.current_batch_size <= 50
    assert all(len(batch) <= 50 for batch in process.seen)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"min_batch_size": 0}, "min_batch_size"),
        ({"min_batch_size": 9, "max_batch_size": 8}, "max_batch_size"),
        ({"target_ms": -1}, "target_ms"),
        ({"max_wait_ms": "soon"}, "wait_ms"),
    ],
)
def test_options_of_an_adaptive_batcher(options, match):
    with pytest.raises(ConfigurationError, match=match):
        AdaptiveBatcher(abs, **options)


def played(size, seconds, demand=1000, rounds=400):
    """The ceilings that a size goes through under steady load, when a batch of n takes seconds(n)."""
    ceilings = []
    for turn in range(rounds):
        weight = size.now
        size.learn(int(weight), weight, demand, seconds(weight, turn))
        ceilings.append(size.ceiling)
    return ceilings


def test_the_size_settles_below_the_target_and_rests_there():
    size = AdaptiveSize(5, 200, 0.5, 10)
    noise = (0.97, 1.03, 1.0, 1.01, 0.99)
    ceilings = played(size, lambda n, turn: (0.05 + 0.01 * n) * noise[turn % 5])
    assert 25 <= ceilings[-1] <= 45
    assert len(set(ceilings[-200:])) == 1, "steady load, steady size"


def test_the_size_follows_when_service_slows_down_and_recovers():
    size = AdaptiveSize(5, 200, 0.5, 10)
    quick = played(size, lambda n, _: 0.05 + 0.01 * n)[-1]
    slow = played(size, lambda n, _: 0.05 + 0.05 * n)[-1]
    again = played(size, lambda n, _: 0.05 + 0.01 * n)[-1]
    assert slow < quick / 2
    assert again > slow * 2


def test_without_a_target_batching_may_double_the_time_of_the_smallest():
    flat = AdaptiveSize(5, 50, None, 10)
    assert played(flat, lambda n, _: 0.3)[-1] == 50
    steep = AdaptiveSize(5, 50, None, 10)
    assert played(steep, lambda n, turn: 0.1 * n * (1 + 0.01 * (turn % 3)))[-1] <= 12


def test_the_size_never_asks_for_more_than_there_is():
    size = AdaptiveSize(5, 50, 10.0, 10)
    played(size, lambda n, _: 0.1)
    assert size.now == 50
    for _ in range(100):
        size.learn(2, 2, 2, 0.1)
    assert size.now == 5


# ---- embeddings


class Embedding:
    def __init__(self):
        self.calls = []

    async def __call__(self, texts):
        self.calls.append(list(texts))
        await anyio.lowlevel.checkpoint()
        return [[float(len(text)), 0.1] for text in texts]


async def test_texts_asked_for_together_go_in_one_call_and_equal_ones_once():
    embed = Embedding()
    async with EmbeddingBatcher(embed) as batcher:
        vectors = await batcher.load_many(["a", "bb", "a", "ccc"])
        assert vectors == [[1.0, 0.1], [2.0, 0.1], [1.0, 0.1], [3.0, 0.1]]
        vectors[0].append(7)
        assert await batcher.load("a") == [1.0, 0.1]
        assert vectors[2] == [1.0, 0.1]
    assert [sorted(call) for call in embed.calls] == [["a", "bb", "ccc"]]
    assert batcher.figures.shared == 4


async def test_calls_hold_no_more_than_they_may():
    embed = Embedding()
    async with EmbeddingBatcher(embed, max_batch_size=3, max_batch_tokens=10, cache_size=0) as batcher:
        await batcher.load_many("abcdefg")
        assert sorted(map(len, embed.calls)) == [1, 3, 3]
        await batcher.load_many([*"abcdefg", "x" * 30, "y" * 30, "z" * 100])  # trio asks in any order
    assert max(map(len, embed.calls)) == 3
    assert all(sum(map(len, texts)) <= 40 or len(texts) == 1 for texts in embed.calls)


async def test_vectors_may_be_kept_in_a_cache_of_ones_own():
    embed = Embedding()
    cache = Cache(max_entries=10)
    for _ in range(2):
        async with EmbeddingBatcher(embed, cache=cache) as batcher:
            assert await batcher.load("abc") == [3.0, 0.1]
    assert embed.calls == [["abc"]]


async def test_only_so_many_vectors_are_kept():
    embed = Embedding()
    async with EmbeddingBatcher(embed, cache_size=2) as batcher:
        for text in ("a", "b", "a", "c", "a", "b"):
            await batcher.load(text)
    assert embed.calls == [["a"], ["b"], ["c"], ["b"]]


@pytest.mark.parametrize("vectors", [[[1.0]], [["x"], [1.0]], [None, [1.0]]])
async def test_vectors_that_are_none(vectors):
    async def embed(texts):
        return vectors

    async with EmbeddingBatcher(embed) as batcher:
        with pytest.raises(ProviderResponseError):
            await batcher.load_many(["a", "b"])
        with pytest.raises(InvalidRequestError, match="must be a str"):
            await batcher.load(3)


# ---- the queue


class Queued:
    def __init__(self, tenant, weight=1.0):
        self.tenant, self.weight = tenant, weight


def test_tenants_take_turns_by_what_they_weigh():
    queue = FairQueue()
    for tenant, weight, count in (("heavy", 3.0, 10), ("light", 1.0, 10)):
        for _ in range(count):
            queue.push(Queued(tenant, weight))
    served = {"heavy": 0.0, "light": 0.0}
    for _ in range(12):
        entry = queue.pop()
        served[entry.tenant] += entry.weight
    assert abs(served["heavy"] - served["light"]) <= 3.0


def test_absence_earns_no_credit():
    queue = FairQueue()
    for _ in range(100):
        queue.push(Queued("a"))
    queue.push(Queued("b"))
    for _ in range(50):
        queue.pop()
    for _ in range(50):
        queue.push(Queued("b"))
    turns = [queue.pop().tenant for _ in range(20)]
    assert turns.count("a") == 10


def test_an_empty_queue():
    queue = FairQueue()
    assert (queue.peek(), queue.oldest, len(queue)) == (None, None, 0)
    with pytest.raises(IndexError):
        queue.pop()
