"""One call per key: who gets its outcome, who pays, and what cancelling, failing and vanishing do to the others."""

import asyncio
import contextvars
import gc
import logging
import random
import threading
import time
import traceback
from functools import partial

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint

import resopt.flight.flight as flight_module
from resopt.errors import FlightRecursionError, ProviderError
from resopt.flight import Flight, Landed

pytestmark = pytest.mark.anyio


class Upstream:
    """A call that starts, waits at a gate and returns its number; it counts how it was treated."""

    def __init__(self):
        self.started = 0
        self.cancelled = 0
        self.finished = 0
        self.gate = anyio.Event()
        self.begun = anyio.Event()

    async def __call__(self, *_args):
        self.started += 1
        number = self.started
        self.begun.set()
        try:
            await self.gate.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        self.finished += 1
        return number


class Caller:
    """A task that runs a key and notes what came out; it can be cancelled alone."""

    def __init__(self, group, flight, key, call, *args):
        self.scope = anyio.CancelScope()
        self.outcome = None
        self.error = None
        self.ended = anyio.Event()
        group.start_soon(self._go, flight, key, call, *args)

    async def _go(self, flight, key, call, *args):
        try:
            with self.scope:
                self.outcome = await flight.run(key, call, *args)
        except Exception as error:
            self.error = error
        finally:
            self.ended.set()


async def settle(rounds=20):
    for _ in range(rounds):
        await checkpoint()


async def until(condition):
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.001)


def in_thread(function, *args):
    """Run in a thread with a fresh context; the caller joins it."""
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def flight():
    """A flight that must have nothing in the air when the test is over."""
    made = Flight()
    yield made
    deadline = time.monotonic() + 5
    while len(made) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(made) == 0
    assert not made._table


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog):
    """Asyncio reports exceptions that nobody retrieved, and pending tasks that were destroyed, through its logger."""
    yield
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_a_lone_caller_gets_the_value_and_pays(flight):
    async def call(left, right):
        return left + right

    landed = await flight.run(b"k", call, 1, 2)
    assert landed == Landed(3, first=True)
    assert len(flight) == 0


async def test_concurrent_callers_share_one_call_and_one_pays(flight):
    upstream = Upstream()
    async with anyio.create_task_group() as group:
        callers = [Caller(group, flight, b"k", upstream) for _ in range(4)]
        await settle()
        assert len(flight) == 1
        upstream.gate.set()
    assert upstream.started == 1
    assert [caller.outcome.value for caller in callers] == [1] * 4
    assert sum(caller.outcome.first for caller in callers) == 1


async def test_different_keys_and_later_calls_do_not_share(flight):
    calls = []

    async def call(name):
        calls.append(name)
        await checkpoint()
        return name

    async with anyio.create_task_group() as group:
        first = Caller(group, flight, "a", call, "a")
        second = Caller(group, flight, "b", call, "b")
    again = await flight.run("a", call, "again")
    assert (first.outcome.value, second.outcome.value, again.value) == ("a", "b", "again")
    assert sorted(calls) == ["a", "again", "b"]


async def test_a_thousand_waiters_share_one_call(flight):
    upstream = Upstream()
    async with anyio.create_task_group() as group:
        callers = [Caller(group, flight, b"k", upstream) for _ in range(1_000)]
        await settle()
        upstream.gate.set()
    assert upstream.started == 1
    assert {caller.outcome.value for caller in callers} == {1}
    assert sum(caller.outcome.first for caller in callers) == 1


# The cancellation table of notes/native.md §1.3: leader, follower, next call; four callers each time.


