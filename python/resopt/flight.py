"""Single-flight: of all who ask for one key at one time, one call is made and everybody gets its outcome.

The shared call belongs to the flight, not to the caller who came first: cancelling that caller, or any other, disturbs
nobody else. So an async call runs in a task of its own, with the first caller's context variables, and not in a task
group, which would tie it to the scope that opened it: it has to outlive its first caller. It ends when its last waiter
has left: then it is cancelled. A blocking call runs in the thread of its first caller and cannot be cancelled.

Waiters may be tasks of several event loops, asyncio and trio, and plain threads, all on one key. Who owns a call is whoever
runs it: an event loop, or a thread. When the owner goes away without an outcome (its loop is shut down, its thread is
interrupted), one of those still waiting starts the call anew. Errors go to all who wait and are not remembered.

Nothing waits in a circle. A call that waits, directly or through other calls, for itself gets `FlightRecursionError`;
a context variable names the call that code runs in, so threads started with a copy of the context are covered. A blocking
caller that would hold up the very event loop its answer depends on does not wait: it makes a call of its own, unshared.

One lock guards the tables of all flights, because a circle may run through several. Nothing of the caller's runs under
it but the hash and equality of a key: use plain keys (bytes, str, tuples of them).
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import os
import sys
import threading
import weakref
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

from resopt.errors import FlightRecursionError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Hashable

T = TypeVar("T")

_WATCH_SECONDS = 1.0
"""How often a waiter elsewhere looks whether the asyncio loop that owns its call still runs: a loop that stops without
cancelling its tasks tells nobody."""

_lock = threading.RLock()  # re-entrant: a garbage collection under it may close a coroutine, which ends a call
_inside: contextvars.ContextVar[_Call | None] = contextvars.ContextVar("resopt_flight", default=None)
_flights: weakref.WeakSet[Flight] = weakref.WeakSet()
_blocked: dict[int, _Call] = {}  # what each blocked thread waits for: the calls of its event loop wait for that too


class Landed(NamedTuple, Generic[T]):
    """What a waiter gets.

    Attributes:
        value: what the call returned; the same object for all who waited.
        first: True for exactly one of those who receive it: the one to account for the call.
    """

    value: T
    first: bool


class _Thread:
    """Place of a waiter that blocks its thread."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.home = None
        self.inside: _Call | None = None
        self._woken = threading.Event()

    def wake(self) -> bool:
        self._woken.set()
        return True

    def wait(self, seconds: float | None) -> bool:
        """Block until woken (True) or the time is up (False)."""
        return self._woken.wait(seconds)

    def cancel(self) -> None:
        """A blocking call goes on to its end."""

    def gone(self) -> bool:
        return False


