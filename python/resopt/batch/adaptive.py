"""`AdaptiveBatcher`: batches as large as demand and service time allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resopt.batch.batcher import Batcher
from resopt.batch.checks import number
from resopt.batch.processor import WhenFull, engine_for
from resopt.batch.sizes import AdaptiveSize
from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence


_FIRST_SIZE = 10


class AdaptiveBatcher(Batcher):
    """A `BatchProcessor` whose batch size follows the load.

    A lone item goes at once. Under load the size follows the queue, and is held where a batch takes as long as the
    target allows (additive increase, multiplicative decrease, and a band in which it rests).

    Args:
        process: `async def process(items: list) -> results`; or
        run: `async def run(item) -> result`; both as for `BatchProcessor`.
        min_batch_size: the size is never below.
        max_batch_size: never above.
        target_ms: milliseconds that a batch may take; None for twice what the smallest batch takes.
        max_wait_ms: milliseconds that an item waits for company at most, while other batches run.
        key, weight, tenant, concurrency, max_queue, when_full, isolate: as for `BatchProcessor`.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    def __init__(
        self,
        process: Callable[[list[Any]], Awaitable[Sequence[Any]]] | None = None,
        *,
        run: Callable[[Any], Awaitable[Any]] | None = None,
        min_batch_size: float = 5,
        max_batch_size: float = 50,
        target_ms: float | None = None,
        max_wait_ms: float = 10,
        key: Callable[[Any], Hashable] | None = None,
        weight: Callable[[Any], float] | None = None,
        tenant: Callable[[Any], Hashable] | None = None,
        concurrency: int = 8,
        max_queue: int = 1_000,
        when_full: WhenFull = "wait",
        isolate: bool = True,
    ) -> None:
        number("min_batch_size", min_batch_size, least=1)
        number("max_batch_size", max_batch_size, least=1)
        if max_batch_size < min_batch_size:
            raise ConfigurationError(f"max_batch_size ({max_batch_size}) must not be below min ({min_batch_size})")
        if target_ms is not None:
            number("target_ms", target_ms, least=0)
        start = min(max_batch_size, max(min_batch_size, _FIRST_SIZE))
        target = None if target_ms is None else target_ms / 1000.0
        self._size = AdaptiveSize(min_batch_size, max_batch_size, target, start)
        self._engine = engine_for(
            process,
            run,
            self._size,
            wait_ms=max_wait_ms,
            key=key,
            weight=weight,
            tenant=tenant,
            concurrency=concurrency,
            max_queue=max_queue,
            when_full=when_full,
            eager=True,
            isolate=isolate,
        )

    def submit(self, item: Any) -> Coroutine[Any, Any, Any]:
        """The result of an item, when its batch has run; as `BatchProcessor.submit`."""
        return self._engine.submit(item)

    @property
    def current_batch_size(self) -> float:
        """What a batch may weigh now."""
        return self._size.now