@pytest.mark.parametrize("cancelled", [0, 1, 3])
async def test_cancelling_one_of_four_disturbs_nobody_else(flight, cancelled):
    upstream = Upstream()
    async with anyio.create_task_group() as group:
        callers = [Caller(group, flight, b"k", upstream) for _ in range(4)]
        await settle()
        callers[cancelled].scope.cancel()
        await callers[cancelled].ended.wait()
        assert upstream.cancelled == 0
        upstream.gate.set()
    others = [caller for index, caller in enumerate(callers) if index != cancelled]
    assert callers[cancelled].outcome is None
    assert [caller.outcome.value for caller in others] == [1, 1, 1]
    assert sum(caller.outcome.first for caller in others) == 1
    assert upstream.started == 1
    assert await flight.run(b"k", upstream) == Landed(2, first=True), "the next call is a call like any other"


async def test_native_cancellation_of_the_leader_disturbs_nobody_else():
    async def main():
        flight, gate = Flight(), asyncio.Event()

        async def call():
            await gate.wait()
            return "value"

        tasks = [asyncio.create_task(flight.run(b"k", call)) for _ in range(4)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        await asyncio.sleep(0.01)
        gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(outcomes[0], asyncio.CancelledError)
        assert [outcome.value for outcome in outcomes[1:]] == ["value"] * 3
        assert len(flight) == 0

    await anyio.to_thread.run_sync(asyncio.run, main())


async def test_the_last_waiter_to_leave_cancels_the_call(flight):
    upstream = Upstream()
    async with anyio.create_task_group() as group:
        callers = [Caller(group, flight, b"k", upstream) for _ in range(3)]
        await settle()
        for caller in callers[:2]:
            caller.scope.cancel()
        await settle()
        assert upstream.cancelled == 0
        callers[2].scope.cancel()
    await until(lambda: len(flight) == 0)
    assert (upstream.started, upstream.cancelled, upstream.finished) == (1, 1, 0)


async def test_who_asks_while_a_cancelled_call_unwinds_starts_afresh(flight):
    unwinding, release = anyio.Event(), anyio.Event()
    started = []

    async def call():
        started.append(1)
        if len(started) > 1:
            return "fresh"
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                unwinding.set()
                await release.wait()

    async with anyio.create_task_group() as group:
        caller = Caller(group, flight, b"k", call)
        await settle()
        caller.scope.cancel()
        await unwinding.wait()
        assert len(flight) == 1, "the dying call is still in the air"
        assert await flight.run(b"k", call) == Landed("fresh", first=True)
        release.set()
    await until(lambda: len(flight) == 0)


async def test_a_caller_that_is_cancelled_from_the_start_starts_nothing(flight):
    upstream = Upstream()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await flight.run(b"k", upstream)
    await until(lambda: len(flight) == 0)
    assert upstream.finished == 0


async def test_an_error_is_shared_and_not_remembered(flight):
    gate = anyio.Event()
    original = ProviderError("no luck", status=503, attempts=2)

    async def fail():
        await gate.wait()
        raise original

    async with anyio.create_task_group() as group:
        callers = [Caller(group, flight, b"k", fail) for _ in range(5)]
        await settle()
        gate.set()
    assert sum(caller.error is original for caller in callers) == 1
    for caller in callers:
        assert type(caller.error) is ProviderError
        assert (str(caller.error), caller.error.status, caller.error.attempts) == ("no luck", 503, 2)
        frames = [frame.name for frame in traceback.extract_tb(caller.error.__traceback__)]
        assert frames.count("_take") == 1, "no waiter's traceback holds another's frames"
        assert frames[-1] == "fail", "and it shows where the call failed"
    assert len({id(caller.error) for caller in callers}) == 5

    async def work():
        return "now"

    assert await flight.run(b"k", work) == Landed("now", first=True)


class Reworded(Exception):
    def __init__(self, message):
        super().__init__(f"reworded {message}")


class Demanding(Exception):
    def __init__(self, message, *, response):
        super().__init__(message)
        self.response = response


class Slotted(Exception):
    __slots__ = ("code",)

    def __init__(self, code):
        super().__init__(code)
        self.code = code


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (Reworded("once"), lambda error: str(error) == "reworded once"),
        (Demanding("text", response=[1]), lambda error: str(error) == "text" and error.response == [1]),
        (Slotted(7), lambda error: error.code == 7),
        (OSError(2, "gone", "file.txt"), lambda error: (error.errno, error.filename) == (2, "file.txt")),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), lambda error: error.reason == "bad" and error.end == 1),
        (ImportError("no", name="module"), lambda error: error.name == "module"),
        (ExceptionGroup("several", [ValueError(1), KeyError(2)]), lambda error: len(error.exceptions) == 2),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_every_kind_of_error_reaches_each_waiter_whole(flight, error, seen):
    gate = anyio.Event()
    cause = error.__cause__ = RuntimeError("cause")

    async def fail():
        await gate.wait()
        raise error

    async with anyio.create_task_group() as group:
        callers = [Caller(group, flight, b"k", fail) for _ in range(3)]
        await settle()
        gate.set()
    for caller in callers:
        assert type(caller.error) is type(error)
        assert seen(caller.error)
        assert caller.error.__cause__ is cause


