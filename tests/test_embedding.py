"""A user's own embedding function: asked once, in batches, by a deadline, and never trusted."""

import threading
import time

import anyio
import numpy as np
import pytest

from resopt.cache.embedding import Embedder
from resopt.errors import ConfigurationError
from resopt.sync import drive

pytestmark = pytest.mark.anyio


class Function:
    """Vectors of (length, 1); keeps the batches it was given."""

    def __init__(self, result=None, wait=0.0):
        self.batches = []
        self.result = result
        self.wait = wait

    def __call__(self, texts):
        self.batches.append(list(texts))
        if self.wait:
            time.sleep(self.wait)
        if isinstance(self.result, Exception):
            raise self.result
        return [[len(text), 1] for text in texts] if self.result is None else self.result


class AsyncFunction(Function):
    async def __call__(self, texts):
        await anyio.sleep(self.wait)
        self.wait = 0
        return super().__call__(texts)


@pytest.fixture(params=[Function, AsyncFunction])
def kind(request):
    return request.param


async def test_a_text_is_embedded_once(kind):
    function = kind()
    embedder = Embedder(function, deadline=10)
    assert embedder.known("abc") is None
    first = await embedder.vector("abc", blocking=False)
    again = await embedder.vector("abc", blocking=False)
    assert first.dtype == np.float32
    assert first.tolist() == [3, 1]
    assert again is first is embedder.known("abc")
    assert function.batches == [["abc"]]


def test_blocking_callers_need_no_event_loop(kind):
    function = kind()
    embedder = Embedder(function, deadline=10)
    assert drive(embedder.vector("abc", blocking=True)).tolist() == [3, 1]
    assert function.batches == [["abc"]]


async def test_who_asks_meanwhile_shares_the_next_batch(kind):
    function = kind(wait=0.1)
    embedder = Embedder(function, deadline=10, batch=8)
    vectors = {}

    async def ask(text):
        vectors[text, len(vectors)] = await embedder.vector(text, blocking=False)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(ask, "x" * (1 + number % 10))
    assert len(vectors) == 20
    assert all(vector[0] == len(text) for (text, _), vector in vectors.items())
    sent = [text for batch in function.batches for text in batch]
    assert sorted(sent) == sorted(set(sent))
    assert len(sent) == 10
    assert max(map(len, function.batches)) <= 8
    assert len(function.batches) <= 3


def test_threads_share_batches():
    function = Function(wait=0.05)
    embedder = Embedder(function, deadline=10)
    found = []

    def ask(number):
        found.append((number, drive(embedder.vector("x" * (1 + number), blocking=True))))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(vector[0] == number + 1 for number, vector in found)
    assert len(found) == 16
    assert len(function.batches) < 16


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (RuntimeError("down"), "RuntimeError"),
        ([[1.0, float("nan")]], "not finite, or zero"),
        ([[0.0, 0.0]], "not finite, or zero"),
        ([[float("inf"), 1.0]], "not finite, or zero"),
        ([1.0, 2.0], "wrong shape"),
        ([[1.0], [2.0]], "wrong shape"),
        ([[]], "wrong shape"),
        ("nonsense", "ValueError"),
        (None, None),
    ],
    ids=str,
)
@pytest.mark.parametrize("blocking", [False, True])
async def test_what_is_no_vector_is_a_miss(kind, result, why, blocking):
    embedder = Embedder(kind(result), deadline=10)
    if blocking:
        vector = await anyio.to_thread.run_sync(lambda: drive(embedder.vector("abc", blocking=True)))
    else:
        vector = await embedder.vector("abc", blocking=False)
    if why is None:
        assert vector is not None
        assert embedder.failures == {}
    else:
        assert vector is None
        assert embedder.failures == {why: 1}
        assert embedder.known("abc") is None


async def test_vectors_of_another_length_are_refused():
    function = Function([[1.0, 2.0]])
    embedder = Embedder(function, deadline=10)
    assert await embedder.vector("a", blocking=False) is not None
    function.result = [[1.0, 2.0, 3.0]]
    assert await embedder.vector("b", blocking=False) is None
    assert embedder.failures == {"dimensions changed": 1}


@pytest.mark.parametrize("blocking", [False, True])
async def test_one_that_hangs_costs_no_more_than_the_deadline_and_is_given_up(kind, blocking):
    function = kind(wait=1.5)
    embedder = Embedder(function, deadline=0.05)
    if blocking:
        vector = await anyio.to_thread.run_sync(lambda: drive(embedder.vector("abc", blocking=True)))
    else:
        vector = await embedder.vector("abc", blocking=False)
    assert vector is None
    assert embedder.failures["deadline"] == 1
    function.wait = 0
    with anyio.fail_after(20):
        while await embedder.vector("def", blocking=False) is None:  # noqa: ASYNC110 - nothing tells
            await anyio.sleep(0.05)


async def test_a_caller_who_leaves_takes_nobody_along():
    embedder = Embedder(AsyncFunction(wait=0.2), deadline=10)
    found = []

    async def stay():
        found.append(await embedder.vector("abc", blocking=False))

    async with anyio.create_task_group() as group:
        with anyio.move_on_after(0.05):
            await embedder.vector("abc", blocking=False)
        group.start_soon(stay)
    assert found[0].tolist() == [3, 1]


@pytest.mark.parametrize(
    "arguments",
    [{"deadline": 0}, {"deadline": "1"}, {"deadline": True}, {"batch": 0}, {"batch": 2.0}, {"remembered": -1}],
    ids=str,
)
def test_nonsense_is_refused(arguments):
    with pytest.raises(ConfigurationError):
        Embedder(Function(), **arguments)


def test_what_cannot_be_called_is_refused():
    with pytest.raises(ConfigurationError, match="callable"):
        Embedder("text-embedding-3-small")


def test_its_name_tells_functions_apart():
    assert Embedder(Function()).name == "test_embedding.Function"
    assert Embedder(test_nonsense_is_refused).name.endswith("test_nonsense_is_refused")
    assert Embedder(Function(), name="e5").name == "e5"
