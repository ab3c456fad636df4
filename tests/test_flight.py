"""One call per key among tasks: who gets its outcome, who pays, and what cancelling and failing do to the others."""

import asyncio
import contextvars
import gc
import logging
import traceback
import weakref

import anyio
import pytest
from anyio.lowlevel import checkpoint

from flying import Caller, Upstream, settle, until
from resopt.errors import FlightRecursionError, ProviderError
from resopt.flight import Flight, Landed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_is_logged")]


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


async def test_a_detached_call_is_joined_by_nobody_else_and_lands_for_its_own(flight):
    before, after = Upstream(), Upstream()
    flight.detach("key")
    async with anyio.create_task_group() as group:
        early = Caller(group, flight, "key", before)
        await before.begun.wait()
        flight.detach("key")
        late = [Caller(group, flight, "key", after) for _ in range(2)]
        await after.begun.wait()
        assert len(flight) == 2
        before.gate.set()
        await early.ended.wait()
        assert early.outcome == Landed(1, first=True)
        late.append(Caller(group, flight, "key", after))
        await settle()
        after.gate.set()
    assert (before.started, after.started) == (1, 1)
    assert sum(caller.outcome.first for caller in late) == 1
    assert len(flight) == 0


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


class RewordedError(Exception):
    def __init__(self, message):
        super().__init__(f"reworded {message}")


class DemandingError(Exception):
    def __init__(self, message, *, response):
        super().__init__(message)
        self.response = response


class SlottedError(Exception):
    __slots__ = ("code",)

    def __init__(self, code):
        super().__init__(code)
        self.code = code


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (RewordedError("once"), lambda error: str(error) == "reworded once"),
        (DemandingError("text", response=[1]), lambda error: str(error) == "text" and error.response == [1]),
        (SlottedError(7), lambda error: error.code == 7),
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


async def test_an_unclaimed_value_is_reported_once():
    reported = []
    flight = Flight(on_unclaimed=lambda key, value: reported.append((key, value)))
    upstream = Upstream()
    async with anyio.create_task_group() as group:
        callers = [Caller(group, flight, b"k", upstream) for _ in range(3)]
        await settle()
        upstream.gate.set()
        while not upstream.finished:
            await checkpoint()
        for caller in callers:  # the value is there; those who have not taken it leave now
            caller.scope.cancel()
    taken = [caller.outcome for caller in callers if caller.outcome]
    assert sum(outcome.first for outcome in taken) + len(reported) == 1
    assert len(flight) == 0


async def test_a_call_that_completes_behind_a_shield_is_reported():
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
    assert reported == [(b"k", "paid for")]


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
