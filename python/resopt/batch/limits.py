"""`Limits`: one limiter for requests and tokens, for every call to a provider under one API key.

It is a gate of the pipeline. It waits with a call until the provider will take it, learns from each reply what that is,
and is asked again before each retry, so that retries keep to the limits like everything else.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec

from resopt._core import Sketch
from resopt.batch import checks
from resopt.batch.channel import Channel, Waiter
from resopt.errors import ConfigurationError, ProviderError, ProviderTimeoutError
from resopt.flight.places import ThreadPlace, task_place
from resopt.terms import current_terms, tell_attempts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from resopt.types import Request, Response

_CHARACTERS_PER_TOKEN = 4
_MEMORY = 0.05
"""What one answer weighs in the mean length of answers."""

_MOST_CHANNELS = 1_024


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `Limits`."""

    requests_per_minute: float | None
    tokens_per_minute: float | None
    max_concurrency: int
    start: int
    reserve: float
    max_queue: int
    window: float


class LimitFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the limits did.

    Attributes:
        calls: calls let through, each attempt counted.
        waited: calls that had to wait.
        wait_p50: median seconds of all calls; None before the first.
        wait_p95: the 95th percentile.
        wait_max: the longest.
        queued: calls in line now.
        flying: calls in the air now.
        concurrency: the most that may be in the air now, by model.
        retries: further attempts, by what the one before met: `429`, `529`, `timeout`, `connection`, ….
        requests_left: what each model's allowance of requests has left, where it is known.
        tokens_left: the same for tokens.
    """

    calls: int
    waited: int
    wait_p50: float | None
    wait_p95: float | None
    wait_max: float | None
    queued: int
    flying: int
    concurrency: dict[str, int]
    retries: dict[str, int]
    requests_left: dict[str, float]
    tokens_left: dict[str, float]


class Limits:
    """Lets calls through as fast as the provider takes them, and no faster; a gate for `AsyncOptimizer(gates=[…])`.

    Without options it learns everything: limits of requests and tokens from the headers of replies, pauses from
    `Retry-After`, the number of calls at once from refusals, timeouts and the time to the first chunk. One `Limits`
    belongs to one API key; within it every model has limits of its own. It may be shared by optimizers, event loops and
    threads.

    Calls made `with on_terms(lane="bulk")` go behind all others and leave them a reserve. A call whose turn cannot come
    within its deadline (`on_terms(deadline=…)`) fails at once. Tenants (`Scope.tenant`) take turns.

    Args:
        requests_per_minute: what the provider allows, if you know it; a reply may only lower it.
        tokens_per_minute: the same for tokens.
        max_concurrency: calls in the air at most.
        start: calls in the air before anything is known.
        reserve: share of the allowance that bulk leaves to interactive calls.
        estimate: tokens that a request will take, answer included. By default a quarter of its characters, and
            `max_tokens` or else the mean length of answers so far.
        max_queue: calls in line at most, per model; `QueueFullError` beyond.
        window: seconds that the allowances are for.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    name = "limits"

    def __init__(
        self,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        max_concurrency: int = 100,
        start: int | None = None,
        reserve: float = 0.03,
        estimate: Callable[[Request], float] | None = None,
        max_queue: int = 100_000,
        window: float = 60.0,
    ) -> None:
        checks.positive("window", window)
        for name, limit in (("requests_per_minute", requests_per_minute), ("tokens_per_minute", tokens_per_minute)):
            if limit is not None:
                checks.positive(name, limit)
        start = min(50, max_concurrency) if start is None else start
        for name, whole in (("max_concurrency", max_concurrency), ("start", start), ("max_queue", max_queue)):
            checks.number(name, whole, least=1, whole=True)
        if start > max_concurrency:
            raise ConfigurationError(f"start ({start}) must not be above max_concurrency ({max_concurrency})")
        checks.share("reserve", reserve, zero=True)
        if estimate is not None:
            checks.function("estimate", estimate)
        self.settings = Settings(
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            max_concurrency=max_concurrency,
            start=start,
            reserve=reserve,
            max_queue=max_queue,
            window=window,
        )
        self._estimate = estimate
        self._channels: dict[str, Channel] = {}
        self._lock = threading.Lock()
        self._calls = self._waited = 0
        self._waits = Sketch()
        self._retries: dict[str, int] = {}
        self._answer_tokens = 256.0

    async def enter(self, request: Request) -> Ticket:
        """Wait until a request may be sent; see `resopt.stage.Gate`."""
        return await self._enter(request, blocking=False)

    def blocking(self) -> BlockingLimits:
        """The same limits for callers that block."""
        return BlockingLimits(self)

    def figures(self) -> LimitFigures:
        """What has been done so far."""
        with self._lock:
            channels = dict(self._channels)
            waits = (self._waits.quantile(0.5), self._waits.quantile(0.95), self._waits.maximum)
            counts, retries = (self._calls, self._waited), dict(self._retries)

        def left(name: str) -> dict[str, float]:
            return {model: each.buckets[name].level for model, each in channels.items() if each.buckets[name].known}

        return LimitFigures(
            calls=counts[0],
            waited=counts[1],
            wait_p50=waits[0],
            wait_p95=waits[1],
            wait_max=waits[2],
            queued=sum(channel.waiting for channel in channels.values()),
            flying=sum(channel.concurrency.flying for channel in channels.values()),
            concurrency={model: channel.concurrency.limit for model, channel in channels.items()},
            retries=retries,
            requests_left=left("requests"),
            tokens_left=left("tokens"),
        )

    async def _enter(self, request: Request, *, blocking: bool) -> Ticket:
        channel = self._channel(request.model)
        waiter = Waiter(current_terms(), request.scope.tenant, self._tokens(request))
        ticket = Ticket(self, channel, waiter, blocking=blocking)
        await ticket.pass_line()
        tell_attempts(ticket)
        return ticket

    def _channel(self, model: str) -> Channel:
        with self._lock:
            channel = self._channels.get(model)
            if channel is None:
                if len(self._channels) >= _MOST_CHANNELS:  # callers choose names
                    idle = [name for name, each in self._channels.items() if not each.waiting]
                    idle = [name for name in idle if not self._channels[name].concurrency.flying]
                    for name in idle[: _MOST_CHANNELS // 2]:
                        del self._channels[name]
                channel = self._channels[model] = Channel(self.settings, model)
            return channel

    def _tokens(self, request: Request) -> float:
        if self._estimate is not None:
            return max(0.0, float(self._estimate(request)))
        body = request.body
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or body.get("max_output_tokens")
        answer = float(limit) if isinstance(limit, int) and limit > 0 else self._answer_tokens
        return _characters(body) / _CHARACTERS_PER_TOKEN + answer

    def count_wait(self, seconds: float) -> None:
        """A call was let through after so long."""
        with self._lock:
            self._calls += 1
            self._waited += seconds > 0
            self._waits.add(seconds)

    def count_retry(self, reason: str) -> None:
        """A further attempt will be made because of this."""
        with self._lock:
            self._retries[reason] = self._retries.get(reason, 0) + 1

    def learn_length(self, tokens: int) -> None:
        """An answer was so long."""
        self._answer_tokens += _MEMORY * (tokens - self._answer_tokens)


class BlockingLimits:
    """`Limits` for callers that block: the same counts, and `enter` never suspends."""

    name = "limits"

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def enter(self, request: Request) -> Ticket:
        """Block until a request may be sent."""
        return await self._limits._enter(request, blocking=True)  # noqa: SLF001 - its other face

    def blocking(self) -> BlockingLimits:
        """Itself."""
        return self


class Ticket:
    """Leave to make one call, retries included. It is told of each attempt where the provider tells of them."""

    def __init__(self, limits: Limits, channel: Channel, waiter: Waiter, *, blocking: bool) -> None:
        self._limits, self._channel, self._waiter, self._blocking = limits, channel, waiter, blocking
        self._told = False
        self._last = ""

    async def pass_line(self) -> None:
        """Wait for leave.

        Raises:
            DeadlineError: it cannot be had in time.
            QueueFullError: too many wait.
        """
        place: Callable[[], Any] = ThreadPlace if self._blocking else task_place
        waited = await self._channel.enter(self._waiter, place, blocking=self._blocking)
        self._limits.count_wait(waited)

    async def again(self, seconds: float) -> None:
        """Wait for leave to make one more attempt; see `resopt.terms.Attempts`."""
        terms_end = self._waiter.ends
        self._waiter.ends = min(terms_end, time.monotonic() + seconds)
        self._limits.count_retry(self._last)
        try:
            await self.pass_line()
        finally:
            self._waiter.ends = terms_end

    def ended(self, status: int | None, headers: Mapping[str, str], wait: float | None, *, timed_out: bool) -> None:
        """An attempt has ended; see `resopt.terms.Attempts`."""
        self._told = True
        self._last = str(status) if status is not None else "timeout" if timed_out else "connection"
        self._channel.ended(self._waiter, status, headers, wait, timed_out=timed_out)

    def first_chunk(self, seconds: float) -> None:
        """The first chunk of the answer came after so long."""
        self._channel.first_chunk(seconds)

    def settle(self, response: Response | None, error: BaseException | None) -> None:
        """The call is over; see `resopt.stage.Ticket`."""
        tell_attempts(None)
        if not self._told:
            self._tell(response, error)
        usage = None if response is None else response.usage
        if usage is not None:
            self._channel.used(self._waiter, usage.total_tokens)
            self._limits.learn_length(usage.output_tokens)
        self._channel.leave(self._waiter)

    def _tell(self, response: Response | None, error: BaseException | None) -> None:
        """The provider told of no attempts: what became of the call has to do."""
        status = None if response is None else 200
        wait: float | None = None
        if isinstance(error, ProviderError):
            status, wait = error.status, error.retry_after
        timed_out = isinstance(error, ProviderTimeoutError)
        self._channel.ended(self._waiter, status, {}, wait, timed_out=timed_out)


def _characters(value: Any) -> int:
    """Characters of all texts in a body."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_characters, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_characters, value))
    return 0
