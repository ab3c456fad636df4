"""Whatever is submitted, to whatever batcher, cancelled or failing: each item ends once, and the counts add up."""

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resopt import AdaptiveBatcher, BatchProcessor, ClosedError, QueueFullError, batch_process
from resopt.batch.fairness import FairQueue
from resopt.batch.headers import read_duration, read_limits

ITEM = st.tuples(
    st.sampled_from(["fine", "fails", "leaves", "ends"]), st.integers(0, 3), st.integers(0, 2), st.integers(1, 9)
)


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(ITEM, max_size=40),
    adaptive=st.booleans(),
    size=st.integers(1, 12),
    concurrency=st.integers(1, 3),
    max_queue=st.integers(1, 50),
    when_full=st.sampled_from(["wait", "reject"]),
    weighted=st.booleans(),
    backend=st.sampled_from(["asyncio", "trio"]),
    broken=st.sampled_from([None, "raises", "short"]),
)
def test_every_item_ends_exactly_once(  # noqa: C901 - the batch, the callers and the counts in one place
    items, adaptive, size, concurrency, max_queue, when_full, weighted, backend, broken
):
    ended = {}

    async def process(batch):
        await anyio.lowlevel.checkpoint()
        if broken == "raises" and any(kind == "fails" for _, (kind, *_) in batch):
            raise KeyError("a batch")
        if broken == "short" and len(batch) > 2:
            return batch[:1]
        return [ValueError(position) if kind == "fails" else position for position, (kind, *_) in batch]

    async def one(batcher, position, item):
        try:
            with anyio.move_on_after(0 if item[0] == "leaves" else None) as scope:
                result = await batcher.submit((position, item))
                assert result == position
                outcome = "result"
            if scope.cancelled_caught:
                outcome = "cancelled"
        except Exception as error:
            outcome = error
        assert position not in ended
        ended[position] = outcome

    async def main():
        options = {
            "key": lambda item: item[1][1],
            "tenant": lambda item: item[1][2],
            "weight": (lambda item: item[1][3]) if weighted else None,
            "concurrency": concurrency,
            "max_queue": max_queue,
            "when_full": when_full,
        }
        if adaptive:
            batcher = AdaptiveBatcher(process, min_batch_size=1, max_batch_size=size, max_wait_ms=1, **options)
        else:
            batcher = BatchProcessor(process, batch_size=size, wait_ms=1, **options)
        async with anyio.create_task_group() as group:
            for position, item in enumerate(items):
                group.start_soon(one, batcher, position, item)
        await batcher.aclose()
        with pytest.raises(ClosedError):
            await batcher.submit((0, items[0] if items else ("fine", 0, 0, 1)))
        return batcher.figures

    figures = anyio.run(main, backend=backend)
    assert sorted(ended) == list(range(len(items)))
    kinds = [type(outcome).__name__ for outcome in ended.values()]
    assert figures.submitted == len(items)
    assert figures.done + figures.failed + figures.cancelled + figures.rejected == len(items)
    assert figures.rejected == kinds.count(QueueFullError.__name__)
    assert (figures.queued, figures.running) == (0, 0)
    if broken is None:
        for position, outcome in ended.items():
            if items[position][0] == "fine" and not isinstance(outcome, QueueFullError):
                assert outcome == "result"


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(st.integers(0, 12), max_size=40),
    bad=st.sets(st.integers(0, 12)),
    width=st.integers(1, 8),
    backend=st.sampled_from(["asyncio", "trio"]),
)
def test_a_batch_keeps_its_order_and_sends_nothing_twice(items, bad, width, backend):
    calls = []

    async def work(item):
        calls.append(item)
        await anyio.lowlevel.checkpoint()
        if item in bad:
            raise ValueError(item)
        return item * 10

    async def main():
        return await batch_process(items, width, run=work, errors="return")

    results = anyio.run(main, backend=backend)
    assert [result.args[0] if isinstance(result, ValueError) else result // 10 for result in results] == items
    assert sorted(calls) == sorted(set(items))


class Queued:
    def __init__(self, tenant, weight):
        self.tenant, self.weight = tenant, weight


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(["push", "pop", "drop", "take"]), st.integers(0, 4), st.integers(1, 5))))
def test_the_fair_queue_loses_nothing(steps):
    queue, inside, served = FairQueue(), [], []
    for what, tenant, weight in steps:
        if what == "push":
            inside.append(Queued(tenant, float(weight)))
            queue.push(inside[-1])
        elif what == "pop" and inside:
            served.append(queue.pop())
        elif what == "take":
            served += queue.take(weight * 2.0)
        elif what == "drop" and inside:
            assert queue.discard(inside[tenant % len(inside)])
            inside.pop(tenant % len(inside))
        inside = [entry for entry in inside if entry not in served]
        assert queue.entries() == inside, "in the order in which they came"
        assert queue.weight == pytest.approx(sum(entry.weight for entry in inside))
        assert (queue.peek() is None) == (not inside)
        for known in {entry.tenant for entry in inside}:
            assert any(entry is queue.peek() or entry.tenant == known for entry in inside)
    assert len(set(served)) == len(served)


PARTS = ("limit", "remaining", "reset")
NAMES = [f"x-ratelimit-{part}-{kind}" for part in PARTS for kind in ("requests", "tokens")]
NAMES += [f"anthropic-ratelimit-requests-{part}" for part in PARTS]


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=12)))
def test_no_header_is_too_strange(headers):
    for told in read_limits(headers).values():
        assert told.limit is None or told.limit > 0
        assert told.remaining is None or told.remaining >= 0
        assert told.reset is None or told.reset >= 0


@given(st.text(max_size=20))
def test_no_duration_is_too_strange(text):
    seconds = read_duration(text)
    assert seconds is None or 0 <= seconds < 10**6
