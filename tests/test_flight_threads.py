"""One call per key among threads and event loops, and what happens when the owner of a call goes away."""

import asyncio
import gc
import os
import threading
import time

import anyio
import pytest

import resopt.flight.flight as flight_module
from flying import Caller, Upstream, in_thread, run_loop, settle, until
from resopt.errors import FlightRecursionError
from resopt.flight import Flight, Landed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_is_logged")]


# Threads and blocking callers.


def test_a_lone_blocking_caller_gets_the_value_and_pays(flight):
    assert flight.run_blocking(b"k", lambda left, right: left + right, 1, 2) == Landed(3, first=True)


def test_threads_share_one_call(flight):
    gate, outcomes, started = threading.Event(), [], []

    def call():
        started.append(threading.get_ident())
        gate.wait(10)
        return "value"

    threads = [in_thread(lambda: outcomes.append(flight.run_blocking(b"k", call))) for _ in range(32)]
    deadline = time.monotonic() + 10
    while sum(len(flying.waiters) for flying in list(flight._calls)) < 32 and time.monotonic() < deadline:
        time.sleep(0.001)
    gate.set()
    for thread in threads:
        thread.join(10)
    assert len(started) == 1
    assert [outcome.value for outcome in outcomes] == ["value"] * 32
    assert sum(outcome.first for outcome in outcomes) == 1


def test_an_error_in_a_thread_is_shared(flight):
    gate, errors = threading.Event(), []

    def fail():
        gate.wait(10)
        raise ValueError("no")

    def caller():
        try:
            flight.run_blocking(b"k", fail)
        except ValueError as error:
            errors.append(error)

    threads = [in_thread(caller) for _ in range(4)]
    deadline = time.monotonic() + 10
    while sum(len(flying.waiters) for flying in list(flight._calls)) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    gate.set()
    for thread in threads:
        thread.join(10)
    assert [str(error) for error in errors] == ["no"] * 4
    assert len({id(error) for error in errors}) == 4


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupted_leader_leaves_the_call_to_the_others(flight, kind):
    gate, outcomes, interrupted = threading.Event(), [], []

    def interrupt():
        gate.wait(10)
        raise kind

    def leader():
        try:
            flight.run_blocking(b"k", interrupt)
        except kind as error:
            interrupted.append(error)

    leading = in_thread(leader)
    while not len(flight):
        time.sleep(0.001)
    following = [in_thread(lambda: outcomes.append(flight.run_blocking(b"k", lambda: "anew"))) for _ in range(3)]
    while sum(len(flying.waiters) for flying in list(flight._calls)) < 4:
        time.sleep(0.001)
    gate.set()
    for thread in (leading, *following):
        thread.join(10)
    assert len(interrupted) == 1
    assert [outcome.value for outcome in outcomes] == ["anew"] * 3
    assert any(outcome.first for outcome in outcomes)


class Interrupt(BaseException):
    pass


async def test_a_base_exception_reaches_the_first_caller_only(flight):
    gate, attempts = anyio.Event(), []

    async def call():
        attempts.append(1)
        if len(attempts) > 1:
            return "anew"
        await gate.wait()
        raise Interrupt

    caught = []

    async def leader():
        try:
            await flight.run(b"k", call)
        except Interrupt as error:
            caught.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(leader)
        await settle()
        followers = [Caller(group, flight, b"k", call) for _ in range(3)]
        await settle()
        gate.set()
    assert len(caught) == 1
    assert [follower.outcome.value for follower in followers] == ["anew"] * 3


async def test_a_blocking_and_an_async_caller_share_an_async_call(flight):
    upstream, outcomes = Upstream(), []

    def unexpected():
        raise AssertionError("the async call is in the air")

    async with anyio.create_task_group() as group:
        caller = Caller(group, flight, b"k", upstream)
        await upstream.begun.wait()
        thread = in_thread(lambda: outcomes.append(flight.run_blocking(b"k", unexpected)))
        await until(lambda: len(next(iter(flight._calls)).waiters) == 2)
        upstream.gate.set()
        await until(lambda: not thread.is_alive())
    assert (upstream.started, caller.outcome.value, outcomes[0].value) == (1, 1, 1)
    assert caller.outcome.first != outcomes[0].first