async def test_a_failed_call_is_freed_without_the_garbage_collector(flight):
    class Marker:
        pass

    alive = []

    async def fail(_marker):
        raise ValueError("no")

    async def once():
        import weakref

        marker = Marker()
        alive.append(weakref.ref(marker))
        try:  # `pytest.raises` would keep the traceback
            await flight.run(b"k", fail, marker)
        except ValueError:
            return

    gc.collect()
    gc.disable()
    try:
        await once()
        await settle()
        assert alive[0]() is None
    finally:
        gc.enable()


async def test_a_call_that_asks_for_its_own_key_is_refused(flight):
    async def call():
        return await flight.run(b"k", call)

    with pytest.raises(FlightRecursionError, match="wait for itself"):
        await flight.run(b"k", call)


async def test_a_circle_through_another_call_is_refused(flight):
    async def outer():
        return await flight.run("b", inner)

    async def inner():
        return await flight.run("a", outer)

    with pytest.raises(FlightRecursionError, match="'a'"):
        await flight.run("a", outer)


async def test_a_circle_between_calls_that_began_apart_is_refused(flight):
    """A's call joins B's while B's joins A's: neither was started by the other."""
    other = Flight()
    both = anyio.Event()
    errors = []

    async def call(this, mine, that, theirs):
        await both.wait()
        try:
            landed = await that.run(theirs, call, that, theirs, this, mine)
        except FlightRecursionError as error:
            errors.append(error)
            return f"{mine} alone"
        return f"{mine} after {landed.value}"

    async with anyio.create_task_group() as group:
        first = Caller(group, flight, "a", call, flight, "a", other, "b")
        second = Caller(group, other, "b", call, other, "b", flight, "a")
        await settle()
        both.set()
    assert len(errors) == 1
    assert {first.outcome.value, second.outcome.value} in (
        {"a alone", "b after a alone"},
        {"b alone", "a after b alone"},
    )
    assert len(other) == 0


async def test_nested_calls_without_a_circle_work(flight):
    async def outer():
        async with anyio.create_task_group() as group:
            left = Caller(group, flight, "leaf", leaf)
            right = Caller(group, flight, "leaf", leaf)
        return left.outcome.value + right.outcome.value

    async def leaf():
        await checkpoint()
        return 1

    assert (await flight.run("outer", outer)).value == 2


async def test_a_task_that_outlives_its_call_may_ask_again(flight):
    asked = []
    gate = anyio.Event()
    async with anyio.create_task_group() as group:

        async def later():
            await gate.wait()
            asked.append(await flight.run(b"k", work))

        async def work():
            return "again"

        async def call():
            # The group's task starts with a copy of this call's context.
            group.start_soon(later)
            return "once"

        assert (await flight.run(b"k", call)).value == "once"
        gate.set()
    assert asked == [Landed("again", first=True)]


async def test_a_circle_through_threads_is_refused(flight):
    def blocking():
        return flight.run_blocking("a", lambda: "unreached")

    async def call():
        return await anyio.to_thread.run_sync(blocking)

    with pytest.raises(FlightRecursionError):
        await flight.run("a", call)


