"""`BatchProcessor`: items submitted one by one, processed together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import anyio

from resopt.batch.batcher import Batcher
from resopt.batch.checks import function, number
from resopt.batch.engine import Engine
from resopt.batch.sizes import FixedSize
from resopt.errors import ConfigurationError, ItemCancelledError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence

    from resopt.batch.sizes import Size

WhenFull = Literal["wait", "reject"]
"""What `submit` does when the queue is full: wait for room, or raise `QueueFullError`."""


class BatchProcessor(Batcher):
    """Collects what is submitted into batches: `await submit(item)` gives the item's own result.

    A batch goes when it is full, when its oldest item has waited `wait_ms`, or at once when nothing else runs: a lone
    item in an idle system waits for nobody. An item that fails, or whose caller leaves, harms no other.

    Args:
        process: `async def process(items: list) -> results`, one result for each item in order, or an exception for
            one that failed; or
        run: `async def run(item) -> result`, called for the items of a batch at the same time.
        batch_size: items in a batch, or with `weight` what they may weigh together.
        wait_ms: milliseconds that an item waits for company at most, while other batches run.
        key: what an item may be in a batch with (language, model, tier of the user): only items of equal key are.
        weight: what an item counts for (its tokens). One that is heavier than `batch_size` goes alone.
        tenant: whose item it is: tenants take turns, so that a flood of one delays the others little.
        concurrency: batches that run at once.
        max_queue: items that wait at most; a tenant with less than its share is let in beyond, up to twice as many.
        when_full: `wait` for room, or `reject` with `QueueFullError`.
        eager: False lets even a lone item wait `wait_ms` for company.
        isolate: when `process` raises, and it is not the provider that failed, call it again with halves of the batch
            until the items at fault are found; False shares the error among all.

    Use it in the event loop of its first `submit`, in `async with`, or call `aclose`.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    def __init__(
        self,
        process: Callable[[list[Any]], Awaitable[Sequence[Any]]] | None = None,
        *,
        run: Callable[[Any], Awaitable[Any]] | None = None,
        batch_size: float = 10,
        wait_ms: float = 100,
        key: Callable[[Any], Hashable] | None = None,
        weight: Callable[[Any], float] | None = None,
        tenant: Callable[[Any], Hashable] | None = None,
        concurrency: int = 8,
        max_queue: int = 1_000,
        when_full: WhenFull = "wait",
        eager: bool = True,
        isolate: bool = True,
    ) -> None:
        number("batch_size", batch_size, least=1)
        self._engine = engine_for(
            process,
            run,
            FixedSize(batch_size),
            wait_ms=wait_ms,
            key=key,
            weight=weight,
            tenant=tenant,
            concurrency=concurrency,
            max_queue=max_queue,
            when_full=when_full,
            eager=eager,
            isolate=isolate,
        )

    def submit(self, item: Any) -> Coroutine[Any, Any, Any]:
        """The result of an item, when its batch has run.

        Raises:
            QueueFullError: the queue is full, and `when_full` is `reject`.
            ClosedError: the processor is closed.
            ProviderResponseError: `process` returned more or fewer results than there were items.
            Exception: what the item ended in.
        """
        return self._engine.submit(item)


def engine_for(
    process: Callable[[list[Any]], Awaitable[Sequence[Any]]] | None,
    run: Callable[[Any], Awaitable[Any]] | None,
    size: Size,
    *,
    wait_ms: float,
    key: Callable[[Any], Hashable] | None,
    weight: Callable[[Any], float] | None,
    tenant: Callable[[Any], Hashable] | None,
    concurrency: int,
    max_queue: int,
    when_full: WhenFull,
    eager: bool,
    isolate: bool,
) -> Engine:
    """The engine of a batcher, its options checked.

    Raises:
        ConfigurationError: names the option.
    """
    if (process is None) == (run is None):
        raise ConfigurationError("say how a batch is processed: process=… (all items) or run=… (each), one of them")
    for name, given in (("process", process or run), ("key", key), ("weight", weight), ("tenant", tenant)):
        if given is not None:
            function(name, given)
    number("wait_ms", wait_ms, least=0)
    for name, whole in (("concurrency", concurrency), ("max_queue", max_queue)):
        number(name, whole, least=1, whole=True)
    if when_full not in get_args(WhenFull):
        raise ConfigurationError(f"when_full must be one of {', '.join(get_args(WhenFull))}, not {when_full!r}")
    return Engine(
        process if process is not None else each(run),
        size,
        wait=wait_ms / 1000.0,
        eager=eager,
        concurrency=concurrency,
        max_queue=max_queue,
        reject=when_full == "reject",
        key=key,
        weigh=weight,
        tenant_of=tenant,
        isolate=isolate and process is not None,
    )


def each(run: Any) -> Callable[[list[Any]], Awaitable[list[Any]]]:
    """Processes a batch by one call for each item, all at the same time."""

    async def process(items: list[Any]) -> list[Any]:
        results: list[Any] = [None] * len(items)

        async def one(position: int) -> None:
            try:
                results[position] = await run(items[position])
            except anyio.get_cancelled_exc_class() as error:
                if anyio.current_effective_deadline() == -float("inf"):
                    raise
                results[position] = ItemCancelledError("the item's own work was cancelled; its batch was not")
                results[position].__cause__ = error
            except Exception as error:  # noqa: BLE001 - the item's own end
                results[position] = error

        async with anyio.create_task_group() as group:
            for position in range(len(items)):
                group.start_soon(one, position)
        return results

    return process
