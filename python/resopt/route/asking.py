"""Asking a tier, from async code or blocking: the provider, or what the tier itself brings."""

from __future__ import annotations

import inspect
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from resopt.errors import BudgetExceededError, ConfigurationError, ProviderResponseError, ResoptError
from resopt.gates import check_gates, through
from resopt.route.tier import several
from resopt.types import Response, Usage

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from resopt.route.health import Health
    from resopt.route.money import Costs
    from resopt.route.tier import Tier
    from resopt.stage import Gate
    from resopt.types import Request

T = TypeVar("T")


class Upstream:
    """Who is asked.

    Args:
        provider: a `resopt.stage`-free provider (`complete`, `blocking`, `aclose`), or None.
        costs: to price what came.
        health: to count how it went.
        gates: what every call must pass.

    Raises:
        ConfigurationError: the provider has no `complete`, or something is no gate.
    """

    def __init__(self, provider: Any, costs: Costs, health: Health, gates: Sequence[Gate] = ()) -> None:
        if provider is not None and not callable(getattr(provider, "complete", None)):
            raise ConfigurationError(f"provider must have an async complete(), which {type(provider).__name__} has not")
        self._provider, self._costs, self._health = provider, costs, health
        self._gates = check_gates(several("gates", gates))
        self._blocking_gates = tuple(gate.blocking() for gate in self._gates)
        self._twin: Any = None
        self._lock = threading.Lock()

    async def ask(self, tier: Tier, request: Request, *, blocking: bool) -> Response:
        """One answer of a tier.

        Raises:
            ConfigurationError: there is nobody to ask, or only somebody who cannot be asked this way.
            BudgetExceededError: a gate did not let it pass.
            ProviderError: no usable answer came.
        """
        return await through(self.gates(blocking=blocking), request, partial(self._tried, tier, request, blocking))

    async def ask_affordable(
        self, tiers: Sequence[Tier], request: Request, *, blocking: bool
    ) -> tuple[Response, Request]:
        """One answer of the first of these tiers that fits the budgets, and what was sent for it.

        Raises:
            BudgetExceededError: the first does not, and no limit says `degrade`, or none of the others does either.
        """
        refusal: BudgetExceededError | None = None
        for tier in tiers:
            sent = sent_to(request, tier.model)
            try:
                return await self.ask(tier, sent, blocking=blocking), sent
            except BudgetExceededError as refused:
                refusal = refused if refusal is None else refusal
                if refused.over != "degrade":
                    break
        raise refusal if refusal is not None else ConfigurationError("there is no tier to ask")

    def gates(self, *, blocking: bool) -> tuple[Gate, ...]:
        """What every call must pass, for callers that block or do not."""
        return self._blocking_gates if blocking else self._gates

    async def _tried(self, tier: Tier, request: Request, blocking: bool) -> Response:  # noqa: FBT001
        try:
            answer = await self._ask(tier, request, blocking=blocking)
        except Exception as error:
            self._health.failed(tier.model, error)
            raise
        self._health.succeeded(tier.model)
        return answer

    async def _ask(self, tier: Tier, request: Request, *, blocking: bool) -> Response:
        if tier.call is None:
            provider = self._blocking_twin() if blocking else self._provider
            if provider is None:
                raise ConfigurationError(
                    f"there is nobody to ask for {tier.model!r}: pass provider=OpenAIProvider(…), or call= to the tier"
                )
            return as_response(await provider.complete(request), tier)
        answer = tier.call(request)
        if inspect.isawaitable(answer):
            if blocking:
                close = getattr(answer, "close", None)
                if close is not None:
                    close()
                raise ConfigurationError(f"the call of tier {tier.name!r} is async: use the async face of the router")
            answer = await answer
        return as_response(answer, tier)

    def cost(self, model: str, response: Response) -> int | None:
        """Picodollars that an answer cost; None where the price or the usage is unknown."""
        served = self.price(response.model, response.usage) if response.model else None
        return self.price(model, response.usage) if served is None else served

    def price(self, model: str, usage: Usage | None) -> int | None:
        """Picodollars of a call; None where the price or the usage is unknown."""
        return None if usage is None else self._costs.of(model, usage)

    async def close(self) -> None:
        """Close the blocking twin of the provider, if one was made; the provider itself is the caller's."""
        with self._lock:
            twin, self._twin = self._twin, None
        if twin is not None:
            await twin.aclose()

    def _blocking_twin(self) -> Any:
        if self._provider is None:
            return None
        with self._lock:
            if self._twin is None:
                make = getattr(self._provider, "blocking", None)
                if not callable(make):
                    raise ConfigurationError(
                        f"{type(self._provider).__name__} has no blocking twin: use the async face of the router"
                    )
                self._twin = make()
            return self._twin


def as_response(answer: Any, tier: Tier) -> Response:
    """What a tier's call returned, as a `Response`: one, a text, or a message with `content` and `usage_metadata`.

    Raises:
        ProviderResponseError: it is something else.
    """
    if isinstance(answer, Response):
        return answer
    if isinstance(answer, str):
        return Response(text=answer, model=tier.model)
    content = getattr(answer, "content", None)
    if isinstance(content, str):
        said = getattr(answer, "usage_metadata", None)
        usage = None
        if isinstance(said, dict) and {"input_tokens", "output_tokens"} <= said.keys():
            usage = Usage(input_tokens=int(said["input_tokens"]), output_tokens=int(said["output_tokens"]))
        return Response(text=content, model=tier.model, usage=usage)
    raise ProviderResponseError(
        f"the call of tier {tier.name!r} must return a Response or a str, not {type(answer).__name__}"
    )


def sent_to(request: Request, model: str) -> Request:
    """A request to another model; the body is a new dict, because bodies are the callers'."""
    if request.model == model:
        return request
    return msgspec.structs.replace(request, body={**request.body, "model": model})


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits to its end, in the caller's own thread.

    Raises:
        ConfigurationError: it waits.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    except ResoptError:
        raise
    coroutine.close()
    raise ConfigurationError("something async was asked from blocking code: use the async face of the router")
