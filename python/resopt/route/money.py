"""What a request is expected to cost at each tier, and shares that keep to a mean cost.

Money is integers of picodollars, as price books have it; a model without a price has an unknown cost, never zero.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from resopt.errors import ConfigurationError
from resopt.types import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resopt.route.tier import Tier

TYPICAL = Usage(input_tokens=500, output_tokens=300)
"""The call by which models are compared before any was made."""

_NEWEST = 0.05
"""Weight of the newest call in a running mean."""

_PATIENCE = 50.0
"""Upgrades that spending may be off by before the share above is nothing or all."""


@runtime_checkable
class Prices(Protocol):
    """What a router wants to know of prices; a `PriceBook` is one."""

    def cost(self, model: str, usage: Usage) -> int | None:
        """Picodollars that `usage` costs at a model's price; None when unknown."""
        ...


def check_prices(prices: object) -> Any:
    """A price book, or None.

    Raises:
        ConfigurationError: it is something else.
    """
    if prices is not None and not isinstance(prices, Prices):
        raise ConfigurationError(f"prices must be a PriceBook or None, not {type(prices).__name__}")
    return prices


class Costs:
    """Expected costs by tier; learns from calls how long answers are.

    Args:
        tiers: the tiers.
        prices: a `PriceBook`, or None: then every cost is unknown.
    """

    def __init__(self, tiers: Sequence[Tier], prices: Any) -> None:
        self.prices = check_prices(prices)
        self._answers = {tier.model: float(TYPICAL.output_tokens) for tier in tiers}
        self._lock = threading.Lock()

    def of(self, model: str, usage: Usage) -> int | None:
        """Picodollars of one call, or None."""
        return None if self.prices is None else self.prices.cost(model, usage)

    def expected(self, tier: Tier, prompt: int, limit: int | None = None, cached: int = 0) -> int | None:
        """Picodollars that a call is expected to cost.

        Args:
            tier: who is asked.
            prompt: tokens sent.
            limit: tokens that the answer may have.
            cached: tokens of the prompt that the provider has in its prefix cache.
        """
        if self.prices is None:
            return None
        answer = round(self._answers[tier.model])
        answer = answer if limit is None else min(answer, limit)
        usage = Usage(input_tokens=prompt, cached_input_tokens=min(cached, prompt), output_tokens=answer)
        return self.of(tier.model, usage)

    def answer_tokens(self, tier: Tier) -> float:
        """Tokens that an answer of a tier has on average."""
        return self._answers[tier.model]

    def learn(self, model: str, usage: Usage | None) -> None:
        """Take note of how long an answer was."""
        if usage is not None and usage.output_tokens > 0 and model in self._answers:
            with self._lock:
                self._answers[model] += _NEWEST * (usage.output_tokens - self._answers[model])


class Spending:
    """Shares by which the mean cost per request is what was promised.

    Of all mixes with a given mean cost the two tiers around it are taken: a dollar buys less quality the higher one
    goes, so mixing tiers further apart gives less for it. What was spent too much or too little moves the share.

    Args:
        target: picodollars per request.
        tiers: the tiers, the cheapest first.
        costs: their expected costs.

    Raises:
        ConfigurationError: a tier has no price.
    """

    def __init__(self, target: int, tiers: Sequence[Tier], costs: Costs) -> None:
        self._target = target
        self._means: list[float] = []
        for tier in tiers:
            typical = costs.of(tier.model, TYPICAL)
            if typical is None:
                raise ConfigurationError(
                    f"a policy of dollars needs the price of {tier.model!r}: pass prices=PriceBook({{{tier.model!r}: "
                    "(input, output)}), or PriceBook.bundled()"
                )
            self._means.append(float(typical))
        self._excess = 0.0
        self._lock = threading.Lock()

    def shares(self) -> list[float]:
        """The share of each tier for the next request."""
        with self._lock:
            means, excess = list(self._means), self._excess
        shares = [0.0] * len(means)
        order = sorted(range(len(means)), key=means.__getitem__)
        upper = next((place for place, tier in enumerate(order) if means[tier] > self._target), len(order))
        if upper in (0, len(order)):
            below = above = max(0, min(upper, len(order) - 1))
        else:
            below, above = upper - 1, upper
        if excess > 0 and below == above > 0:
            below -= 1
        elif excess < 0 and below == above < len(order) - 1:
            above += 1
        low, high = order[below], order[above]
        step = means[high] - means[low]
        share = 0.0 if step <= 0 else (self._target - means[low]) / step - excess / (_PATIENCE * step)
        share = min(1.0, max(0.0, share))
        shares[low] += 1.0 - share
        shares[high] += share
        return shares

    def spent(self, tier: int, cost: int) -> None:
        """Count what a request to a tier cost, or is expected to."""
        with self._lock:
            self._excess += cost - self._target
            # Bounded: long after traffic was far cheaper than promised, one does not spend it all at once.
            limit = _PATIENCE * max(self._means)
            self._excess = max(-limit, min(limit, self._excess))
            self._means[tier] += _NEWEST * (cost - self._means[tier])

    def corrected(self, expected: int, cost: int) -> None:
        """Put what a call did cost in the place of what it was expected to."""
        with self._lock:
            self._excess += cost - expected
