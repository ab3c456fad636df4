"""Where a caller waits: how it sleeps, how any thread wakes it, and how the call it started is run.

Three kinds of place, one face. `thread` is the thread the caller lives in; `home` its event loop (None for a thread);
`inside` the call that the caller runs in, kept here so that leaving can take back what boarding noted.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    import contextvars
    from collections.abc import Awaitable, Callable, Coroutine

    from resopt.flight.call import Call


class ThreadPlace:
    """Place of a caller that blocks its thread."""

    home = None

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.inside: Call | None = None
        self._woken = threading.Event()

    def wake(self) -> bool:
        """End the wait; False when nobody is left there to be woken."""
        self._woken.set()
        return True

    def wait(self, seconds: float | None) -> bool:
        """Block until woken (True) or the time is up (False)."""
        return self._woken.wait(seconds)

    def gone(self) -> bool:
        """Never: a thread that runs a call says so when it leaves it."""
        return False


class AsyncioPlace:
    """Place of a task of an asyncio loop; the first caller's also holds the call's own task."""

    __slots__ = ("_task", "_woken", "home", "inside", "thread")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.thread = threading.get_ident()
        self.home = loop
        self.inside: Call | None = None
        self._woken = loop.create_future()
        self._task: asyncio.Task[None] | None = None  # asyncio itself keeps only weak references

    def wake(self) -> bool:
        """End the wait, from any thread; False when the loop is closed."""
        return self.post(self.wake_here)

    async def wait(self, seconds: float | None) -> bool:
        """Wait until woken (True) or the time is up (False)."""
        if seconds is None:
            await self._woken
        else:
            import asyncio

            await asyncio.wait((self._woken,), timeout=seconds)
        return self._woken.done()

    def woken(self) -> Awaitable[None]:
        """Ends when woken, as `wait(None)`; nothing runs in between."""
        return self._woken

    def wake_here(self) -> None:
        """`wake`, for code that knows that it runs in the place's own loop."""
        if not self._woken.done():
            self._woken.set_result(None)

    def spawn(self, fly: Coroutine[Any, Any, None], context: contextvars.Context, lose: Callable[[], None]) -> None:
        """Run the call in a task of its own; `lose` is called when that has ended, in whatever way."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                task.exception()  # it has been handed to a waiter: no "never retrieved" in the log
            self._task = None  # its context holds the call, which holds this place
            lose()  # a task cancelled before its first step never ran the code that would say so

        self._task = self.home.create_task(fly, context=context)
        self._task.add_done_callback(ended)

    def gone(self) -> bool:
        """Whether the loop has stopped: then the call's task stands still, perhaps for ever."""
        return not self.home.is_running()

    def post(self, function: Callable[[], object]) -> bool:
        """Run `function` in the loop, from any thread; False when the loop is closed."""
        try:
            if self.thread == threading.get_ident() and self.home.is_running():
                function()
            else:
                self.home.call_soon_threadsafe(function)
        except RuntimeError:
            return False
        return True


class TrioPlace:
    """The same for a trio run."""

    __slots__ = ("_woken", "home", "inside", "thread")

    def __init__(self) -> None:
        import trio

        self.thread = threading.get_ident()
        self.home = trio.lowlevel.current_trio_token()
        self.inside: Call | None = None
        self._woken = trio.Event()

    def wake(self) -> bool:
        """End the wait, from any thread; False when the run is over."""
        return self.post(self._woken.set)

    async def wait(self, seconds: float | None) -> bool:
        """Wait until woken (True) or the time is up (False)."""
        if seconds is None:
            await self._woken.wait()
        else:
            import trio

            with trio.move_on_after(seconds):
                await self._woken.wait()
        return self._woken.is_set()

    def woken(self) -> Awaitable[None]:
        """Ends when woken, as `wait(None)`."""
        return self._woken.wait()

    def wake_here(self) -> None:
        """`wake`, for code that knows that it runs in the place's own run."""
        self._woken.set()

    def spawn(self, fly: Coroutine[Any, Any, None], context: contextvars.Context, lose: Callable[[], None]) -> None:
        """Run the call in a system task; `lose` is called when that has ended, in whatever way."""
        import trio

        async def contained() -> None:
            with contextlib.suppress(BaseException):  # what a system task raises would end the whole run
                await fly
            lose()

        trio.lowlevel.spawn_system_task(contained, name="resopt.flight", context=context)

    def gone(self) -> bool:
        """Never: a run cancels its system tasks before it ends."""
        return False

    def post(self, function: Callable[[], object]) -> bool:
        """Run `function` in the run, from any thread; False when the run is over."""
        import trio

        try:
            if trio.lowlevel.in_trio_task() and trio.lowlevel.current_trio_token() is self.home:
                function()
            else:
                self.home.run_sync_soon(function)
        except trio.RunFinishedError:
            return False
        return True


TaskPlace = AsyncioPlace | TrioPlace
Place = ThreadPlace | TaskPlace


def task_place() -> TaskPlace:
    """Place of the running task. A trio run may be a guest of an asyncio loop, so trio is asked first."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return TrioPlace()
    import asyncio

    return AsyncioPlace(asyncio.get_running_loop())
