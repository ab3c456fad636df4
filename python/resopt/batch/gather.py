"""Independent items, many at once: `batch_process`, its blocking twin, and a stream of results in bounded memory."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal, get_args

from resopt.batch.checkpoint import Checkpoint
from resopt.batch.items import identity_of
from resopt.batch.progress import Progress, progress_for
from resopt.batch.rolling import Failed, Rolling, Source, Work, shared_copy
from resopt.errors import BatchError, BatchInputError, ConfigurationError
from resopt.terms import on_terms
from resopt.types import Request

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable

Errors = Literal["raise", "return"]
"""What becomes of the errors of single items: raised together when all have ended, or returned in their places."""


async def batch_process(
    queries: Iterable[Any] | AsyncIterable[Any],
    batch_size: int = 10,
    *,
    run: Callable[[Any], Awaitable[Any]] | None = None,
    optimizer: Any = None,
    errors: Errors = "raise",
    checkpoint: str | os.PathLike[str] | None = None,
    task: str = "",
    identity: Callable[[Any], Any] | None = None,
    progress: bool | Callable[[int, int | None], None] = False,
    **parameters: Any,
) -> list[Any]:
    """Process items, `batch_size` of them at any moment; results in the order of the items.

    The next item begins as soon as one has ended: no item waits for the slowest of its batch. Equal items are processed
    once. Calls are made in the lane `bulk`, so that an interactive call through the same limits goes first.

    Args:
        queries: texts, `Request`s or any items, in a list, an iterator or an async iterator, which is read no faster
            than items are processed.
        batch_size: how many are processed at once.
        run: what is done with an item; or
        optimizer: an `AsyncOptimizer` that answers them, with **parameters as for `Request.chat`.
        errors: `raise` them together when all items have ended, or `return` them in place of results.
        checkpoint: an SQLite file in which each result is kept as soon as it is there; a run that was killed goes on
            from there. Results must be plain data or `Response`. Errors are not kept: those items run again.
        task: name of what is done, so that a checkpoint can serve several; with another name nothing is found in it.
        identity: plain data by which equal items are known, instead of the items themselves; None for an item that is
            equal to no other.
        progress: True for a bar (where standard error is a terminal), or a function of items done and their number, if
            that is known.
        **parameters: with an optimizer, the same for all texts (`model`, `system`, …).

    Raises:
        BatchError: items failed, and errors are to be raised; it groups their errors and holds all results.
        BatchInputError: what items are read from failed; the results so far are with the error.
        CheckpointError: the checkpoint cannot be used.
        ConfigurationError: an argument is of the wrong type or out of range.
    """
    perform, again, convert = way(run, optimizer, parameters)
    check(batch_size, errors, task)
    import anyio

    results: list[Any] = []
    size = size_of(queries)
    with ExitStack() as stack:
        kept = None if checkpoint is None else stack.enter_context(Checkpoint(checkpoint))
        bar = stack.enter_context(progress_for(progress, size))
        source = Source(taking(queries), anyio.Lock())
        work = Work(
            convert, perform, identify(identity, task, needed=kept is not None), again, kept, *async_cancellation()
        )
        rolling = Rolling(source, work, _collector(results, bar))
        stack.enter_context(on_terms(lane="bulk"))
        async with anyio.create_task_group() as group:
            for _ in range(batch_size if size is None else min(batch_size, size)):
                group.start_soon(rolling.run)
    count_batch(optimizer, rolling)
    return _concluded(results, rolling, errors)


def batch_process_blocking(
    queries: Iterable[Any],
    batch_size: int = 10,
    *,
    run: Callable[[Any], Any] | None = None,
    optimizer: Any = None,
    errors: Errors = "raise",
    checkpoint: str | os.PathLike[str] | None = None,
    task: str = "",
    identity: Callable[[Any], Any] | None = None,
    progress: bool | Callable[[int, int | None], None] = False,
    **parameters: Any,
) -> list[Any]:
    """The same without an event loop: `run` is a plain function (or `optimizer` an `Optimizer`), called in threads.

    As `batch_process`. An interrupt (Ctrl-C) takes no further items, waits for those in the air, and is raised.
    """
    perform, again, convert = way(run, optimizer, parameters)
    check(batch_size, errors, task)
    if hasattr(queries, "__aiter__"):
        raise ConfigurationError("an async iterator needs an event loop: use `await batch_process(…)`")

    async def call(item: Any) -> Any:
        return perform(item)

    results: list[Any] = []
    size = size_of(queries)
    with ExitStack() as stack:
        kept = None if checkpoint is None else stack.enter_context(Checkpoint(checkpoint))
        bar = stack.enter_context(progress_for(progress, size))
        source = Source(taking(queries), _ThreadLock())
        work = Work(convert, call, identify(identity, task, needed=kept is not None), again, kept, (), lambda: True)
        rolling = Rolling(source, work, _collector(results, bar))
        _run_in_threads(rolling, batch_size if size is None else min(batch_size, size))
    count_batch(optimizer, rolling)
    return _concluded(results, rolling, errors)


def way(
    run: Callable[[Any], Any] | None, optimizer: Any, parameters: dict[str, Any]
) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any], Callable[[Any], Any]]:
    """What is done with an item, with a further equal one, and what an item is made into before."""
    if (run is None) == (optimizer is None):
        raise ConfigurationError("say what is done with an item: run=… or optimizer=…, one of them")
    if run is not None:
        if not callable(run):
            raise ConfigurationError(f"run must be a function of an item, not {type(run).__name__}")
        if parameters:
            raise ConfigurationError(f"run takes the item alone, but got {', '.join(sorted(parameters))}")
        return run, shared_copy, lambda item: item
    complete = getattr(optimizer, "complete", None)
    if not callable(complete):
        raise ConfigurationError(f"optimizer must be an AsyncOptimizer, not {type(optimizer).__name__}")

    def convert(item: Any) -> Any:
        return Request.chat(item, **parameters) if isinstance(item, str) else item

    return complete, getattr(optimizer, "repeat", shared_copy), convert


def check(batch_size: object, errors: object, task: object) -> None:
    """Refuse options that make no sense.

    Raises:
        ConfigurationError: names the option.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ConfigurationError(f"batch_size must be an int of at least 1, not {batch_size!r}")
    if errors not in get_args(Errors):
        raise ConfigurationError(f"errors must be one of {', '.join(get_args(Errors))}, not {errors!r}")
    if not isinstance(task, str):
        raise ConfigurationError(f"task must be a str, not {type(task).__name__}")