def test_a_blocking_circle_is_refused(flight):
    def outer():
        return flight.run_blocking("b", inner).value

    def inner():
        return flight.run_blocking("a", outer).value

    with pytest.raises(FlightRecursionError):
        flight.run_blocking("a", outer)


async def test_an_unclaimed_value_is_reported_once(anyio_backend):
    reported = []
    flight = Flight(on_unclaimed=lambda key, value: reported.append((key, value)))
    upstream = Upstream()
    async with anyio.create_task_group() as group:
        callers = [Caller(group, flight, b"k", upstream) for _ in range(3)]
        await settle()
        await anyio.sleep(0)
        upstream.gate.set()
        while not upstream.finished:
            await checkpoint()
        for caller in callers:  # the value is there; those who have not taken it leave now
            caller.scope.cancel()
    taken = [caller.outcome for caller in callers if caller.outcome]
    assert sum(outcome.first for outcome in taken) + len(reported) == 1
    assert len(flight) == 0


async def test_a_call_that_completes_although_cancelled_is_reported(anyio_backend):
    reported = []
    flight = Flight(on_unclaimed=lambda key, value: reported.append((key, value)))
    gate, begun = anyio.Event(), anyio.Event()

    async def call():
        with anyio.CancelScope(shield=True):
            begun.set()
            await gate.wait()
            return "paid for"

    async with anyio.create_task_group() as group:
        caller = Caller(group, flight, b"k", call)
        await begun.wait()
        caller.scope.cancel()
        await caller.ended.wait()
        gate.set()
    await until(lambda: len(flight) == 0)
    if anyio_backend == "trio":
        assert reported == [(b"k", "paid for")]
    else:  # `Task.cancel` is delivered inside an anyio shield, as it is everywhere in asyncio
        assert reported in ([], [(b"k", "paid for")])


async def test_a_failing_report_is_logged_and_hurts_nobody(caplog):
    def fail(_key, _value):
        raise ValueError("broken report")

    flight = Flight(on_unclaimed=fail)
    upstream = Upstream()
    with caplog.at_level(logging.ERROR, logger="resopt"):
        async with anyio.create_task_group() as group:
            caller = Caller(group, flight, b"k", stubborn_call(upstream))
            await upstream.begun.wait()
            caller.scope.cancel()
        await until(lambda: len(flight) == 0)
    assert [record.name for record in caplog.records] == ["resopt"]


def stubborn_call(upstream):
    """A call that answers its cancellation with a value."""

    async def call():
        try:
            return await upstream()
        except anyio.get_cancelled_exc_class():
            return "anyway"

    return call


async def test_a_call_that_swallows_its_cancellation_is_unclaimed():
    reported = []
    flight = Flight(on_unclaimed=lambda key, value: reported.append((key, value)))
    upstream = Upstream()
    async with anyio.create_task_group() as group:
        caller = Caller(group, flight, b"k", stubborn_call(upstream))
        await upstream.begun.wait()
        caller.scope.cancel()
    await until(lambda: len(flight) == 0)
    assert reported == [(b"k", "anyway")]


async def test_the_call_sees_the_context_variables_of_its_first_caller(flight):
    variable = contextvars.ContextVar("variable", default="unset")

    async def call():
        seen = variable.get()
        variable.set("changed inside")
        return seen

    variable.set("mine")
    assert (await flight.run(b"k", call)).value == "mine"
    assert variable.get() == "mine"
    assert flight.run_blocking(b"k", variable.get).value == "mine"


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


def run_loop(backend, function):
    return asyncio.run(function()) if backend == "asyncio" else trio.run(function)