async def test_a_blocking_follower_keeps_the_call_when_the_async_leader_leaves(flight):
    upstream, outcomes = Upstream(), []
    async with anyio.create_task_group() as group:
        caller = Caller(group, flight, b"k", upstream)
        await upstream.begun.wait()
        thread = in_thread(lambda: outcomes.append(flight.run_blocking(b"k", str)))
        await until(lambda: len(next(iter(flight._calls)).waiters) == 2)
        caller.scope.cancel()
        await caller.ended.wait()
        upstream.gate.set()
        await until(lambda: not thread.is_alive())
    assert outcomes == [Landed(1, first=True)]


async def test_an_async_caller_waits_for_a_blocking_call(flight):
    gate, outcomes = threading.Event(), []

    def call():
        gate.wait(10)
        return "from the thread"

    thread = in_thread(lambda: outcomes.append(flight.run_blocking(b"k", call)))
    await until(lambda: len(flight) == 1)
    async with anyio.create_task_group() as group:
        callers = [Caller(group, flight, b"k", Upstream()) for _ in range(3)]
        await settle()
        callers[0].scope.cancel()
        await callers[0].ended.wait()
        gate.set()
    thread.join(10)
    outcomes += [caller.outcome for caller in callers[1:]]
    assert [outcome.value for outcome in outcomes] == ["from the thread"] * 3
    assert sum(outcome.first for outcome in outcomes) == 1


async def test_a_blocking_caller_on_the_loops_own_thread_does_not_wait_for_it(flight):
    upstream = Upstream()
    async with anyio.create_task_group() as group:
        caller = Caller(group, flight, b"k", upstream)
        await upstream.begun.wait()
        assert flight.run_blocking(b"k", lambda: "own") == Landed("own", first=True)
        upstream.gate.set()
    assert caller.outcome == Landed(1, first=True)


async def test_an_unshared_call_that_asks_for_its_own_key_is_refused(flight):
    upstream = Upstream()

    def own():
        return flight.run_blocking(b"k", own)

    async with anyio.create_task_group() as group:
        Caller(group, flight, b"k", upstream)
        await upstream.begun.wait()
        with pytest.raises(FlightRecursionError):
            flight.run_blocking(b"k", own)
        upstream.gate.set()


async def test_a_blocking_caller_does_not_hold_up_a_loop_its_answer_depends_on(flight):
    """The thread's call waits for this loop's call, so blocking this loop on the thread's call would never end."""
    upstream = Upstream()

    def in_between():
        return flight.run_blocking("here", str).value

    async with anyio.create_task_group() as group:
        here = Caller(group, flight, "here", upstream)
        await upstream.begun.wait()
        thread = in_thread(lambda: flight.run_blocking("there", in_between))
        await until(lambda: sum(len(flying.waiters) for flying in list(flight._calls)) == 3)
        assert flight.run_blocking("there", lambda: "own").value == "own"
        upstream.gate.set()
        await until(lambda: not thread.is_alive())
    assert here.outcome.value == 1


def test_a_call_that_needs_a_loop_blocked_by_its_own_waiter_is_refused(flight):
    """The other order: the loop's thread already waits for the call that then asks for a call of that loop."""
    ready, proceed, errors = threading.Event(), threading.Event(), []

    def there():
        ready.set()
        proceed.wait(10)
        try:
            flight.run_blocking("here", str)
        except FlightRecursionError as error:
            errors.append(error)
        return "there"

    async def main():
        gate = asyncio.Event()
        task = asyncio.create_task(flight.run("here", gate.wait))
        await asyncio.sleep(0.01)
        thread = in_thread(lambda: flight.run_blocking("there", there))
        ready.wait(10)
        threading.Timer(0.05, proceed.set).start()
        assert flight.run_blocking("there", str).value == "there"
        gate.set()
        await task
        thread.join(10)

    asyncio.run(main())
    assert len(errors) == 1


# Several event loops, and loops that end.


