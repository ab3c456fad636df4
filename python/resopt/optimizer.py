"""The pipeline: the only module that knows the order of the rooms.

A hit is answered without a task, a lock or an await. A miss flies once per key, however many ask; what comes back is
admitted when it is good, and every request leaves one record in the ledger, whatever became of it.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from resopt import bulk
from resopt.accounts import Accounts
from resopt.asked import as_request
from resopt.auditing import Auditing
from resopt.cache.admission import Plan
from resopt.cache.kept import immutable, snapshot, unbilled
from resopt.cache.response import ResponseCache
from resopt.errors import CacheMissError, ClosedError, ConfigurationError, ProviderResponseError, ResoptError
from resopt.flight import Flight
from resopt.metrics.ledger import Ledger
from resopt.providers.base import check_provider
from resopt.shadowing import Shadowing
from resopt.stages import Stages
from resopt.trials import Trials
from resopt.types import Request, Response, Step, Trace

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
    from os import PathLike
    from typing import Self, TypeAlias

    from resopt.batch.deferred import Deferred
    from resopt.cache.response import CacheStats
    from resopt.flight import Landed
    from resopt.metrics.prices import PriceBook
    from resopt.providers.base import Provider
    from resopt.quality.feedback import Feedback
    from resopt.quality.signals import Signal
    from resopt.rollout.buckets import Rollout
    from resopt.rollout.experiment import Experiment
    from resopt.rollout.shadow import Shadow
    from resopt.stage import Gate, Stage
    from resopt.types import Scope

    Call: TypeAlias = Callable[[Request], Awaitable[Response]]

_JOINED = Step("flight", "joined", "another caller was already asking")
_ASKED = Step("flight", "asked")
_SWITCHED_OFF = Step("cache", "bypass", "switched off for this user")
_ONLY = "no stored answer fits, and cache='only' forbids asking the provider"


class AsyncOptimizer:
    """Answers requests from memory where it may, and from the provider where it must; accounts for both.

    Works on asyncio and trio. Use as `async with AsyncOptimizer(provider) as optimizer`, or call `close`.

    Args:
        provider: where answers come from (`resopt.providers`); closed with the optimizer.
        cache: a `ResponseCache`; one with the defaults (1 hour, 1,000 answers) when None.
        prices: a `PriceBook`, or a mapping of model to (input, output) dollars per million tokens. Without prices every
            cost is unknown.
        ledger: where records go; a new one with `prices` when None.
        stages: what may change what is sent upstream, in this order (`resopt.stage.Stage`).
        gates: what every call upstream must pass, in this order (`resopt.stage.Gate`).
        rollout: for which share of users stages are on.
        experiments: what is tried out; an `Experiment` switches its stage, a `Shadow` compares both ways in private.
        quality: collects feedback, with guardrails if any; a new `Feedback` when None.

    A stage that fails unexpectedly (a rule, a price, …) is skipped and logged; `skipped` counts those, by stage.
    `cut_off` counts calls upstream that were cancelled because nobody waited any more: the provider may bill them all
    the same, and nobody can say how much.

    Raises:
        ConfigurationError: an argument is of the wrong type, or both prices and a ledger are given.
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
        if cache is not None and not isinstance(cache, ResponseCache):
            raise ConfigurationError(f"cache must be a ResponseCache or None, not {type(cache).__name__}")
        if ledger is not None and not isinstance(ledger, Ledger):
            raise ConfigurationError(f"ledger must be a Ledger or None, not {type(ledger).__name__}")
        if ledger is not None and prices is not None:
            raise ConfigurationError("give prices or a ledger, not both: a ledger has its own prices")
        self.provider = provider
        self.ledger = Ledger(prices) if ledger is None else ledger
        self.accounts = Accounts(self.ledger)
        self.trials = Trials(self.accounts, stages, rollout, experiments, quality)
        self._uncached = self.trials.uncached if self.trials.active else None
        self.stages = Stages(self.accounts, tuple(stages), tuple(gates), self.trials.switch)
        self.cache = self.trials.over(ResponseCache() if cache is None else cache, self.stages)
        self.bulk = bulk.Bulk()
        self.repeat = partial(bulk.repeat, self)
        work = partial(bulk.figures, self)
        self.ledger.attach(self.cache.figures, quality=self.trials.report, work=work)
        self.flight: Any = Flight(on_unclaimed=self.accounts.unclaimed)
        self.auditing = Auditing(self)
        self.shadowing = Shadowing(self, self.trials.shadows)
        self._closed = False

    async def complete(self, request: Request | str, **parameters: Any) -> Response:
        """Answer a request.

        Args:
            request: a `Request`, or the text of a question.
            **parameters: with a text, what `Request.chat` takes (`model`, `system`, `scope`, `temperature`, …).

        Raises:
            InvalidRequestError: the request cannot be sent.
            UnkeyableError: its body holds something that is not plain data.
            CacheMissError: cache mode `only`, and nothing fits.
            ProviderError: no usable answer came from the provider.
        """
        started = perf_counter()
        request = self.accept(request, parameters, started)
        hit = self.recall(request, started)
        return await self.ask(request, started) if hit is None else hit

    async def ask(
        self,
        request: Request,
        started: float,
        call: Call | None = None,
        fits: Callable[[Response], bool] | None = None,
    ) -> Response:
        """The part of `complete` that waits: what `recall` did not find.

        Args:
            request: what is asked.
            started: the `perf_counter` at which it came.
            call: asks upstream in place of the provider, where the caller brings the client.
            fits: as for `recall`.
        """
        call = self.provider.complete if call is None else call
        plan: Plan | None = None
        try:
            plan = self.plan(request)
            if plan.key is None and request.cache == "only":
                raise CacheMissError(_ONLY)  # noqa: TRY301 - recorded below
            if plan.key is None:
                request = msgspec.structs.replace(request, body={**request.body})
                _, response = await self._miss(request, plan, call, fits)
                return self.accounts.record(request, response, started, outcome="bypass", steps=response.trace.steps)
            # What is sent, perhaps for others too and some time from now, must be what was keyed.
            request = msgspec.structs.replace(request, body=snapshot(request.body))
            landed = await self.flight.run(_flight_key(request, plan.key), self._miss, request, plan, call, fits)
            return self._land(request, plan, landed, started)
        except BaseException as error:
            stale = self.trials.instead(request, plan, error)
            if stale is not None and (fits is None or fits(stale)):
                return self.accounts.hit(request, stale, started)
            self.accounts.failure(error, started, request)
            raise

    async def gather(
        self, requests: Iterable[Request | str] | AsyncIterable[Request | str], batch_size: int = 10, **options: Any
    ) -> list[Any]:
        """Answer many requests, `batch_size` at a time; answers in order, equal requests asked once: `bulk.gather`."""
        return await bulk.gather(self, requests, batch_size, **options)

    def deferred(self, path: str | PathLike[str], batches: Sequence[Any], **options: Any) -> Deferred:
        """Requests that can wait for half the price, in a file, with this cache and ledger; see `Deferred`."""
        return bulk.deferred(self, path, batches, **options)

    def lookup(self, request: Request | str, **parameters: Any) -> Response | None:
        """The stored answer to a request, or None; asks nobody and leaves no record in the ledger."""
        return self.cache.lookup(as_request(request, parameters))

    @property
    def stats(self) -> CacheStats:
        """Counters and sums of the cache."""
        return self.cache.stats

    def invalidate(self, **which: Any) -> int:
        """Drop stored answers, by `tag`, `model`, `user`, `older_than` or `key`; as `ResponseCache.invalidate`."""
        return self.cache.invalidate(**which)

    def report_bad_hit(self, which: Response | str) -> int:
        """Take back an answer from memory that was wrong (or the `trace.id` of it); how many were dropped."""
        return self.auditing.report_bad_hit(which)

    @property
    def skipped(self) -> dict[str, int]:
        """How often each stage failed unexpectedly and was skipped."""
        return self.accounts.skipped

    @property
    def cut_off(self) -> int:
        """Calls upstream that were cancelled because nobody waited any more."""
        return self.accounts.cut_off

    async def close(self) -> None:
        """Close the provider, once shadows have ended. The ledger and the cache can still be read."""
        self._closed = True
        await self.shadowing.drained(self.provider.aclose)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def accept(self, request: Request | str, parameters: dict[str, Any], started: float) -> Request:
        """The request that `complete` was given, or an error that the ledger has counted."""
        if type(request) is Request and not parameters:
            return request
        try:
            return as_request(request, parameters)
        except ResoptError as error:
            self.accounts.failure(error, started)
            raise

    def recall(
        self,
        request: Request,
        started: float,
        fits: Callable[[Response], bool] | None = None,
        key: bytes | None = None,
    ) -> Response | None:
        """The stored answer with its record, or None.

        Args:
            request: what is asked.
            started: the `perf_counter` at which it came.
            fits: whether a stored answer has the form that the caller wants.
            key: the request's key, where the caller has it already.
        """
        try:
            if self._closed:
                raise ClosedError("the optimizer is closed: make a new one")  # noqa: TRY301 - recorded below
            blind = self._uncached is not None and self._uncached(request)
            hit = None if blind else self.cache.lookup(request, key)
        except ResoptError as error:
            self.accounts.failure(error, started, request)
            raise
        except Exception as error:  # noqa: BLE001 - invariant 8
            self.accounts.skip("lookup", error)
            return None
        if hit is None or (fits is not None and not fits(hit)):
            return None
        response = self.accounts.hit(request, hit, started)
        if self.cache.meaning is not None:
            self.auditing.served(request, response)
        return response

    def plan(self, request: Request) -> Plan:
        """What may be done with the answer; when nothing can say so, it is for this caller alone."""
        try:
            if self._uncached is not None and self._uncached(request):
                return Plan(None, steps=(_SWITCHED_OFF,))
            return self.cache.plan(request)
        except ResoptError:  # the request itself is at fault
            raise
        except Exception as error:  # noqa: BLE001 - invariant 8
            return Plan(None, steps=(self.accounts.skip("plan", error),))

    def feedback(self, which: Response | str | Any, *, scope: Scope | None = None, **said: Any) -> tuple[Signal, ...]:
        """Say how good an answer was: `thumbs`, `rating`, `accepted`, `task_success`, `score`; as `Trials.feedback`."""
        return self.trials.feedback(which, scope, said)

    async def _miss(
        self, request: Request, plan: Plan, call: Call, fits: Callable[[Response], bool] | None
    ) -> tuple[Request, Response]:
        """Ask the provider, keep the answer if it is good, and say in the trace what was done.

        Another thread's call may have landed between the lookup and this one: then its answer is taken.
        """
        stored = self.cache.landed(request, plan)
        if stored is not None and (fits is None or fits(stored)):
            return request, stored
        considered = await self.auditing.consider(request, plan)
        if considered.response is not None and (fits is None or fits(considered.response)):
            return request, considered.response
        if request.cache == "only":
            raise CacheMissError(_ONLY)
        flying = None if plan.key is None else partial(self.flight.detach, _flight_key(request, plan.key))
        with self.cache.filling(request, plan, flying) as filling:
            asked_at = perf_counter()
            response = await self.accounts.upstream(self.stages.call(request, call))
            seconds = perf_counter() - asked_at
            if not isinstance(response, Response):
                raise ProviderResponseError(
                    f"the provider {self.provider.name} must return a Response, not {type(response).__name__}"
                )
            decided = response.trace.steps
            try:
                response = immutable(response, seconds)
                admitted = filling.admit(response)
            except Exception as error:  # noqa: BLE001 - invariant 8: the answer is there, and paid for
                admitted = self.accounts.skip("admit", error)
        await self.auditing.missed(considered, response, plan)
        self.shadowing.answered(request, response)
        asked = Step("provider", self.provider.name, "", response.latency)
        return request, response.traced(Trace(steps=(*plan.steps, *considered.steps, *decided, asked, admitted)))

    def _land(self, request: Request, plan: Plan, landed: Landed[tuple[Request, Response]], started: float) -> Response:
        (_, response), first = landed
        if response.trace.outcome == "hit":
            response = self.accounts.hit(request, response if first else unbilled(response), started)
            self.auditing.served(request, response)
            return response
        steps = (_ASKED if first else _JOINED, *response.trace.steps)
        if first:
            return self.accounts.record(request, response, started, outcome="miss", key=plan.key, steps=steps)
        return self.accounts.record(
            request, response, started, outcome="coalesced", mechanism="coalesced", key=plan.key, steps=steps
        )


def _flight_key(request: Request, key: bytes) -> bytes:
    """A `refresh` wants an answer begun after it was asked for: it joins no call of another mode."""
    return key + request.cache[:1].encode()