def size_of(queries: Any) -> int | None:
    """How many items there are, when that is known without reading them."""
    if isinstance(queries, str | bytes) or not (hasattr(queries, "__iter__") or hasattr(queries, "__aiter__")):
        raise ConfigurationError(f"queries must be a list or an iterator of items, not {type(queries).__name__}")
    return len(queries) if hasattr(queries, "__len__") else None


def taking(queries: Any) -> Callable[[], Awaitable[Any]]:
    """One way to read lists, iterators and async iterators."""
    if hasattr(queries, "__aiter__"):
        following = aiter(queries)

        async def take_later() -> Any:
            return await anext(following)

        return take_later
    iterator = iter(queries)
    end = object()

    async def take() -> Any:
        item = next(iterator, end)
        if item is end:
            raise StopAsyncIteration
        return item

    return take


def identify(identity: Callable[[Any], Any] | None, task: str, *, needed: bool) -> Callable[[Any], bytes | None]:
    """What an item is: for a checkpoint it must be known, without one an item that cannot be encoded is on its own."""

    def identify(item: Any) -> bytes | None:
        if type(item) is Request and item.cache == "bypass" and not needed:
            return None  # each is meant to get an answer of its own
        if identity is not None:
            item = identity(item)
            if item is None:
                return None
        try:
            return identity_of(item, task)
        except ValueError:
            if needed:
                raise
            return None

    return identify


def async_cancellation() -> tuple[type[BaseException], Callable[[], bool]]:
    """How calls are cancelled here, and whether the whole batch is being cancelled."""
    import anyio

    return anyio.get_cancelled_exc_class(), lambda: anyio.current_effective_deadline() == -float("inf")


def _collector(results: list[Any], bar: Progress) -> Callable[[int, Any], None]:
    def settled(position: int, outcome: Any) -> None:
        with lock:
            results.extend([None] * (position + 1 - len(results)))
            results[position] = outcome
        bar.advance()

    lock = threading.Lock()
    return settled


def count_batch(optimizer: Any, rolling: Rolling) -> None:
    """Let an optimizer know that these requests came in one batch."""
    bulk = getattr(optimizer, "bulk", None)
    if bulk is not None:
        bulk.count(rolling.taken)


def _concluded(results: list[Any], rolling: Rolling, errors: Errors) -> list[Any]:
    """The results, or what is to be raised in their place."""
    failures = [outcome.error for outcome in results if isinstance(outcome, Failed)]
    values = [outcome.error if isinstance(outcome, Failed) else outcome for outcome in results]
    if rolling.broken is not None:
        problem = f"{type(rolling.broken).__name__}: {rolling.broken}"
        raise BatchInputError(
            f"reading the items failed after {len(values)} of them ({problem}); their results are in `results`", values
        ) from rolling.broken
    if failures and errors == "raise":
        raise BatchError(f"{len(failures)} of {len(values)} items failed", failures, values)
    return values


class _ThreadLock:
    """A lock for threads in the form of one for tasks; taking it blocks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()


def _run_in_threads(rolling: Rolling, count: int) -> None:
    """Drive that many workers, each in a thread with a copy of the caller's context."""
    import contextvars

    crashes: list[BaseException] = []

    def drive() -> None:
        coroutine = rolling.run()
        try:
            coroutine.send(None)
        except StopIteration:
            return
        except BaseException as crash:  # noqa: BLE001 - raised in the caller's thread below
            crashes.append(crash)
        else:
            coroutine.close()
            crashes.append(ConfigurationError("run is a coroutine function: use `await batch_process(…)`"))
        rolling.stop()

    with on_terms(lane="bulk"):
        threads = [threading.Thread(target=contextvars.copy_context().run, args=(drive,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        rolling.stop()
        for thread in threads:
            thread.join()
        raise
    if crashes:
        raise crashes[0]