@pytest.mark.parametrize("leader", ["asyncio", "trio"])
@pytest.mark.parametrize("follower", ["asyncio", "trio"])
def test_two_event_loops_share_one_call(flight, leader, follower):
    begun, outcomes, started = threading.Event(), [], []

    async def call():
        started.append(1)
        begun.set()
        await until(lambda: sum(len(flying.waiters) for flying in list(flight._calls)) == 4)
        return "shared"

    async def waiter():
        outcomes.append(await flight.run(b"k", call))

    async def several():
        async with anyio.create_task_group() as group:
            group.start_soon(waiter)
            group.start_soon(waiter)

    first = in_thread(run_loop, leader, several)
    assert begun.wait(10)
    second = in_thread(run_loop, follower, several)
    first.join(10)
    second.join(10)
    assert len(started) == 1
    assert [outcome.value for outcome in outcomes] == ["shared"] * 4
    assert sum(outcome.first for outcome in outcomes) == 1


@pytest.mark.parametrize("owner", ["asyncio", "trio"])
async def test_foreign_waiters_survive_the_shutdown_of_the_owning_loop(flight, owner):
    begun, ending, blocking = threading.Event(), threading.Event(), []

    async def stay():
        begun.set()
        await anyio.sleep_forever()

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(flight.run, b"k", stay)
            await until(ending.is_set)
            group.cancel_scope.cancel()

    async def anew():
        return "anew"

    thread = in_thread(run_loop, owner, main)
    await until(begun.is_set)
    waiting = in_thread(lambda: blocking.append(flight.run_blocking(b"k", lambda: "anew")))
    async with anyio.create_task_group() as group:
        caller = Caller(group, flight, b"k", anew)
        await until(lambda: len(next(iter(flight._calls)).waiters) == 3)
        ending.set()
        # The leader has left, but foreigners keep the call in the air until its loop cancels what is left.
        with anyio.fail_after(10):
            await caller.ended.wait()
    await until(lambda: not waiting.is_alive() and not thread.is_alive())
    assert {caller.outcome.value, blocking[0].value} == {"anew"}
    assert caller.outcome.first or blocking[0].first


def test_foreign_waiters_survive_a_loop_closed_without_cancelling_its_tasks(flight, monkeypatch, caplog):
    monkeypatch.setattr(flight_module, "WATCH_SECONDS", 0.05)
    begun, ending, outcomes = threading.Event(), threading.Event(), []

    async def stay():
        begun.set()
        await asyncio.sleep(3600)

    async def main():
        task = asyncio.ensure_future(flight.run(b"k", stay))
        await until(ending.is_set)
        return task

    def own():
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()

    async def follow():
        outcomes.append(await flight.run(b"k", anew))

    async def anew():
        return "anew"

    threads = [in_thread(own)]
    assert begun.wait(10)
    threads += [
        in_thread(run_loop, "asyncio", follow),
        in_thread(run_loop, "trio", follow),
        in_thread(lambda: outcomes.append(flight.run_blocking(b"k", lambda: "anew"))),
    ]
    while len(next(iter(flight._calls)).waiters) < 4:
        time.sleep(0.001)
    ending.set()
    for thread in threads:
        thread.join(10)
    assert [outcome.value for outcome in outcomes] == ["anew"] * 3
    gc.collect()
    caplog.clear()  # asyncio rightly says that this loop was closed over pending tasks


def test_a_waiter_whose_loop_was_closed_does_not_keep_the_value(caplog):
    reported = []
    flight = Flight(on_unclaimed=lambda key, value: reported.append((key, value)))
    joined, gate, outcomes = threading.Event(), threading.Event(), []

    def call():
        joined.wait(10)
        gate.wait(10)
        return "value"

    leader = in_thread(lambda: outcomes.append(flight.run_blocking(b"k", call)))
    while not len(flight):
        time.sleep(0.001)
    loop = asyncio.new_event_loop()
    task = loop.create_task(flight.run(b"k", asyncio.Event().wait))
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    joined.set()
    gate.set()
    leader.join(10)
    assert outcomes == [Landed("value", first=True)]
    assert reported == []
    assert len(flight) == 0
    del task
    gc.collect()
    caplog.clear()  # asyncio rightly says that this loop was closed over a pending task


async def test_a_forked_child_does_not_wait_for_calls_of_its_parent(flight):
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    upstream = Upstream()
    async with anyio.create_task_group() as group:
        Caller(group, flight, b"k", upstream)
        await upstream.begun.wait()
        Flight._forget()  # what `os.register_at_fork` runs in the child
        assert len(flight) == 0
        assert flight.run_blocking(b"k", lambda: "child").value == "child"
        upstream.gate.set()
