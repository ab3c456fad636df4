"""The pipeline: the only module that knows the order of the rooms.

A hit is answered without a task, a lock or an await. A miss flies once per key, however many ask; what comes back is
admitted when it is good, and every request leaves one record in the ledger, whatever became of it.
"""

from __future__ import annotations

import threading
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.cache.admission import Plan
from resopt.cache.kept import immutable, snapshot
from resopt.cache.response import ResponseCache
from resopt.errors import CacheMissError, ClosedError, ConfigurationError, ProviderResponseError, ResoptError
from resopt.flight import Flight
from resopt.metrics.ledger import Ledger
from resopt.providers.base import check_provider
from resopt.types import EVERYONE, Outcome, Request, Response, Scope, Step, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from resopt.flight import Landed
    from resopt.metrics.prices import PriceBook
    from resopt.providers.base import Provider

_JOINED = Step("flight", "joined", "another caller was already asking")
_ASKED = Step("flight", "asked")


class AsyncOptimizer:
    """Answers requests from memory where it may, and from the provider where it must; accounts for both.

    Works on asyncio and trio. Use as `async with AsyncOptimizer(provider) as optimizer`, or call `close`.

    Args:
        provider: where answers come from (`resopt.providers`); closed with the optimizer.
        cache: a `ResponseCache`; one with the defaults (1 hour, 1,000 answers) when None.
        prices: a `PriceBook`, or a mapping of model to (input, output) dollars per million tokens. Without prices every
            cost is unknown.
        ledger: where records go; a new one with `prices` when None.

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
    ) -> None:
        check_provider(provider)
        if cache is not None and not isinstance(cache, ResponseCache):
            raise ConfigurationError(f"cache must be a ResponseCache or None, not {type(cache).__name__}")
        if ledger is not None and not isinstance(ledger, Ledger):
            raise ConfigurationError(f"ledger must be a Ledger or None, not {type(ledger).__name__}")
        if ledger is not None and prices is not None:
            raise ConfigurationError("give prices or a ledger, not both: a ledger has its own prices")
        self.provider = provider
        self.cache = ResponseCache() if cache is None else cache
        self.ledger = Ledger(prices) if ledger is None else ledger
        self.ledger.attach(self.cache.figures)
        self.flight: Any = Flight(on_unclaimed=self._unclaimed)
        self.skipped: dict[str, int] = {}
        self.cut_off = 0
        self._lock = threading.Lock()  # guards `skipped` and `cut_off`
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

    async def ask(self, request: Request, started: float) -> Response:
        """The part of `complete` that waits: what `recall` did not find."""
        try:
            plan = self._plan(request)
            if request.cache == "only":
                raise CacheMissError("no stored answer fits, and cache='only' forbids asking the provider")  # noqa: TRY301 - recorded below
            if plan.key is None:
                request = _with_body(request, {**request.body})
                _, response = await self._miss(request, plan)
                return self._record(request, response, started, outcome="bypass", steps=response.trace.steps)
            # What is sent, perhaps for others too and some time from now, must be what was keyed.
            request = _with_body(request, snapshot(request.body))
            landed = await self.flight.run(_flight_key(request, plan.key), self._miss, request, plan)
            return self._land(request, plan, landed, started)
        except BaseException as error:
            self._record_failure(error, started, request.model, request.scope)
            raise

    def lookup(self, request: Request | str, **parameters: Any) -> Response | None:
        """The stored answer to a request, or None; asks nobody and leaves no record in the ledger."""
        return self.cache.lookup(as_request(request, parameters))

    async def close(self) -> None:
        """Close the provider. The ledger and the cache can still be read."""
        self._closed = True
        await self.provider.aclose()

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
            self._record_failure(error, started)
            raise

    def recall(self, request: Request, started: float) -> Response | None:
        """The stored answer with its record, or None. `started` is the `perf_counter` at which the request came."""
        try:
            if self._closed:
                raise ClosedError("the optimizer is closed: make a new one")  # noqa: TRY301 - recorded below
            hit = self.cache.lookup(request)
        except ResoptError as error:
            self._record_failure(error, started, request.model, request.scope)
            raise
        except Exception as error:  # noqa: BLE001 - invariant 8
            self._skip("lookup", error)
            return None
        return None if hit is None else self._record_hit(request, hit, started)

    def _plan(self, request: Request) -> Plan:
        """What may be done with the answer; when nothing can say so, it is for this caller alone."""
        try:
            return self.cache.plan(request)
        except ResoptError:  # the request itself is at fault
            raise
        except Exception as error:  # noqa: BLE001 - invariant 8
            return Plan(None, steps=(self._skip("plan", error),))

    async def _miss(self, request: Request, plan: Plan) -> tuple[Request, Response]:
        """Ask the provider, keep the answer if it is good, and say in the trace what was done.

        Another thread's call may have landed between the lookup and this one: then its answer is taken.
        """
        stored = self.cache.landed(request, plan)
        if stored is not None:
            return request, stored
        flying = None if plan.key is None else partial(self.flight.detach, _flight_key(request, plan.key))
        with self.cache.filling(request, plan, flying) as filling:
            asked_at = perf_counter()
            response = await self._call(request)
            seconds = perf_counter() - asked_at
            if not isinstance(response, Response):
                raise ProviderResponseError(
                    f"the provider {self.provider.name} must return a Response, not {type(response).__name__}"
                )
            try:
                response = immutable(response, seconds)
                admitted = filling.admit(response)
            except Exception as error:  # noqa: BLE001 - invariant 8: the answer is there, and paid for
                admitted = self._skip("admit", error)
        asked = Step("provider", self.provider.name, "", response.latency)
        return request, response.traced(Trace(steps=(*plan.steps, asked, admitted)))

    async def _call(self, request: Request) -> Response:
        try:
            return await self.provider.complete(request)
        except BaseException as error:
            if not isinstance(error, Exception):
                with self._lock:
                    self.cut_off += 1
            raise

    def _land(self, request: Request, plan: Plan, landed: Landed[tuple[Request, Response]], started: float) -> Response:
        (_, response), first = landed
        if response.trace.outcome == "hit":
            return self._record_hit(request, response, started)
        steps = (_ASKED if first else _JOINED, *response.trace.steps)
        if first:
            return self._record(request, response, started, outcome="miss", key=plan.key, steps=steps)
        return self._record(
            request, response, started, outcome="coalesced", mechanism="coalesced", key=plan.key, steps=steps
        )

    def _record_hit(self, request: Request, hit: Response, started: float) -> Response:
        trace = hit.trace
        return self._record(
            request,
            hit,
            started,
            outcome="hit",
            mechanism=trace.mechanism,
            key=trace.key,
            age=trace.age,
            steps=trace.steps,
        )

    def _record(
        self,
        request: Request,
        response: Response,
        started: float,
        *,
        outcome: Outcome,
        steps: tuple[Step, ...],
        mechanism: str | None = None,
        key: bytes | None = None,
        age: float | None = None,
    ) -> Response:
        try:
            record = self.ledger.record(
                outcome=outcome,
                mechanism=mechanism,
                model=request.model,
                served_model=response.model,
                usage=response.usage,
                latency=perf_counter() - started,
                upstream_latency=response.latency,
                scope=request.scope,
                stages=steps,
                age=age,
            )
        except Exception as error:  # noqa: BLE001 - invariant 8: an answer is worth more than its record
            steps = (*steps, self._skip("record", error))
            return response.traced(Trace(outcome=outcome, mechanism=mechanism, key=key, age=age, steps=steps))
        trace = Trace(
            id=record.id,
            outcome=outcome,
            mechanism=mechanism,
            key=key,
            age=age,
            steps=steps,
            usage=record.usage,
            cost=record.cost,
            baseline_cost=record.baseline_cost,
            latency=record.latency,
            baseline_latency=record.baseline_latency,
        )
        return response.traced(trace)

    def _record_failure(self, error: BaseException, started: float, model: str = "", scope: Scope = EVERYONE) -> None:
        try:
            self.ledger.record(
                outcome="error" if isinstance(error, Exception) else "cancelled",
                model=model,
                latency=perf_counter() - started,
                scope=scope,
                error=error,
            )
        except Exception as failure:  # noqa: BLE001 - the caller is to see what went wrong first
            self._skip("record", failure)

    def _unclaimed(self, _: object, landed: tuple[Request, Response]) -> None:
        """An answer came, but all who wanted it had left: it was billed all the same."""
        request, response = landed
        if response.trace.outcome == "hit":  # another call's, which has a record of its own
            return
        self.ledger.record(
            outcome="cancelled",
            model=request.model,
            served_model=response.model,
            usage=response.usage,
            latency=response.latency,
            upstream_latency=response.latency,
            scope=request.scope,
            stages=response.trace.steps,
        )

    def _skip(self, stage: str, error: Exception) -> Step:
        """Count a stage that failed and go on without it; the first failure of each is logged in full."""
        with self._lock:
            count = self.skipped[stage] = self.skipped.get(stage, 0) + 1
        if count == 1:
            import logging

            logging.getLogger("resopt").error("stage %s failed and is skipped", stage, exc_info=error)
        return Step(stage, "skipped", f"{type(error).__name__}: {error}")


def as_request(request: Request | str, parameters: dict[str, Any]) -> Request:
    """The request itself, or the question in a text with its parameters.

    Raises:
        ConfigurationError: it is neither, or a `Request` comes with parameters.
    """
    if isinstance(request, str):
        if parameters and "prompt" in parameters:
            raise ConfigurationError("the prompt is given twice: as the request, and as prompt=…")
        return Request.chat(request, **parameters)
    if not isinstance(request, Request):
        raise ConfigurationError(f"request must be a Request or a str, not {type(request).__name__}")
    if parameters:
        raise ConfigurationError(f"a Request takes no further parameters, but got {', '.join(sorted(parameters))}")
    return request


def _flight_key(request: Request, key: bytes) -> bytes:
    """A `refresh` wants an answer begun after it was asked for: it joins no call of another mode."""
    return key + request.cache[:1].encode()


def _with_body(request: Request, body: dict[str, Any]) -> Request:
    return msgspec.structs.replace(request, body=body)
