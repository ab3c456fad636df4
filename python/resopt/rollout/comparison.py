"""One metric of two arms, watched without end: what it is in each, how far apart they are, and whether that is harm."""

from __future__ import annotations

from typing import Final

import msgspec

from resopt._core import MeanDifference, SequentialTest, Sketch
from resopt.errors import ConfigurationError
from resopt.rollout.saved import ArmState, Metric, TestState

METRICS: Final[tuple[Metric, ...]] = ("quality", "errors", "latency", "cost")

HARM_IS_HIGHER: Final = {"quality": False, "errors": True, "latency": True, "cost": True}

SPREAD: Final = {"quality": 0.1, "errors": 0.05, "latency": 0.05, "cost": 0.2}
"""Differences that the tests are tuned to: points of quality, errors and slow answers; cost relative to control's."""

SHARE: Final = {"quality": 1 / 2, "errors": 1 / 6, "latency": 1 / 6, "cost": 1 / 6}
"""How the chance of a false alarm is shared out, so that all metrics together keep to it."""

WARM_UP: Final = 100
"""Values per arm before a test first looks: it estimates variances."""

CERTAIN: Final = 0.05
"""Chance that an interval ever misses the truth."""

SETTLING: Final = 200
"""Control's first latencies, and costs, which say what is slow and what is dear."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one metric says.

    Attributes:
        metric: `quality` (mean score), `errors` (share), `latency` (share of answers slower than control's first P95)
            or `cost` (mean, relative to control's first).
        values: how many of control and treatment.
        control: mean of control; None without values.
        treatment: mean of treatment.
        difference: treatment minus control; None before the test looks.
        low: lower end of the always-valid 95 % interval of the difference: by bets, which hold for rare errors too; of
            `cost`, which has no bounds, by a normal approximation.
        high: upper end.
        p_value: always-valid p-value that there is no difference.
        p_harm: always-valid one-sided p-value that treatment does no harm.
    """

    metric: Metric
    values: tuple[int, int]
    control: float | None
    treatment: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float
    p_harm: float


class Comparison:
    """A `SequentialTest` of one metric, to see harm soon, and a `MeanDifference`, to say what is certain.

    Args:
        metric: which.
        split: per cent of all values that are treatment's.
    """

    __slots__ = ("certain", "metric", "test")

    def __init__(self, metric: Metric, split: float = 50.0) -> None:
        self.metric: Metric = metric
        self.test = SequentialTest(SPREAD[metric], warm_up=WARM_UP)
        self.certain = None if metric == "cost" else MeanDifference(split / 100)

    def add(self, value: float, *, treated: bool) -> None:
        """Count one value and look."""
        self.test.add(treated, value)
        if self.certain is not None:
            self.certain.add(treated, value)

    def holds(self, margin: float) -> bool:
        """Whether treatment is shown to be worse by less than `margin`: the interval of `figures` lies above."""
        return self.test.ready and self.certain is not None and self.certain.p_value(-margin) <= CERTAIN / 2

    def state(self) -> TestState:
        """What was counted, as JSON can hold it."""
        return TestState(self.test.state(), [] if self.certain is None else self.certain.state())

    def restore(self, state: TestState) -> None:
        """Go on where `state` left off.

        Raises:
            ConfigurationError: these numbers are no state.
        """
        self.test.restore(state.test)
        if self.certain is not None:
            self.certain.restore(state.certain)

    @property
    def p_harm(self) -> float:
        """Always-valid p-value that treatment does no harm."""
        return self.test.p_higher if HARM_IS_HIGHER[self.metric] else self.test.p_lower

    def figures(self) -> Figures:
        """What it says so far."""
        test = self.test
        counts, means, ready = test.counts, test.means, test.ready
        low, high = self._interval() if ready else (None, None)
        return Figures(
            metric=self.metric,
            values=counts,
            control=means[0] if counts[0] else None,
            treatment=means[1] if counts[1] else None,
            difference=test.difference if ready else None,
            low=low,
            high=high,
            p_value=test.p_value,
            p_harm=self.p_harm,
        )

    def _interval(self) -> tuple[float, float]:
        """The interval of the difference; values that wait for their pair may have moved the means out of it."""
        low, high = (self.test if self.certain is None else self.certain).interval(CERTAIN)
        return min(low, self.test.difference), max(high, self.test.difference)


class Arm:
    """Sums over the requests of one arm. Money in picodollars, latency in seconds.

    Attributes:
        requests: all that ended with an answer or an error.
        errors: those that ended with an error.
        priced: those whose cost is known.
        spent: what these cost together.
        latency: a sketch of the answers' latencies.
    """

    __slots__ = ("errors", "latency", "priced", "requests", "spent")

    def __init__(self) -> None:
        self.requests = self.errors = self.priced = self.spent = 0
        self.latency = Sketch()

    def state(self) -> ArmState:
        """The sums, as JSON can hold them."""
        return ArmState(self.requests, self.errors, self.priced, self.spent, self.latency.to_bytes())

    @classmethod
    def restored(cls, state: ArmState) -> Arm:
        """The sums that `state` gave."""
        arm = cls()
        arm.requests, arm.errors, arm.priced, arm.spent = state.requests, state.errors, state.priced, state.spent
        if min(arm.requests, arm.errors, arm.priced) < 0:
            raise ConfigurationError("the saved experiment counts less than nothing")
        arm.latency = Sketch.from_bytes(state.latency)
        return arm
