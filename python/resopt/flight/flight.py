"""Single-flight: of all who ask for one key at one time, one call is made and everybody gets its outcome.

The shared call belongs to the flight, not to the caller who came first: cancelling that caller, or any other, disturbs
nobody else. So an async call runs in a task of its own, with the first caller's context variables, and not in a task
group, which would tie it to the scope that opened it: it has to outlive its first caller. It ends when its last waiter
has left: then its cancel scope is cancelled, and who asks next starts a fresh call rather than join the dying one. A
blocking call runs in the thread of its first caller and cannot be cancelled.

Waiters may be tasks of several event loops, asyncio and trio, and plain threads, all on one key. A call is owned by
what runs it: an event loop, or a thread. When the owner goes away without an outcome (its loop is shut down, its thread
is interrupted), one of those still waiting starts the call anew. Errors go to all who wait and are not remembered.

Nothing waits in a circle. A call that waits, directly or through others, for itself gets `FlightRecursionError`; a
context variable names the call that code runs in, so threads started with a copy of the context are covered. A blocking
caller that would hold up the very event loop its answer depends on does not wait: it makes a call of its own, unshared.

One lock guards the tables of all flights, because a circle may run through several. Nothing of the caller's runs under
it but the hash and equality of a key: use plain keys (bytes, str, tuples of them).
"""

from __future__ import annotations

import contextvars
import os
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from resopt.errors import FlightRecursionError
from resopt.flight.call import Call, State, blocked, inside, twin
from resopt.flight.places import Place, TaskPlace, ThreadPlace, task_place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

T = TypeVar("T")

WATCH_SECONDS = 1.0
"""How often a waiter elsewhere looks whether the asyncio loop that owns its call still runs: a loop that stops without
cancelling its tasks tells nobody."""


class Landed(NamedTuple, Generic[T]):
    """What a waiter gets.

    Attributes:
        value: what the call returned; the same object for all who waited.
        first: True for exactly one of those who receive it: the one to account for the call.
    """

    value: T
    first: bool


