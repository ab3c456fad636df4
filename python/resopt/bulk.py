"""Many requests through one pipeline: `gather`, deferred work, and the books that both keep.

Everything here goes through the optimizer's own `ask`, cache and ledger: a request in a batch is a request like any
other, with a record of its own.
"""

from __future__ import annotations

import threading
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, get_args

from resopt.errors import ConfigurationError
from resopt.metrics.work import WorkFigures
from resopt.trials import BATCH
from resopt.types import Request, Step

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable

    from resopt.batch.deferred import Deferred
    from resopt.optimizer import AsyncOptimizer
    from resopt.trials import Trials
    from resopt.types import Response

Tier = Literal["standard", "flex", "batch"]
"""How soon answers are wanted: now; when there is room, at half the price; within hours, at half the price."""

_REPEATED = Step("batch", "repeated", "an equal request of the same batch was asked")


class Bulk:
    """What an optimizer knows of the batches that came through it."""

    def __init__(self) -> None:
        self.batched = self.batches = 0
        self._lock = threading.Lock()

    def count(self, requests: int) -> None:
        """A batch of so many requests is over."""
        with self._lock:
            self.batches += 1
            self.batched += requests

    def figures(self, gates: Iterable[Any]) -> WorkFigures:
        """Batches, waits and retries so far."""
        limits = next((gate for gate in gates if gate.name == "limits" and hasattr(gate, "figures")), None)
        if limits is None:
            return WorkFigures(batched=self.batched, batches=self.batches)
        figures = limits.figures()
        return WorkFigures(
            batched=self.batched,
            batches=self.batches,
            queue_wait_p50=figures.wait_p50,
            queue_wait_p95=figures.wait_p95,
            waited=figures.waited,
            queued=figures.queued,
            flying=figures.flying,
            retries=figures.retries,
            concurrency=figures.concurrency,
        )


def figures(optimizer: AsyncOptimizer) -> WorkFigures:
    """Batches, waits and retries of an optimizer so far."""
    return optimizer.bulk.figures(optimizer.stages.gates)


class OptimizerBooks:
    """Cache and ledger of an optimizer, for work that ends outside a call of it (`resopt.batch.books.Books`)."""

    def __init__(self, optimizer: AsyncOptimizer) -> None:
        self._optimizer = optimizer

    def lookup(self, request: Request) -> Response | None:
        """The stored answer, or None."""
        return self._optimizer.cache.lookup(request)

    def answered(self, request: Request, response: Response) -> None:
        """Keep an answer and account for it; a stage that fails is skipped."""
        accounts = self._optimizer.accounts
        try:
            admitted = self._optimizer.cache.admit(request, response)
        except Exception as error:  # noqa: BLE001 - invariant 8
            admitted = accounts.skip("admit", error)
        accounts.record(
            request, response, _started(response), outcome="miss", steps=(Step("batch", "deferred"), admitted)
        )

    def repeated(self, request: Request, response: Response) -> None:
        """Account for an answer that was billed for an equal request."""
        accounts = self._optimizer.accounts
        accounts.record(request, response, _started(response), outcome="coalesced", steps=(_REPEATED,))

    def cached(self, request: Request, response: Response) -> None:
        """Account for an answer from memory."""
        self._optimizer.accounts.hit(request, response, perf_counter())

    def failed(self, request: Request, error: Exception) -> None:
        """Account for a request without an answer."""
        self._optimizer.accounts.failure(error, perf_counter(), request)


def _started(response: Response) -> float:
    """The `perf_counter` at which a request came that took as long as its answer."""
    return perf_counter() - response.latency


class _Through:
    """An optimizer as `batch_process` wants one, whose calls upstream are made in another way."""

    def __init__(self, optimizer: AsyncOptimizer, call: Callable[[Request], Awaitable[Response]]) -> None:
        self._optimizer, self._call = optimizer, call
        self.bulk, self.repeat = optimizer.bulk, optimizer.repeat

    async def complete(self, request: Request) -> Response:
        """Answer a request."""
        started = perf_counter()
        request = self._optimizer.accept(request, {}, started)
        hit = self._optimizer.recall(request, started)
        return await self._optimizer.ask(request, started, self._call) if hit is None else hit


