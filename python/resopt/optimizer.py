"""The pipeline: the only module that knows the order of the rooms.

A hit is answered without a task, a lock or an await. A miss flies once per key, however many ask; what comes back is
admitted when it is good, and every request leaves one record in the ledger, whatever became of it.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from resopt.cache.response import ResponseCache
from resopt.errors import CacheMissError, ClosedError, ConfigurationError
from resopt.flight import Flight
from resopt.metrics.ledger import Ledger
from resopt.types import Outcome, Request, Response, Step, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from resopt.cache.admission import Plan
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
        if not callable(getattr(provider, "complete", None)):
            raise ConfigurationError(f"provider must have an async complete(request), not {type(provider).__name__}")
        if cache is not None and not isinstance(cache, ResponseCache):
            raise ConfigurationError(f"cache must be a ResponseCache or None, not {type(cache).__name__}")
        if ledger is not None and prices is not None:
            raise ConfigurationError("give prices or a ledger, not both: a ledger has its own prices")
        self.provider = provider
        self.cache = ResponseCache() if cache is None else cache
        self.ledger = Ledger(prices) if ledger is None else ledger
        self.ledger.attach(self.cache.figures)
        self.flight: Any = Flight(on_unclaimed=self._unclaimed)
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
        request = as_request(request, parameters)
        hit = self.recall(request, started)
        return await self.ask(request, started) if hit is None else hit

    async def ask(self, request: Request, started: float) -> Response:
        """The part of `complete` that waits: what `recall` did not find."""
        try:
            plan = self.cache.plan(request)
            if request.cache == "only":
                raise CacheMissError("no stored answer fits, and cache='only' forbids asking the provider")
            if plan.key is None:
                response = await self._miss(request, plan)
                return self._record(request, response, started, outcome="bypass", steps=response.trace.steps)
            landed = await self.flight.run(plan.key + request.cache[:1].encode(), self._miss, request, plan)
            return self._land(request, plan, landed, started)
        except BaseException as error:
            self._record_failure(request, error, started)
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

    def recall(self, request: Request, started: float) -> Response | None:
        """The stored answer with its record, or None. `started` is the `perf_counter` at which the request came."""
        if self._closed:
            raise ClosedError("the optimizer is closed: make a new one")
        hit = self.cache.lookup(request)
        if hit is None:
            return None
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

    async def _miss(self, request: Request, plan: Plan) -> Response:
        """Ask the provider, keep the answer if it is good, and say in the trace what was done."""
        with self.cache.filling(request, plan) as filling:
            response = await self.provider.complete(request)
            admitted = filling.admit(response)
        asked = Step("provider", self.provider.name, "", response.latency)
        return _traced(response, Trace(steps=(*plan.steps, asked, admitted)))

    def _land(self, request: Request, plan: Plan, landed: Landed[Response], started: float) -> Response:
        response, first = landed
        steps = (_ASKED if first else _JOINED, *response.trace.steps)
        if first:
            return self._record(request, response, started, outcome="miss", key=plan.key, steps=steps)
        return self._record(
            request, response, started, outcome="coalesced", mechanism="coalesced", key=plan.key, steps=steps
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
        return _traced(response, trace)

    def _record_failure(self, request: Request, error: BaseException, started: float) -> None:
        self.ledger.record(
            outcome="error" if isinstance(error, Exception) else "cancelled",
            model=request.model,
            latency=perf_counter() - started,
            scope=request.scope,
            error=error,
        )

    def _unclaimed(self, _: object, response: Response) -> None:
        """An answer came, but all who wanted it had left: it was billed all the same."""
        self.ledger.record(
            outcome="cancelled",
            model=response.model,
            served_model=response.model,
            usage=response.usage,
            latency=response.latency,
            upstream_latency=response.latency,
        )


def as_request(request: Request | str, parameters: dict[str, Any]) -> Request:
    """The request itself, or the question in a text with its parameters.

    Raises:
        ConfigurationError: it is neither, or a `Request` comes with parameters.
    """
    if isinstance(request, str):
        return Request.chat(request, **parameters)
    if not isinstance(request, Request):
        raise ConfigurationError(f"request must be a Request or a str, not {type(request).__name__}")
    if parameters:
        raise ConfigurationError(f"a Request takes no further parameters, but got {', '.join(sorted(parameters))}")
    return request


def _traced(response: Response, trace: Trace) -> Response:
    """The same answer with another trace: each caller has a response of their own."""
    return Response(
        text=response.text,
        model=response.model,
        usage=response.usage,
        finish_reason=response.finish_reason,
        tool_calls=response.tool_calls,
        body=response.body,
        created_at=response.created_at,
        latency=response.latency,
        trace=trace,
    )
