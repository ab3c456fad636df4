"""A second call when the first takes unusually long: buys latency with money, so it is off unless asked for."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec

from resopt._core import Sketch
from resopt.batch import checks
from resopt.errors import BudgetExceededError
from resopt.gates import one_more
from resopt.types import Billed, Detour

if TYPE_CHECKING:
    from resopt.gates import Passes
    from resopt.types import Request, Response

_WARM = 20
"""Calls after which it is known what is unusual."""


class HedgeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What hedging did: calls, second calls, how many were first to answer, how many the cap or a budget forbade."""

    calls: int
    hedges: int
    won: int
    capped: int


class HedgedProvider:
    """A provider that asks a second time when the first answer is late, and takes whichever comes first.

    Put it around another: `AsyncOptimizer(HedgedProvider(OpenAIProvider()))`. Both calls are billed; when both have
    answered, the second is in the books under `hedge`, and one that is cut off may be billed unseen. Never use it for
    calls that change something. Its blocking twin does not hedge.

    Args:
        provider: answers the calls.
        quantile: of the latencies so far, behind which an answer is late.
        share: second calls as a share of all calls, at most.
        burst: second calls that may be saved up.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    def __init__(self, provider: Any, *, quantile: float = 0.95, share: float = 0.05, burst: float = 5.0) -> None:
        checks.share("quantile", quantile)
        checks.share("share", share)
        checks.number("burst", burst, least=1)
        self._provider = provider
        self._quantile, self._share, self._burst = quantile, share, burst
        self._lock = threading.Lock()
        self._latencies: dict[str, Sketch] = {}
        self._tokens = 0.0
        self._calls = self._hedges = self._won = self._capped = 0

    @property
    def name(self) -> str:
        """Of the provider within."""
        name: str = self._provider.name
        return name

    @property
    def figures(self) -> HedgeFigures:
        """What has been done so far."""
        with self._lock:
            return HedgeFigures(calls=self._calls, hedges=self._hedges, won=self._won, capped=self._capped)

    async def complete(self, request: Request) -> Response:
        """Ask for one answer, twice if need be.

        Raises:
            ProviderError: as the provider within; the first call's error when both fail.
        """
        late = self._begin(request.model)
        began = time.perf_counter()
        if late is None:
            response: Response = await self._provider.complete(request)
        else:
            response = await self._race(request, late)
        self._learn(request.model, time.perf_counter() - began)
        return response

    async def aclose(self) -> None:
        """Close the provider within."""
        await self._provider.aclose()

    def blocking(self) -> Any:
        """The blocking twin of the provider within."""
        return self._provider.blocking()

    async def _race(self, request: Request, late: float) -> Response:
        import anyio

        answers: list[tuple[int, Response]] = []
        failures: dict[int, Exception] = {}
        first_over = anyio.Event()
        beside: Passes | None = None

        async def call(number: int) -> None:
            try:
                answers.append((number, await self._provider.complete(request)))
                group.cancel_scope.cancel()
            except Exception as error:  # noqa: BLE001 - raised below, unless the other call answers
                failures[number] = error
            finally:
                first_over.set()

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(call, 0)
                with anyio.move_on_after(late):
                    await first_over.wait()
                if not first_over.is_set() and (beside := self._leave()) is not None:
                    group.start_soon(call, 1)
        finally:
            if beside is not None:
                _settle(beside, answers, failures)
        if not answers:
            raise failures[0] if 0 in failures else failures[1]
        return self._taken(answers)

    def _taken(self, answers: list[tuple[int, Response]]) -> Response:
        (number, response), *others = answers
        with self._lock:
            self._won += number == 1
        if not others:
            return response
        also = tuple(Billed("hedge", other.model, other.usage) for _, other in others)
        detour = Detour() if response.detour is None else response.detour
        return msgspec.structs.replace(response, detour=msgspec.structs.replace(detour, also=(*detour.also, *also)))

    def _begin(self, model: str) -> float | None:
        """Count a call; the seconds after which it is late, or None while that is not known."""
        with self._lock:
            self._calls += 1
            self._tokens = min(self._burst, self._tokens + self._share)
            latencies = self._latencies.get(model)
            return None if latencies is None or latencies.count < _WARM else latencies.quantile(self._quantile)

    def _leave(self) -> Passes | None:
        """Leave for a second call; None when the cap or a budget has none."""
        with self._lock:
            saved_up = self._tokens >= 1.0
            self._capped += not saved_up
            if not saved_up:
                return None
            self._tokens -= 1.0
        try:
            passes = one_more()
        except BudgetExceededError:
            with self._lock:
                self._tokens += 1.0
                self._capped += 1
            return None
        with self._lock:
            self._hedges += 1
        return passes

    def _learn(self, model: str, seconds: float) -> None:
        with self._lock:
            if model not in self._latencies and len(self._latencies) >= 256:  # callers choose names
                self._latencies.clear()
            self._latencies.setdefault(model, Sketch()).add(seconds)


def _settle(beside: Passes, answers: list[tuple[int, Response]], failures: dict[int, Exception]) -> None:
    """Tell the gates of the call that nobody gets to see; they are told of the other as of any call."""
    if answers:
        beside.settle(answers[1][1] if len(answers) > 1 else None, next(iter(failures.values()), None))
    else:
        beside.settle(None, failures.get(1))