class Flight:
    """Calls in the air, by key. Safe to use from any number of threads and event loops at once.

    Args:
        on_unclaimed: called as `on_unclaimed(key, value)`, once, when a call completed but nobody was left to receive
            its value: the money is spent and wants accounting. It runs in whichever thread noticed, must not block, and
            what it raises is logged.
    """

    # Re-entrant: a garbage collection under it may close a coroutine, which lands a call.
    _lock: ClassVar[threading.RLock] = threading.RLock()
    _all: ClassVar[weakref.WeakSet[Flight]] = weakref.WeakSet()

    def __init__(self, *, on_unclaimed: Callable[[Hashable, Any], None] | None = None) -> None:
        self._on_unclaimed = on_unclaimed
        self._table: dict[Hashable, Call] = {}  # calls that may be joined
        self._calls: set[Call] = set()  # these, the unshared and those still unwinding after their cancellation
        self._all.add(self)

    def __len__(self) -> int:
        """Calls in the air, those that unwind after their cancellation included."""
        return len(self._calls)

    async def run(self, key: Hashable, call: Callable[..., Awaitable[T]], *args: Any) -> Landed[T]:
        """Wait for the call of `key` that is in the air, or start `call(*args)` as that call.

        Raises:
            FlightRecursionError: waiting would never end, because the call of `key` waits for the caller.
            Exception: what the call raised. Its first caller gets the exception itself, each other a copy of its own
                where an exact one can be made.
        """
        while True:
            place = task_place()
            flying = self._board(key, place)
            try:
                if flying.owner is place:
                    self._launch(flying, place, call, args)
                while not await place.wait(_patience(place, flying)):
                    self._look_after(flying)
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
            place = ThreadPlace()
            flying = self._board(key, place)
            try:
                if flying.owner is place:
                    self._lead(flying, call, args)
                while not place.wait(_patience(place, flying)):
                    self._look_after(flying)
            except BaseException:
                if flying.owner is place:  # interrupted between boarding and the call itself
                    self._land(flying, "lost")
                self._leave(flying, place)
                raise
            landed = self._take(flying, place)
            if landed is not None:
                return landed

    def detach(self, key: Hashable) -> None:
        """Let nobody else join the call of `key`: what it was begun with is out of date. Who waits gets its outcome."""
        with self._lock:
            self._table.pop(key, None)

    def _board(self, key: Hashable, place: Place) -> Call:
        """Join the call of `key`, or enter a new one: then its owner is `place`."""
        within = inside.get()
        if within is not None and within.state != "air":
            within = None  # a task that outlived the call it was started in
        with self._lock:
            flying = self._table.get(key)
            if within is not None:
                self._refuse_circle(key, within, flying)
            holds_up = (
                flying is not None
                and place.home is None
                and any(call.owner.thread == place.thread for call in flying.ahead())
            )
            if flying is None or holds_up:
                flying = Call(self, key, place, within)
                self._calls.add(flying)
                if not holds_up:
                    self._table[key] = flying
            else:
                flying.waiters.add(place)
                if place.home is None:
                    blocked[place.thread] = flying
            if within is not None:
                place.inside = within
                within.waits.append(flying)
        return flying

    def _refuse_circle(self, key: Hashable, within: Call, flying: Call | None) -> None:
        if within.within(self, key) or (flying is not None and within in flying.ahead()):
            raise FlightRecursionError(
                f"the call of {key!r} would wait for itself: from inside it, directly or through another call, "
                f"{key!r} is asked for again. Use another key there, or call the function without the flight."
            )

    def _launch(
        self, flying: Call, place: TaskPlace, call: Callable[..., Awaitable[Any]], args: tuple[Any, ...]
    ) -> None:
        import anyio

        context = contextvars.copy_context()
        context.run(inside.set, flying)
        flying.scope = anyio.CancelScope()
        fly = self._fly(flying, call, args)
        try:
            place.spawn(fly, context, partial(self._lose, flying))
        except BaseException:
            fly.close()
            self._land(flying, "lost")
            raise

    async def _fly(self, flying: Call, call: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        """The call in its own task and cancel scope."""
        if flying.abandoned or flying.scope is None:
            return
        try:
            with flying.scope:
                self._land(flying, "value", await call(*args))
        except Exception as error:  # noqa: BLE001  (those who wait raise it)
            self._land(flying, "error", error=error)
        except BaseException as error:
            self._land(flying, "lost", error=error)
            raise

    def _lead(self, flying: Call, call: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """The call in the thread of its first caller, who then takes the outcome like everybody else."""
        token = inside.set(flying)
        try:
            value = call(*args)
        except Exception as error:  # noqa: BLE001  (those who wait raise it)
            self._land(flying, "error", error=error)
        except BaseException as error:  # noqa: BLE001  (the first caller raises it)
            self._land(flying, "lost", error=error)
        else:
            self._land(flying, "value", value)
        finally:
            inside.reset(token)

    def _land(self, flying: Call, state: State, value: Any = None, error: BaseException | None = None) -> None:
        """End the call and wake all who wait; a value that comes when nobody waits is unclaimed."""
        with self._lock:
            self._retire(flying)
            self._calls.discard(flying)
            waiting = flying.land(state, value, error)
        for place in waiting:
            if not place.wake():  # its loop is closed
                self._leave(flying, place)
        if state == "value" and not waiting:
            self._report(flying.key, value)

    def _retire(self, flying: Call) -> None:
        if self._table.get(flying.key) is flying:
            del self._table[flying.key]

    def _look_after(self, flying: Call) -> None:
        """Give up a call whose event loop has stopped; should it complete after all, its value is unclaimed."""
        if flying.owner.gone():
            self._lose(flying)

    def _lose(self, flying: Call) -> None:
        if flying.state == "air":
            self._land(flying, "lost")

    def _leave(self, flying: Call, place: Place) -> None:
        """Stop waiting without the outcome; the last to leave cancels the call."""
        with self._lock:
            flying.release(place)
            if flying.waiters:
                return
            key, value = flying.key, flying.value
            unclaimed = flying.state == "value" and not flying.taken
            flying.taken = True
            flying.forget()
            flying.abandoned = flying.state == "air"
            if flying.abandoned:
                self._retire(flying)
        if flying.abandoned:
            flying.cancel()
        if unclaimed:
            self._report(key, value)

    def _take(self, flying: Call, place: Place) -> Landed[Any] | None:
        """Receive the outcome: a value, an error, or None when the call was lost and is to be started anew."""
        with self._lock:
            flying.release(place)
            value, error, traceback = flying.value, flying.error, flying.traceback
            first = not flying.taken
            flying.taken = True
            if not flying.waiters:
                flying.forget()
        if flying.state == "value":
            return Landed(value, first)
        if error is None or (flying.state == "lost" and place is not flying.owner):
            return None
        if place is not flying.owner:
            error = twin(error)
        try:
            raise error.with_traceback(traceback)
        finally:
            del error, traceback  # they hold this frame

    def _report(self, key: Hashable, value: Any) -> None:
        if self._on_unclaimed is None:
            return
        try:
            self._on_unclaimed(key, value)
        except Exception:
            import logging

            logging.getLogger("resopt").exception("on_unclaimed failed for key %r", key)

    @classmethod
    def _forget(cls) -> None:
        """In a forked child: what ran the calls, and perhaps held the lock, exists only in the parent."""
        cls._lock = threading.RLock()
        blocked.clear()
        for flight in cls._all:
            flight._table.clear()  # noqa: SLF001
            flight._calls.clear()  # noqa: SLF001


def _patience(place: Place, flying: Call) -> float | None:
    """Seconds to wait before looking after the owner of a call; None where its end cannot go unnoticed."""
    return None if flying.owner.home in (None, place.home) else WATCH_SECONDS


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Flight._forget)  # noqa: SLF001  (there is no other caller)
