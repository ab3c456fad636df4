"""What became of a cascade: every attempt, what each cost, and which answer counts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from resopt.route.verdict import Verdict
from resopt.types import PICODOLLARS, Response

if TYPE_CHECKING:
    from collections.abc import Sequence

_BINS = 10
_BELIEF = 10.0
"""Attempts that the first guess of a share counts for."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a cascade.

    Attributes:
        tier: name of the tier.
        model: name of its model.
        response: what came; None when nothing did.
        verdict: how good it is; None when nothing came.
        cost: picodollars of the call and of judging it; None when unknown, as of a call that was cut off.
        seconds: how long both took.
        error: what was raised, in words; None when nothing was.
    """

    tier: str
    model: str
    response: Response | None
    verdict: Verdict | None
    cost: int | None
    seconds: float
    error: str | None = None


class CascadeResult(msgspec.Struct, frozen=True, kw_only=True):
    """The answer that counts, and how it was come by.

    Attributes:
        response: the answer: the first that was good enough, else the best there was.
        model: the model that gave it.
        cost: picodollars of all attempts and judges; None when one of them is unknown.
        accepted: whether the answer was good enough.
        ended: why there was no further attempt: `accepted`, `budget`, `attempts`, `deadline`, `stream`, `highest tier`.
        start: why the cascade began where it did.
        attempts: all of them, in order.
    """

    response: Response
    model: str
    cost: int | None
    accepted: bool
    ended: str
    start: str
    attempts: tuple[Attempt, ...]

    @property
    def dollars(self) -> float | None:
        """The cost in dollars."""
        return None if self.cost is None else self.cost / PICODOLLARS


def total_cost(attempts: Sequence[Attempt]) -> int | None:
    """Picodollars of all attempts; None when one of them is unknown."""
    total = 0
    for attempt in attempts:
        if attempt.cost is None:
            return None
        total += attempt.cost
    return total


def best(attempts: Sequence[Attempt]) -> Attempt | None:
    """The attempt whose answer counts: the best, of equals the last; None when nothing came."""
    answered = [attempt for attempt in attempts if attempt.response is not None and attempt.verdict is not None]
    return max(
        reversed(answered), key=lambda attempt: attempt.verdict.quality if attempt.verdict else 0.0, default=None
    )


class Escalations:
    """How often the answers of a tier would not do, by how much their questions asked for.

    Begins with the guess that it is a tenth for the easiest questions and six tenths for the hardest.
    """

    def __init__(self, tiers: int) -> None:
        self._tried = [[0.0] * _BINS for _ in range(tiers)]
        self._failed = [[0.0] * _BINS for _ in range(tiers)]
        self._lock = threading.Lock()

    def chance(self, tier: int, percentile: float) -> float:
        """How likely an answer of a tier will not do."""
        place = _bin(percentile)
        guess = 0.1 + 0.5 * percentile
        return (self._failed[tier][place] + _BELIEF * guess) / (self._tried[tier][place] + _BELIEF)

    def count(self, tier: int, percentile: float, *, failed: bool) -> None:
        """Take note of an answer."""
        place = _bin(percentile)
        with self._lock:
            self._tried[tier][place] += 1.0
            self._failed[tier][place] += float(failed)


def _bin(percentile: float) -> int:
    return min(_BINS - 1, max(0, int(percentile * _BINS)))


def cheapest_start(costs: Sequence[int | None], chances: Sequence[float], places: Sequence[int]) -> tuple[int, str]:
    """Where to begin so that the expected cost is least, given that the cascade ends with an answer that will do.

    Beginning at a tier costs its call and, as likely as its answer will not do, the best that follows. The last tier's
    answer counts whatever it is, so all beginnings end at the same quality, and only the cost tells them apart.

    Args:
        costs: picodollars expected of a call to each place.
        chances: how likely the answer of each place will not do.
        places: the tiers that may be asked, the cheapest first.

    Returns:
        The place, and why; the cheapest when a price is unknown.
    """
    first, least = places[-1], 0.0  # nothing follows the last
    for index in range(len(places) - 1, -1, -1):
        cost = costs[index]
        if cost is None:
            return places[0], "the cheapest first: a price is unknown"
        expected = cost + chances[index] * least
        if index == len(places) - 1 or expected <= least:
            first, least = places[index], expected
    if first == places[0]:
        return first, "the cheapest first: what it saves is more than it costs when it will not do"
    return first, f"at once: cheaper answers would fail too often ({chances[0]:.0%}) to be worth their price"