class _Asyncio:
    """Place of a waiter that is a task of an asyncio loop; the first one's also holds the call's own task.

    The call's task is cancelled by `Task.cancel`: an `anyio.CancelScope` around it would cost more than the task itself.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.thread = threading.get_ident()
        self.home = loop
        self.inside: _Call | None = None
        self._woken = loop.create_future()
        self._task: asyncio.Task[None] | None = None  # asyncio itself keeps only weak references

    def _post(self, function: Callable[[], object]) -> bool:
        """Run `function` in the loop, from any thread; False when the loop is closed."""
        try:
            if self.thread == threading.get_ident() and self.home.is_running():
                function()
            else:
                self.home.call_soon_threadsafe(function)
        except RuntimeError:
            return False
        return True

    def _wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)

    def wake(self) -> bool:
        return self._post(self._wake)

    async def wait(self, seconds: float | None) -> bool:
        """Wait until woken (True) or the time is up (False)."""
        if seconds is None:
            await self._woken
        else:
            import asyncio

            await asyncio.wait((self._woken,), timeout=seconds)
        return self._woken.done()

    def spawn(self, fly: Coroutine[Any, Any, None], context: contextvars.Context, lose: Callable[[], None]) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                task.exception()  # it has been handed to a waiter: no "never retrieved" in the log
            lose()  # a task cancelled before its first step never ran the code that would say so

        self._task = self.home.create_task(fly, context=context)
        self._task.add_done_callback(ended)

    def cancel(self) -> None:
        if self._task is not None:
            self._post(self._task.cancel)

    def gone(self) -> bool:
        return not self.home.is_running()


class _Trio:
    """The same for a trio run, which never goes without cancelling its system tasks."""

    def __init__(self) -> None:
        import trio

        self.thread = threading.get_ident()
        self.home = trio.lowlevel.current_trio_token()
        self.inside: _Call | None = None
        self._woken = trio.Event()
        self._scope = trio.CancelScope()

    def _post(self, function: Callable[[], object]) -> bool:
        import trio

        try:
            self.home.run_sync_soon(function)
        except trio.RunFinishedError:
            return False
        return True

    def wake(self) -> bool:
        return self._post(self._woken.set)

    async def wait(self, seconds: float | None) -> bool:
        import trio

        with trio.move_on_after(float("inf") if seconds is None else seconds):
            await self._woken.wait()
        return self._woken.is_set()

    def spawn(self, fly: Coroutine[Any, Any, None], context: contextvars.Context, lose: Callable[[], None]) -> None:
        import trio

        async def contained() -> None:
            with contextlib.suppress(BaseException), self._scope:  # what a system task raises would end the whole run
                await fly
            lose()

        trio.lowlevel.spawn_system_task(contained, name="resopt.flight", context=context)

    def cancel(self) -> None:
        self._post(self._scope.cancel)

    def gone(self) -> bool:
        return False


_Task = _Asyncio | _Trio
_Place = _Thread | _Task
_State = Literal["air", "value", "error", "lost"]
"""`lost`: the owner went away, or its call ended by a BaseException, which only its first caller gets."""


def _task_place() -> _Task:
    """Place of the running task. A trio run may be a guest of an asyncio loop, so trio is asked first."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return _Trio()
    import asyncio

    return _Asyncio(asyncio.get_running_loop())


def _patience(place: _Place, flying: _Call) -> float | None:
    """Seconds to wait before looking after the owner of the call; None where its end cannot go unnoticed."""
    return None if flying.owner.home in (None, place.home) else _WATCH_SECONDS


class _Call:
    """One call in the air, and what became of it. Its fields change under the lock only."""

    def __init__(self, flight: Flight, key: Hashable, owner: _Place, parent: _Call | None) -> None:
        self.flight, self.key = flight, key
        self.owner = owner  # place of the first caller: the thread or event loop that runs the call
        self.parent = parent  # the call it was started from, until it ends
        self.waiters: set[_Place] = {owner}
        self.waits: list[_Call] = []  # calls that code inside this one waits for
        self.state: _State = "air"
        self.abandoned = False
        self.taken = False  # somebody has received the value, or `on_unclaimed` has been told
        self.value: Any = None
        self.error: BaseException | None = None
        self.traceback: TracebackType | None = None

    def ahead(self) -> set[_Call]:
        """Itself and all calls that have to end before it can, directly or through others."""
        seen, unvisited = {self}, [self]
        while unvisited:
            call = unvisited.pop()
            blocked = _blocked.get(call.owner.thread)
            for following in (*call.waits, blocked) if blocked else call.waits:
                if following not in seen:
                    seen.add(following)
                    unvisited.append(following)
        return seen


