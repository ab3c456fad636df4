"""Measure before optimising: what one call costs and takes, and a baseline to hold a report against."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

from resopt._core import Sketch
from resopt.errors import ConfigurationError
from resopt.metrics.render import NOTHING, dollars, seconds
from resopt.types import NO_USAGE, Response, Usage

if TYPE_CHECKING:
    from resopt.metrics.prices import PriceBook
    from resopt.metrics.report import Report

Value = TypeVar("Value", int, float)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One measured call.

    Attributes:
        response: what the call returned.
        latency: seconds from call to answer, by the wall.
        usage: tokens billed (none when resopt answered from its cache, or the provider did not say).
        cost: picodollars; None when the price or the usage is unknown.
    """

    response: Response
    latency: float
    usage: Usage
    cost: int | None

    def __str__(self) -> str:
        return (
            f"Latency: {seconds(self.latency)} | Tokens: {self.usage.total_tokens:,} | "
            f"Cost: {dollars(self.cost)} | Model: {self.response.model}"
        )


@overload
def profile_request(
    call: Callable[..., Awaitable[Response]], *args: Any, prices: PriceBook | None = None, **kwargs: Any
) -> Awaitable[Profile]: ...
@overload
def profile_request(
    call: Callable[..., Response], *args: Any, prices: PriceBook | None = None, **kwargs: Any
) -> Profile: ...
def profile_request(
    call: Callable[..., Any], *args: Any, prices: PriceBook | None = None, **kwargs: Any
) -> Profile | Awaitable[Profile]:
    """Make one call and measure it: `print(profile_request(optimizer.complete, "What is Python?", prices=book))`.

    Args:
        call: returns a `Response`, or an awaitable of one; then the profile has to be awaited too.
        *args: given to the call.
        prices: what tokens cost. Not needed for an optimizer's answers, which carry their cost.
        **kwargs: given to the call.

    Raises:
        ConfigurationError: the call returned something else. What the call itself raises is passed on.
    """
    started = time.perf_counter()
    result = call(*args, **kwargs)
    if isinstance(result, Awaitable):
        return _awaited(result, started, prices)
    return _profile(result, time.perf_counter() - started, prices)


async def _awaited(result: Awaitable[Any], started: float, prices: PriceBook | None) -> Profile:
    response = await result
    return _profile(response, time.perf_counter() - started, prices)


def _profile(response: Any, latency: float, prices: PriceBook | None) -> Profile:
    if not isinstance(response, Response):
        raise ConfigurationError(
            f"profile_request measures calls that return a Response, not {type(response).__name__}"
        )
    if response.trace.id:  # it went through an optimizer, which knows what was billed
        return Profile(response=response, latency=latency, usage=response.trace.usage, cost=response.trace.cost)
    usage = response.usage or NO_USAGE
    known = prices is not None and usage.total_tokens > 0
    cost = prices.cost(response.model, usage) if prices is not None and known else None
    return Profile(response=response, latency=latency, usage=usage, cost=cost)


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What calls cost and take before optimising: measured (`Baseline.of`), or known from elsewhere and typed in.

    Attributes:
        requests: how many calls it stands for.
        average_latency: seconds.
        p50_latency: seconds.
        p95_latency: seconds.
        average_cost: picodollars per call.
        tokens_per_request: input and output tokens per call.
    """

    requests: int = 0
    average_latency: float | None = None
    p50_latency: float | None = None
    p95_latency: float | None = None
    average_cost: int | None = None
    tokens_per_request: float | None = None

    @classmethod
    def of(cls, profiles: Iterable[Profile]) -> Baseline:
        """The baseline over measured calls; its cost is None when that of any call is unknown.

        Raises:
            ConfigurationError: there are no profiles.
        """
        profiles = list(profiles)
        if not profiles:
            raise ConfigurationError("a baseline needs at least one profile")
        latencies = Sketch(relative_error=0.001, max_bins=65_536)
        latencies.add_many(profile.latency for profile in profiles)
        costs = [profile.cost for profile in profiles if profile.cost is not None]
        return cls(
            requests=len(profiles),
            average_latency=latencies.sum / len(profiles),
            p50_latency=latencies.quantile(0.5),
            p95_latency=latencies.quantile(0.95),
            average_cost=round(sum(costs) / len(costs)) if len(costs) == len(profiles) else None,
            tokens_per_request=sum(profile.usage.total_tokens for profile in profiles) / len(profiles),
        )

    def compare(self, report: Report) -> Comparison:
        """This baseline beside what a ledger recorded."""
        return Comparison(
            average_latency=_change(self.average_latency, report.latency.mean),
            p50_latency=_change(self.p50_latency, report.latency.p50),
            p95_latency=_change(self.p95_latency, report.latency.p95),
            average_cost=_change(self.average_cost, report.cost_per_request),
            tokens_per_request=_change(self.tokens_per_request, report.tokens_per_request),
        )


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One figure before and after; `share` is the change as a share of before: -0.65 is 65 % less; None if unknown."""

    before: float | None
    after: float | None
    share: float | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A baseline beside a report: latencies in seconds, cost in picodollars per request."""

    average_latency: Change
    p50_latency: Change
    p95_latency: Change
    average_cost: Change
    tokens_per_request: Change

    def __str__(self) -> str:
        rows = [
            ("average latency", self.average_latency, seconds),
            ("P50 latency", self.p50_latency, seconds),
            ("P95 latency", self.p95_latency, seconds),
            ("cost per request", self.average_cost, _rounded_dollars),
            ("tokens per request", self.tokens_per_request, _tokens),
        ]
        lines = [f"{'':<20}{'before':>14}{'after':>14}{'change':>12}"]
        for name, change, text in rows:
            moved = NOTHING if change.share is None else f"{change.share * 100:+.1f} %"
            lines.append(f"{name:<20}{text(change.before):>14}{text(change.after):>14}{moved:>12}")
        return "\n".join(lines)


def _change(before: float | None, after: float | None) -> Change:
    known = before is not None and after is not None and before > 0
    return Change(
        before=before, after=after, share=after / before - 1 if known and before and after is not None else None
    )


def _rounded_dollars(picodollars: float | None) -> str:
    return dollars(None if picodollars is None else round(picodollars))


def _tokens(count: float | None) -> str:
    return NOTHING if count is None else f"{count:,.1f}"
