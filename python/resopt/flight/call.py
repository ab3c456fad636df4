"""One call in the air: who waits for it, what it waits for itself, and what became of it."""

from __future__ import annotations

import contextvars
import copy
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Hashable

    import anyio

    from resopt.flight.flight import Flight
    from resopt.flight.places import Place

State = Literal["air", "value", "error", "lost"]
"""`lost`: the owner went away, or the call ended by a BaseException, which only its first caller gets."""

inside: contextvars.ContextVar[Call | None] = contextvars.ContextVar("resopt_flight_inside", default=None)
"""The call that the running code is part of."""

blocked: dict[int, Call] = {}
"""What each blocked thread waits for, by thread id: every call that lives in that thread waits for it too."""


class Call:
    """State of one call. Its fields change under the lock of the flights only."""

    __slots__ = (
        "abandoned",
        "error",
        "flight",
        "key",
        "owner",
        "parent",
        "scope",
        "state",
        "taken",
        "traceback",
        "value",
        "waiters",
        "waits",
    )

    def __init__(self, flight: Flight, key: Hashable, owner: Place, parent: Call | None) -> None:
        self.flight = flight
        self.key = key
        self.owner = owner  # place of the first caller: its thread or event loop runs the call
        self.parent = parent  # the call it was started from, until it lands
        self.waiters: set[Place] = {owner}
        self.waits: list[Call] = []  # calls that code inside this one waits for
        self.state: State = "air"
        self.scope: anyio.CancelScope | None = None  # around an async call
        self.abandoned = False  # cancelled, because nobody waits any more
        self.taken = False  # somebody has received the value, or `on_unclaimed` has been told
        self.value: Any = None
        self.error: BaseException | None = None
        self.traceback: TracebackType | None = None

    def ahead(self) -> set[Call]:
        """Itself and all calls that have to land before it can, directly or through others."""
        seen, unvisited = {self}, [self]
        while unvisited:
            call = unvisited.pop()
            following = [*call.waits, blocked[call.owner.thread]] if call.owner.thread in blocked else call.waits
            for other in following:
                if other not in seen:
                    seen.add(other)
                    unvisited.append(other)
        return seen

    def within(self, flight: Flight, key: Hashable) -> bool:
        """Whether it is the call of `key`, or was started from within one."""
        call: Call | None = self
        while call is not None:
            if call.flight is flight and call.key == key:
                return True
            call = call.parent
        return False

    def land(self, state: State, value: Any, error: BaseException | None) -> tuple[Place, ...]:
        """Note the outcome and return who is to be woken; an outcome after the first changes nothing."""
        if self.state != "air":
            return ()
        self.state, self.value, self.parent = state, value, None
        if error is not None and self.waiters:
            # Without the frame that caught it: that one holds this call, and so would close a circle.
            self.traceback = error.__traceback__ and error.__traceback__.tb_next
            self.error = error.with_traceback(self.traceback)
        return tuple(self.waiters)

    def cancel(self) -> None:
        """Cancel an async call, from any thread; a blocking call goes on to its end."""
        if self.scope is not None and self.owner.home is not None:
            self.owner.post(self.scope.cancel)

    def forget(self) -> None:
        """Let go of the outcome when all have it: a context that outlives the call would keep it, and its frames."""
        self.value = self.error = self.traceback = None

    def release(self, place: Place) -> None:
        """Take back what boarding at `place` noted."""
        self.waiters.discard(place)
        if place.inside is not None:
            place.inside.waits.remove(self)
            place.inside = None
        if place.home is None and blocked.get(place.thread) is self:
            del blocked[place.thread]


def twin(error: BaseException) -> BaseException:
    """A copy of an exception for one more waiter, or the exception itself where no exact copy can be made.

    Waiters are strangers to each other: with one shared object their tracebacks would pile up on it and keep all their
    frames alive, and `raise … from` in one would show up in the others. A constructor written in Python is not called:
    it may ask for other arguments, or reword the message once more.
    """
    kind = type(error)
    if any(vars(base).get("__slots__") for base in kind.__mro__):
        return error
    try:
        made = kind.__new__(kind, *error.args) if isinstance(kind.__init__, FunctionType) else copy.copy(error)
        exact = type(made) is kind and made.args == error.args
    except Exception:  # noqa: BLE001  (a class that cannot be copied)
        return error
    if not exact:
        return error
    made.__dict__.update(error.__dict__)
    made.__cause__, made.__context__ = error.__cause__, error.__context__
    made.__suppress_context__ = error.__suppress_context__
    return made