class _Turns:
    """An optimizer as `batch_process` wants one, where who has batching switched off is asked one after the other."""

    def __init__(self, through: Any, trials: Trials, turn: Any) -> None:
        self._through, self._trials, self._turn = through, trials, turn
        self.bulk, self.repeat = through.bulk, through.repeat

    def _batched(self, request: Any) -> bool:
        return not isinstance(request, Request) or self._trials.enabled(BATCH, request)


class _InTurn(_Turns):
    async def complete(self, request: Request) -> Any:
        """Answer a request."""
        if self._batched(request):
            return await self._through.complete(request)
        async with self._turn:
            return await self._through.complete(request)


class _InTurnBlocking(_Turns):
    def complete(self, request: Request) -> Any:
        """Answer a request."""
        if self._batched(request):
            return self._through.complete(request)
        with self._turn:
            return self._through.complete(request)


def repeat(optimizer: AsyncOptimizer, request: Request, response: Response) -> Response:
    """Account for a request that got the answer of an equal one in its batch; the answer with a trace of its own."""
    key = response.trace.key
    return optimizer.accounts.record(
        request, response, perf_counter(), outcome="coalesced", mechanism="coalesced", key=key, steps=(_REPEATED,)
    )


async def gather(
    optimizer: AsyncOptimizer,
    requests: Iterable[Request | str] | AsyncIterable[Request | str],
    batch_size: int,
    *,
    tier: Tier = "standard",
    deadline: float | None = None,
    deferred: Deferred | None = None,
    **options: Any,
) -> list[Any]:
    """The work of `AsyncOptimizer.gather`.

    Args:
        optimizer: what answers.
        requests: `Request`s or texts, in a list, an iterator or an async iterator.
        batch_size: how many are in the air at once.
        tier: `flex` for half the price when the provider has room, and `batch`, with `deferred`, within hours.
        deadline: seconds for all of it.
        deferred: where requests of the tier `batch` wait, of `AsyncOptimizer.deferred`.
        **options: `errors`, `checkpoint`, `task`, `progress` and parameters of texts, as for `batch_process`.

    Raises:
        BatchError: requests failed, and `errors` is not `return`; it holds all answers.
        ConfigurationError: the tier is unknown, or `batch` comes without `deferred`.
    """
    from resopt.batch.gather import batch_process
    from resopt.terms import on_terms

    if tier not in get_args(Tier):
        raise ConfigurationError(f"tier must be one of {', '.join(get_args(Tier))}, not {tier!r}")
    if (tier == "batch") != (deferred is not None):
        raise ConfigurationError("tier='batch' needs deferred=optimizer.deferred(…), and only it does")
    if deferred is not None:
        made = [request async for request in _each(requests)]
        errors = options.pop("errors", "raise")
        handle = await deferred.submit(made, deadline=86_400.0 if deadline is None else deadline, **options)
        optimizer.bulk.count(len(made))
        return await deferred.result(handle, errors=errors)
    through: Any = optimizer
    if tier == "flex":
        from resopt.batch.flex import flexible

        through = _Through(optimizer, flexible(optimizer.provider.complete))
    if optimizer.trials.keeps_out_of_batches:
        from anyio import Lock

        through = _InTurn(through, optimizer.trials, Lock())
    with on_terms(deadline=deadline):
        return await batch_process(requests, batch_size, optimizer=through, **options)


def gather_blocking(
    optimizer: Any, requests: Iterable[Request | str], batch_size: int, *, deadline: float | None, **options: Any
) -> list[Any]:
    """The work of `Optimizer.gather`."""
    from resopt.batch.gather import batch_process_blocking
    from resopt.terms import on_terms

    trials = optimizer.pipeline.trials
    if trials.keeps_out_of_batches:
        optimizer = _InTurnBlocking(optimizer, trials, threading.Lock())
    with on_terms(deadline=deadline):
        return batch_process_blocking(requests, batch_size, optimizer=optimizer, **options)


def deferred(optimizer: AsyncOptimizer, path: Any, batches: Any, **options: Any) -> Deferred:
    """The work of `AsyncOptimizer.deferred`."""
    from resopt.batch.deferred import Deferred

    options.setdefault("complete", optimizer.complete)
    options.setdefault("gates", optimizer.stages.gates)
    return Deferred(path, batches, books=OptimizerBooks(optimizer), **options)


async def _each(requests: Any) -> AsyncIterator[Any]:
    """The requests of a list, an iterator or an async iterator."""
    if hasattr(requests, "__aiter__"):
        async for request in requests:
            yield request
    else:
        for request in requests:
            yield request
