"""The blocking face of the pipeline: the same code, driven without an event loop.

The pipeline is written once, as coroutines. Over a blocking provider and a blocking flight nothing in it ever suspends,
so one `send(None)` runs it to its end in the caller's own thread: no loop, no portal, no hand-over between threads.
"""

from __future__ import annotations

import threading
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from resopt.bulk import gather_blocking
from resopt.errors import ClosedError, ConfigurationError
from resopt.optimizer import AsyncOptimizer
from resopt.providers.base import check_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
    from typing import Self

    from resopt.cache.response import CacheStats, ResponseCache
    from resopt.flight import Flight, Landed
    from resopt.metrics.ledger import Ledger
    from resopt.metrics.prices import PriceBook
    from resopt.providers.base import Provider
    from resopt.quality.feedback import Feedback
    from resopt.quality.signals import Signal
    from resopt.rollout.buckets import Rollout
    from resopt.rollout.experiment import Experiment
    from resopt.rollout.shadow import Shadow
    from resopt.stage import Gate, Stage
    from resopt.types import Request, Response, Scope

T = TypeVar("T")


class Optimizer:
    """Answers requests from memory where it may, and from the provider where it must; blocks, thread-safe.

    Use as `with Optimizer(provider) as optimizer`, or call `close`. The arguments are those of `AsyncOptimizer`. A
    provider without a blocking twin runs on an event loop in a thread of its own, started at the first miss.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        cache: ResponseCache | None = None,
        prices: PriceBook | Mapping[str, Any] | None = None,
        ledger: Ledger | None = None,
        stages: Sequence[Stage] = (),
        gates: Sequence[Gate] = (),
        rollout: Rollout | None = None,
        experiments: Sequence[Experiment | Shadow] = (),
        quality: Feedback | None = None,
    ) -> None:
        check_provider(provider)
        twin = getattr(provider, "blocking", None)
        waiting: Any = twin() if callable(twin) else _OnItsOwnLoop(provider)
        pipeline = AsyncOptimizer(
            waiting,
            cache=cache,
            prices=prices,
            ledger=ledger,
            stages=stages,
            gates=gates,
            rollout=rollout,
            experiments=experiments,
            quality=quality,
        )
        pipeline.stages = pipeline.stages.blocking()
        pipeline.auditing.blocking = pipeline.shadowing.blocking = True
        pipeline.flight = _BlockingFlight(pipeline.flight)
        self.pipeline = pipeline
        self.bulk, self.repeat = pipeline.bulk, pipeline.repeat
        self.cache = pipeline.cache
        self.ledger = pipeline.ledger

    def complete(self, request: Request | str, **parameters: Any) -> Response:
        """Answer a request; as `AsyncOptimizer.complete`."""
        started = perf_counter()
        request = self.pipeline.accept(request, parameters, started)
        hit = self.pipeline.recall(request, started)
        if hit is not None:
            return hit
        return drive(self.pipeline.ask(request, started))

    def gather(
        self,
        requests: Iterable[Request | str],
        batch_size: int = 10,
        *,
        deadline: float | None = None,
        **options: Any,
    ) -> list[Any]:
        """Answer many requests, `batch_size` threads at a time; as `AsyncOptimizer.gather`, at the standard tier."""
        return gather_blocking(self, requests, batch_size, deadline=deadline, **options)

    def lookup(self, request: Request | str, **parameters: Any) -> Response | None:
        """The stored answer to a request, or None; asks nobody and leaves no record in the ledger."""
        return self.pipeline.lookup(request, **parameters)

    def feedback(self, which: Response | str | Any, *, scope: Scope | None = None, **said: Any) -> tuple[Signal, ...]:
        """Say how good an answer was; as `AsyncOptimizer.feedback`."""
        return self.pipeline.feedback(which, scope=scope, **said)

    def report_bad_hit(self, which: Response | str) -> int:
        """Take back an answer from memory that was wrong (or the `trace.id` of it); how many were dropped."""
        return self.pipeline.report_bad_hit(which)

    @property
    def skipped(self) -> dict[str, int]:
        """How often each stage failed unexpectedly and was skipped."""
        return self.pipeline.accounts.skipped

    @property
    def cut_off(self) -> int:
        """Calls upstream that were cancelled because nobody waited any more."""
        return self.pipeline.accounts.cut_off

    @property
    def stats(self) -> CacheStats:
        """Counters and sums of the cache."""
        return self.cache.stats

    def invalidate(self, **which: Any) -> int:
        """Drop stored answers, by `tag`, `model`, `user`, `older_than` or `key`; as `ResponseCache.invalidate`."""
        return self.cache.invalidate(**which)

    def close(self) -> None:
        """Close the provider. The ledger and the cache can still be read."""
        drive(self.pipeline.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends to its end.

    Raises:
        ConfigurationError: it wants to wait for an event loop.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    error = ConfigurationError("the provider's blocking twin waits for an event loop: its methods must never suspend")
    try:
        coroutine.throw(error)  # so that what waits in there sees why it ends
    except StopIteration:
        pass
    finally:
        coroutine.close()
    raise error


class _BlockingFlight:
    """A flight whose `run` blocks instead of suspending."""

    def __init__(self, flight: Flight) -> None:
        self._flight = flight

    async def run(self, key: Hashable, call: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> Landed[T]:
        return self._flight.run_blocking(key, _driven, call, args)

    def detach(self, key: Hashable) -> None:
        self._flight.detach(key)


def _driven(call: Callable[..., Coroutine[Any, Any, T]], args: tuple[Any, ...]) -> T:
    return drive(call(*args))


class _OnItsOwnLoop:
    """A provider that needs an event loop, on one in a thread of its own; its callers block."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._lock = threading.Lock()
        self._manager: Any = None
        self._portal: Any = None
        self._closed = False

    @property
    def name(self) -> str:
        return self._provider.name

    async def complete(self, request: Request) -> Response:
        from concurrent.futures import CancelledError

        with self._lock:
            if self._closed:
                raise ClosedError("the optimizer is closed: make a new one")
            future = self._started().start_task_soon(self._provider.complete, request)
        try:
            response: Response = future.result()
        except CancelledError:
            raise ClosedError("the optimizer was closed before the answer came") from None
        except BaseException:
            future.cancel()  # an interrupted caller ends its call upstream; a call that failed is over already
            raise
        return response

    async def aclose(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            portal, manager = self._started(), self._manager
        try:
            portal.call(self._provider.aclose)
        finally:
            manager.__exit__(None, None, None)

    def _started(self) -> Any:
        """The portal to the loop; the lock is held."""
        if self._portal is None:
            from anyio.from_thread import start_blocking_portal

            self._manager = start_blocking_portal()
            self._portal = self._manager.__enter__()
        return self._portal