class Flight:
    """Calls in the air, by key. Safe to use from any number of threads and event loops at once.

    Args:
        on_unclaimed: called as `on_unclaimed(key, value)`, once, when a call completed but nobody was left to receive its
            value: the money is spent and wants accounting. Runs in whichever thread noticed; what it raises is logged.
    """

    def __init__(self, *, on_unclaimed: Callable[[Hashable, Any], None] | None = None) -> None:
        self._on_unclaimed = on_unclaimed
        self._table: dict[Hashable, _Call] = {}  # calls that may be joined
        self._calls: set[_Call] = set()  # these, the unshared and those still unwinding after their cancellation
        _flights.add(self)

    def __len__(self) -> int:
        """Calls in the air, those that unwind after their cancellation included."""
        return len(self._calls)

    async def run(self, key: Hashable, call: Callable[..., Awaitable[T]], *args: Any) -> Landed[T]:
        """Wait for the call of `key` that is in the air, or start `call(*args)` as that call.

        Raises:
            FlightRecursionError: waiting would never end, because the call of `key` waits for the caller.
            Exception: what the call raised. Its first caller gets the exception itself, others a copy where one can be
                made, so that tracebacks and `__context__` of independent waiters do not mix.
        """
        while True:
            place = _task_place()
            flying = self._board(key, place)
            try:
                if flying.owner is place:
                    self._launch(flying, place, call, args)
                while not await place.wait(_patience(place, flying)):
                    if flying.owner.gone():
                        self._land(flying, "lost")
            except BaseException:
                self._leave(flying, place)
                raise
            landed = self._take(flying, place)
            if landed is not None:
                return landed

    def run_blocking(self, key: Hashable, call: Callable[..., T], *args: Any) -> Landed[T]:
        """The same for a plain function: the first caller runs it in its own thread, others block theirs.

        In the thread of an event loop that the call in the air depends on, `call(*args)` is run at once and not shared.

        Raises:
            FlightRecursionError, Exception: as `run`.
        """
        while True:
            place = _Thread()
            flying = self._board(key, place)
            try:
                if flying.owner is place:
                    self._lead(flying, call, args)
                while not place.wait(_patience(place, flying)):
                    if flying.owner.gone():
                        self._land(flying, "lost")
            except BaseException:
                self._leave(flying, place)
                raise
            landed = self._take(flying, place)
            if landed is not None:
                return landed

    def _board(self, key: Hashable, place: _Place) -> _Call:
        """Join the call of `key`, or put a new one into the table: then its owner is `place`."""
        inside = _inside.get()
        if inside is not None and inside.state != "air":
            inside = None  # a task that outlived the call it was started in
        blocking = isinstance(place, _Thread)
        with _lock:
            flying = self._table.get(key)
            if inside is not None:
                self._refuse_recursion(key, inside, flying)
            shared = True
            if flying is not None and blocking:
                shared = all(ahead.owner.thread != place.thread for ahead in flying.ahead())
            if flying is None or not shared:
                flying = _Call(self, key, place, inside)
                self._calls.add(flying)
                if shared:
                    self._table[key] = flying
            else:
                flying.waiters.add(place)
                if blocking:
                    _blocked[place.thread] = flying
            if inside is not None:
                place.inside = inside
                inside.waits.append(flying)
        return flying

    def _refuse_recursion(self, key: Hashable, inside: _Call, flying: _Call | None) -> None:
        circle = flying is not None and inside in flying.ahead()
        ancestor: _Call | None = inside
        while ancestor is not None and not circle:  # an unshared call is not in the table
            circle = ancestor.flight is self and ancestor.key == key
            ancestor = ancestor.parent
        if circle:
            raise FlightRecursionError(
                f"the call of {key!r} waits for itself: it asks for {key!r} again, directly or through another call. "
                "Use another key inside, or call the function without the flight."
            )

    def _launch(self, flying: _Call, place: _Task, call: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        context = contextvars.copy_context()
        context.run(_inside.set, flying)
        fly = self._fly(flying, call, args)
        try:
            place.spawn(fly, context, lambda: self._land(flying, "lost"))
        except BaseException:
            fly.close()
            self._land(flying, "lost")
            raise

    async def _fly(self, flying: _Call, call: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        """The call's own task."""
        if flying.abandoned:
            return
        try:
            value = await call(*args)
        except Exception as error:  # noqa: BLE001  (it is raised by those who wait)
            self._land(flying, "error", error=error)
        except BaseException as error:
            self._land(flying, "lost", error=error)
            raise
        else:
            self._land(flying, "value", value)

    def _lead(self, flying: _Call, call: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """The call in the thread of its first caller, who takes the outcome like everybody else."""
        token = _inside.set(flying)
        try:
            value = call(*args)
        except Exception as error:  # noqa: BLE001  (it is raised by those who wait)
            self._land(flying, "error", error=error)
        except BaseException as error:  # noqa: BLE001  (it is raised by the first caller)
            self._land(flying, "lost", error=error)
        else:
            self._land(flying, "value", value)
        finally:
            _inside.reset(token)

    def _land(self, flying: _Call, state: _State, value: Any = None, error: BaseException | None = None) -> None:
        """Note the outcome and wake all who wait. A second outcome only counts as an unclaimed value."""
        with _lock:
            if self._table.get(flying.key) is flying:
                del self._table[flying.key]
            self._calls.discard(flying)
            waiting: tuple[_Place, ...] = ()
            if flying.state == "air":
                waiting = tuple(flying.waiters)
                flying.state, flying.parent, flying.value = state, None, value
                if error is not None:  # without the frame of `_fly` or `_lead`, which would close a reference cycle
                    flying.traceback = error.__traceback__ and error.__traceback__.tb_next
                    flying.error = error.with_traceback(flying.traceback) if waiting else None
            unclaimed = state == "value" and not waiting
        for place in waiting:
            if not place.wake():  # its loop is closed
                self._leave(flying, place)
        if unclaimed:
            self._report(flying.key, value)

    def _release(self, flying: _Call, place: _Place) -> None:
        flying.waiters.discard(place)
        if place.inside is not None:
            place.inside.waits.remove(flying)
            place.inside = None
        if _blocked.get(place.thread) is flying and isinstance(place, _Thread):
            del _blocked[place.thread]

    def _leave(self, flying: _Call, place: _Place) -> None:
        """Stop waiting without the outcome; the last to leave cancels the call."""
        with _lock:
            self._release(flying, place)
            if flying.waiters:
                return
            flying.error = None
            unclaimed = flying.state == "value" and not flying.taken
            flying.taken = True
            flying.abandoned = flying.state == "air"
            if flying.abandoned and self._table.get(flying.key) is flying:
                del self._table[flying.key]
        if flying.abandoned:
            flying.owner.cancel()
        if unclaimed:
            self._report(flying.key, flying.value)

    def _take(self, flying: _Call, place: _Place) -> Landed[Any] | None:
        """Receive the outcome: a value, an error, or None when the owner went away and the call is to be started anew."""
        with _lock:
            self._release(flying, place)
            first, error = not flying.taken, flying.error
            if not flying.waiters:
                flying.error = None  # else the frames in its traceback would hold it, in a circle
            if flying.state == "value":
                flying.taken = True
                return Landed(flying.value, first)
        if error is None or (flying.state == "lost" and place is not flying.owner):
            return None
        if place is not flying.owner:
            error = _twin(error)
        try:
            raise error.with_traceback(flying.traceback)
        finally:
            del error

    def _report(self, key: Hashable, value: Any) -> None:
        if self._on_unclaimed is None:
            return
        try:
            self._on_unclaimed(key, value)
        except Exception:
            import logging

            logging.getLogger("resopt").exception("on_unclaimed failed for %r", key)


def _twin(error: BaseException) -> BaseException:
    """A copy of an exception, or the exception itself where no exact copy can be made.

    A constructor written in Python is not called: it may ask for other arguments, or change the message once more.
    """
    kind = type(error)
    if any(vars(base).get("__slots__") for base in kind.__mro__):
        return error
    try:
        twin = kind.__new__(kind, *error.args) if isinstance(kind.__init__, FunctionType) else copy.copy(error)
        exact = type(twin) is kind and twin.args == error.args
    except Exception:  # noqa: BLE001  (a class that cannot be copied)
        return error
    if not exact:
        return error
    twin.__dict__.update(error.__dict__)
    twin.__cause__, twin.__context__ = error.__cause__, error.__context__
    twin.__suppress_context__ = error.__suppress_context__
    return twin


def _forget_flights() -> None:
    """In a forked child: the threads and loops that ran the calls, and perhaps held the lock, exist only in the parent."""
    global _lock
    _lock = threading.RLock()
    _blocked.clear()
    for flight in _flights:
        flight._table.clear()
        flight._calls.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_flights)
