"""Work that nobody waits for: in a task of its own where there is an event loop, else in a thread.

An errand outlives the call it was started in and ends with its event loop, or with the process. What it raises is the
business of the errand; here it is logged and goes no further.
"""

from __future__ import annotations

import contextvars
import inspect
import threading
from typing import TYPE_CHECKING, Any

from resopt.flight.places import ThreadPlace, task_place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from resopt.flight.places import Place


class Errands:
    """Errands of one owner, which can be waited for before what they need is closed."""

    def __init__(self) -> None:
        self._under_way = 0
        self._waiting: list[Place] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Errands under way."""
        return self._under_way

    def send(self, call: Callable[..., Awaitable[Any]], *args: Any, blocking: bool) -> None:
        """As `send` of this module."""
        with self._lock:
            self._under_way += 1
        try:
            send(call, *args, blocking=blocking, ended=self._ended)
        except BaseException:
            self._ended()
            raise

    async def drained(self, seconds: float, *, blocking: bool) -> bool:
        """Wait until none is under way (True), or the time is up (False); where `blocking` this never suspends."""
        place = ThreadPlace() if blocking else task_place()
        with self._lock:
            if not self._under_way:
                return True
            self._waiting.append(place)
        woken: Any = place.wait(seconds)
        return bool(woken if blocking else await woken)

    def _ended(self) -> None:
        with self._lock:
            self._under_way -= 1
            if self._under_way:
                return
            waiting, self._waiting = self._waiting, []
        for place in waiting:
            place.wake()


def send(
    call: Callable[..., Awaitable[Any]], *args: Any, blocking: bool, ended: Callable[[], None] | None = None
) -> None:
    """Run `call(*args)` with nobody waiting.

    Args:
        call: a coroutine function.
        *args: its arguments.
        blocking: the caller has no event loop: a thread of its own runs the errand, on a loop of its own.
        ended: called once it has ended, in whatever way.

    Raises:
        RuntimeError: not `blocking`, and there is no event loop.
    """
    context, ended = contextvars.copy_context(), _nothing if ended is None else ended
    if blocking:
        mine = (_in_a_loop, call, args, ended)
        threading.Thread(target=context.run, args=mine, name="resopt.errand", daemon=True).start()
        return
    place = task_place()
    errand = _contained(call, args)
    try:
        place.spawn(errand, context, ended)
    except BaseException:
        errand.close()
        raise


async def outcome(call: Callable[..., Any], *args: Any) -> Any:
    """What a plain or a coroutine function returns; a plain one runs in a thread, so it may take its time."""
    if inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None)):  # noqa: B004
        return await call(*args)
    from anyio import to_thread

    made = await to_thread.run_sync(call, *args, abandon_on_cancel=True)
    return await made if inspect.isawaitable(made) else made


async def within(seconds: float, call: Callable[..., Any], *args: Any, blocking: bool) -> Any:
    """What `call(*args)` returns, if it does so in time; where it is `blocking` this never suspends.

    Raises:
        TimeoutError: it did not; an errand is left behind, whose outcome nobody gets.
        Exception: what it raised.
    """
    if not blocking:
        import anyio

        with anyio.fail_after(seconds):
            return await outcome(call, *args)
    place, came = ThreadPlace(), _Came()
    send(came.fetch, place, call, args, blocking=True)
    if not place.wait(seconds):
        raise TimeoutError
    if came.error is not None:
        raise came.error
    return came.value


class _Came:
    """What an errand brought."""

    def __init__(self) -> None:
        self.value: Any = None
        self.error: Exception | None = None

    async def fetch(self, place: ThreadPlace, call: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            self.value = await outcome(call, *args)
        except Exception as error:  # noqa: BLE001 - who waits raises it
            self.error = error
        place.wake()


def _in_a_loop(call: Callable[..., Awaitable[Any]], args: tuple[Any, ...], ended: Callable[[], None]) -> None:
    import anyio

    try:
        anyio.run(_contained, call, args)
    finally:
        ended()


async def _contained(call: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
    try:
        await call(*args)
    except Exception:
        import logging

        logging.getLogger("resopt").exception("an errand failed: %r", call)


def _nothing() -> None:
    """Nobody waits for an errand."""
