"""Results of an endless batch, in order, while it runs: nothing but a window of it is in memory."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import anyio

from resopt.batch.checkpoint import Checkpoint
from resopt.batch.checks import number
from resopt.batch.gather import Errors, async_cancellation, check, count_batch, identify, size_of, taking, way
from resopt.batch.progress import Progress, progress_for
from resopt.batch.rolling import Failed, Rolling, Source, Work
from resopt.errors import BatchInputError
from resopt.terms import on_terms

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
    from types import TracebackType
    from typing import Self

    from anyio.abc import TaskGroup


class BatchStream:
    """Process items of any number, `batch_size` at any moment, and iterate over their results in order.

        async with BatchStream(lines, run=translate, batch_size=50) as results:
            async for result in results:
                ...

    Leaving the block before the end cancels what is in the air. The arguments are those of `batch_process`; besides:

    Args:
        queries: texts, `Request`s or any items, from a list, an iterator or an async iterator.
        window: items taken from `queries` whose result has not been given out; no more are in memory.
        errors: `raise` an item's error where its result would be given out, which ends the stream, or `return` it.

    Attributes:
        taken: items taken so far.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    def __init__(
        self,
        queries: Iterable[Any] | AsyncIterable[Any],
        batch_size: int = 10,
        *,
        run: Callable[[Any], Awaitable[Any]] | None = None,
        optimizer: Any = None,
        window: int | None = None,
        errors: Errors = "raise",
        checkpoint: str | os.PathLike[str] | None = None,
        task: str = "",
        identity: Callable[[Any], Any] | None = None,
        progress: bool | Callable[[int, int | None], None] = False,
        **parameters: Any,
    ) -> None:
        self._way = way(run, optimizer, parameters)
        self._optimizer = optimizer
        check(batch_size, errors, task)
        window = 4 * batch_size if window is None else window
        number("window", window, least=batch_size, whole=True)
        self._size = size_of(queries)
        self._queries = queries
        self._batch_size = batch_size
        self._window = window
        self._errors = errors
        self._checkpoint = checkpoint
        self._identify = identify(identity, task, needed=checkpoint is not None)
        self._progress = progress
        self._outcomes: dict[int, Any] = {}
        self._given = 0
        self._workers = 0
        self._arrived = anyio.Event()
        self._stack = ExitStack()

    @property
    def taken(self) -> int:
        """Items taken from the source so far."""
        return self._rolling.taken

    async def __aenter__(self) -> Self:
        try:
            perform, again, convert = self._way
            kept = None if self._checkpoint is None else self._stack.enter_context(Checkpoint(self._checkpoint))
            self._bar: Progress = self._stack.enter_context(progress_for(self._progress, self._size))
            work = Work(convert, perform, self._identify, again, kept, *async_cancellation())
            source = Source(taking(self._queries), anyio.Lock())
            self._rolling = Rolling(source, work, self._settled, bounded=True)
            self._room = anyio.Semaphore(self._window)
            self._group: TaskGroup = anyio.create_task_group()
            await self._group.__aenter__()
        except BaseException:
            self._stack.close()
            raise
        self._workers = self._batch_size
        with on_terms(lane="bulk"):
            for _ in range(self._workers):
                self._group.start_soon(self._work)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            self._group.cancel_scope.cancel()
            return await self._group.__aexit__(kind, error, trace)
        finally:
            self._stack.close()
            count_batch(self._optimizer, self._rolling)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """The next item's result.

        Raises:
            BatchInputError: what items are read from failed, and all results before have been given out.
        """
        while self._given not in self._outcomes:
            if not self._workers:
                broken = self._rolling.broken
                if broken is None:
                    raise StopAsyncIteration
                problem = f"reading the items failed after {self._given} of them ({type(broken).__name__}: {broken})"
                raise BatchInputError(problem, []) from broken
            self._arrived = anyio.Event()
            await self._arrived.wait()
        outcome = self._outcomes.pop(self._given)
        self._given += 1
        self._room.release()
        if not isinstance(outcome, Failed):
            return outcome
        if self._errors == "raise":
            raise outcome.error
        return outcome.error

    async def _work(self) -> None:
        try:
            await self._rolling.run(self._room.acquire)
        finally:
            self._workers -= 1
            self._room.release()  # the place that it took and had no item for
            self._arrived.set()

    def _settled(self, position: int, outcome: Any) -> None:
        self._outcomes[position] = outcome
        self._bar.advance()
        if position == self._given:
            self._arrived.set()
