"""Asking a tier, from async code or blocking: the provider, or what the tier itself brings."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from resopt.errors import ConfigurationError, ProviderResponseError, ResoptError
from resopt.types import Response, Usage

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from resopt.route.health import Health
    from resopt.route.money import Costs
    from resopt.route.tier import Tier
    from resopt.types import Request

T = TypeVar("T")


class Upstream:
    """Who is asked.

    Args:
        provider: a `resopt.stage`-free provider (`complete`, `blocking`, `aclose`), or None.
        costs: to price what came.
        health: to count how it went.

    Raises:
        ConfigurationError: the provider has no `complete`.
    """

    def __init__(self, provider: Any, costs: Costs, health: Health) -> None:
        if provider is not None and not callable(getattr(provider, "complete", None)):
            raise ConfigurationError(f"provider must have an async complete(), which {type(provider).__name__} has not")
        self._provider, self._costs, self._health = provider, costs, health
        self._twin: Any = None
        self._lock = threading.Lock()

    async def ask(self, tier: Tier, request: Request, *, blocking: bool) -> Response:
        """One answer of a tier.

        Raises:
            ConfigurationError: there is nobody to ask, or only somebody who cannot be asked this way.
            ProviderError: no usable answer came.
        """
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
        usage = response.usage
        if usage is None:
            return None
        served = self._costs.of(response.model, usage) if response.model else None
        return self._costs.of(model, usage) if served is None else served

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
