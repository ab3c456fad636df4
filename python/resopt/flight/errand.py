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


def send(call: Callable[..., Awaitable[Any]], *args: Any, blocking: bool) -> None:
    """Run `call(*args)` with nobody waiting.

    Args:
        call: a coroutine function.
        *args: its arguments.
        blocking: the caller has no event loop: a thread of its own runs the errand, on a loop of its own.

    Raises:
        RuntimeError: not `blocking`, and there is no event loop.
    """
    context = contextvars.copy_context()
    if blocking:
        threading.Thread(target=context.run, args=(_in_a_loop, call, args), name="resopt.errand", daemon=True).start()
        return
    place = task_place()
    errand = _contained(call, args)
    try:
        place.spawn(errand, context, _nothing)
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


def _in_a_loop(call: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
    import anyio

    anyio.run(_contained, call, args)


async def _contained(call: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
    try:
        await call(*args)
    except Exception:
        import logging

        logging.getLogger("resopt").exception("an errand failed: %r", call)


def _nothing() -> None:
    """Nobody waits for an errand."""
