"""Nothing that callers of single-flight may do, in any order, breaks its invariants. Seeded, so a failure repeats."""

import random
import threading
import time
from functools import partial

import anyio
import pytest
from anyio.lowlevel import checkpoint

from resopt.flight import Flight

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_is_logged")]


class Books:
    """What calls made and what callers got; every value is a fresh object."""

    def __init__(self):
        self.produced, self.received, self.paid, self.unclaimed = [], [], [], []
        self.flight = Flight(on_unclaimed=lambda _key, value: self.unclaimed.append(value))
        self.running = 0

    def make(self, key):
        value = (key, object())
        self.produced.append(value)
        return value

    def note(self, key, landed):
        assert landed.value[0] == key
        self.received.append(landed.value)
        if landed.first:
            self.paid.append(landed.value)

    def balance(self):
        assert len(self.flight) == 0
        assert self.running == 0
        assert len({id(value) for value in self.paid}) == len(self.paid), "nobody pays twice for one call"
        assert {id(value) for value in self.received} == {id(value) for value in self.paid}
        assert sorted(map(id, self.paid + self.unclaimed)) == sorted(map(id, self.produced)), (
            "paid for or reported, once"
        )


async def impatient(scope, turns):
    for _ in range(turns):
        await checkpoint()
    scope.cancel()


async def slow_call(books, key, turns, fails):
    books.running += 1
    try:
        for _ in range(turns):
            await checkpoint()
        if fails:
            raise ValueError(key)
        return books.make(key)
    finally:
        books.running -= 1


async def caller(books, choose, group, key, patience):
    with anyio.CancelScope() as scope:
        if patience is not None:
            group.start_soon(impatient, scope, patience)
        try:
            landed = await books.flight.run(key, slow_call, books, key, choose.randrange(6), choose.random() < 0.2)
        except ValueError as error:
            if error.args != (key,):
                raise
        else:
            books.note(key, landed)


@pytest.mark.parametrize("seed", range(8))
async def test_random_joins_and_leaves_keep_the_invariants(seed):
    choose, books = random.Random(seed), Books()
    async with anyio.create_task_group() as group:
        for _ in range(600):
            patience = choose.choice([None, None, 0, 1, 2, 4, 7])
            group.start_soon(caller, books, choose, group, choose.randrange(5), patience)
            if choose.random() < 0.3:
                await checkpoint()
    with anyio.fail_after(10):
        while len(books.flight):
            await checkpoint()
    assert books.received
    books.balance()


def blocking_callers(books, choose):
    def call(key):
        time.sleep(choose.random() * 0.002)
        return books.make(key)

    for _ in range(40):
        key = choose.randrange(3)
        books.note(key, books.flight.run_blocking(key, partial(call, key)))


async def looping_callers(books, choose):
    async def call(key):
        await anyio.sleep(choose.random() * 0.002)
        return books.make(key)

    async def repeat():
        for _ in range(15):
            key = choose.randrange(3)
            with anyio.move_on_after(choose.random() * 0.004):
                books.note(key, await books.flight.run(key, call, key))

    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(repeat)


@pytest.mark.parametrize("seed", range(3))
def test_random_threads_and_loops_keep_the_invariants(seed):
    books, errors = Books(), []

    def guarded(function, *args):
        try:
            function(*args)
        except BaseException as error:
            errors.append(error)

    choices = [random.Random(seed * 100 + number) for number in range(8)]
    jobs = [partial(blocking_callers, books, choose) for choose in choices[:4]]
    jobs += [
        partial(run_loop, ["asyncio", "trio"][number % 2], partial(looping_callers, books, choices[4 + number]))
        for number in range(4)
    ]
    threads = [threading.Thread(target=guarded, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a waiter was forgotten"
    assert errors == []
    books.balance()


def run_loop(backend, function):
    anyio.run(function, backend=backend)