@pytest.mark.parametrize("leader", ["asyncio", "trio"])
@pytest.mark.parametrize("follower", ["asyncio", "trio"])
def test_two_event_loops_share_one_call(flight, leader, follower):
    begun, outcomes, started = threading.Event(), [], []

    async def call():
        started.append(1)
        begun.set()
        while sum(len(flying.waiters) for flying in list(flight._calls)) < 4:
            await anyio.sleep(0.001)
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
            while not ending.is_set():
                await anyio.sleep(0.001)
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
        while not ending.is_set():
            await asyncio.sleep(0.001)
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
    import os

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


# Nothing that a caller may do, in any order, breaks the invariants.


@pytest.mark.parametrize("seed", range(8))
async def test_random_joins_and_leaves_keep_the_invariants(seed):
    choose = random.Random(seed)
    unclaimed, produced, paid, received = [], [], [], []
    flight = Flight(on_unclaimed=lambda _key, value: unclaimed.append(value))
    in_air = {}

    async def call(key, turns, fails):
        in_air[key] = in_air.get(key, 0) + 1
        try:
            for _ in range(turns):
                await checkpoint()
            if fails:
                raise ValueError(key)
            value = object()
            produced.append(value)
            return value
        finally:
            in_air[key] -= 1

    async def caller(key, patience):
        with anyio.CancelScope() as scope:
            if patience is not None:
                group.start_soon(impatient, scope, patience)
            try:
                landed = await flight.run(key, call, key, choose.randrange(6), choose.random() < 0.2)
            except ValueError as error:
                assert error.args == (key,)
                return
            received.append(landed.value)
            if landed.first:
                paid.append(landed.value)

    async def impatient(scope, turns):
        for _ in range(turns):
            await checkpoint()
        scope.cancel()

    async with anyio.create_task_group() as group:
        for _ in range(600):
            group.start_soon(caller, choose.randrange(5), choose.choice([None, None, 0, 1, 2, 4, 7]))
            if choose.random() < 0.3:
                await checkpoint()
    await until(lambda: len(flight) == 0)
    assert not any(in_air.values())
    assert len({id(value) for value in paid}) == len(paid), "nobody pays twice for one call"
    assert {id(value) for value in received} == {id(value) for value in paid}
    assert sorted(map(id, paid + unclaimed)) == sorted(map(id, produced)), (
        "each value made is paid for or reported, once"
    )


@pytest.mark.parametrize("seed", range(3))
def test_random_threads_and_loops_keep_the_invariants(seed):
    unclaimed, produced, paid, received = [], [], [], []
    flight = Flight(on_unclaimed=lambda _key, value: unclaimed.append(value))

    def make(key):
        value = (key, object())
        produced.append(value)
        return value

    def blocking(choose):
        def call(key):
            time.sleep(choose.random() * 0.002)
            return make(key)

        for _ in range(40):
            key = choose.randrange(3)
            note(key, flight.run_blocking(key, partial(call, key)))

    def note(key, landed):
        assert landed.value[0] == key
        received.append(landed.value)
        if landed.first:
            paid.append(landed.value)

    async def looping(choose):
        async def call(key):
            await anyio.sleep(choose.random() * 0.002)
            return make(key)

        async def caller():
            for _ in range(15):
                key = choose.randrange(3)
                with anyio.move_on_after(choose.random() * 0.004):
                    note(key, await flight.run(key, call, key))

        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(caller)

    errors = []

    def guarded(function, *args):
        try:
            function(*args)
        except BaseException as error:
            errors.append(error)

    threads = [in_thread(guarded, blocking, random.Random(seed * 100 + index)) for index in range(4)]
    threads += [
        in_thread(guarded, run_loop, backend, partial(looping, random.Random(seed * 100 + index)))
        for index, backend in enumerate(["asyncio", "trio", "asyncio", "trio"], start=50)
    ]
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a waiter was forgotten"
    assert errors == []
    assert len(flight) == 0
    assert len({id(value) for value in paid}) == len(paid)
    assert {id(value) for value in received} == {id(value) for value in paid}
    assert sorted(map(id, paid + unclaimed)) == sorted(map(id, produced))
