"""Sums of what was said, by model, tier and mechanism, and what may be concluded from them.

Intervals hold for a look at a chosen moment (Wilson for shares and means of values between 0 and 1; the delta method on
the logarithm for ratios). To watch without end there are `Guardrails` and `Experiment`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from resopt.quality.signals import SATISFACTION

if TYPE_CHECKING:
    from collections.abc import Iterable

TARGET: Final = 0.9
"""The quality that optimizing must keep, as a share of the baseline's."""

Where: TypeAlias = tuple[str, str, str | None]
"""Model, tier and mechanism."""

_Z: Final = 1.959963984540054
"""Of a two-sided 95 % interval."""

_LEAST: Final = 2
"""Values from which an interval is given."""


class Mean(msgspec.Struct, frozen=True):
    """A mean of values between 0 and 1, with its 95 % interval; None without values."""

    count: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, count: float, total: float) -> Mean:
        """The mean of a count and a sum (Wilson's interval, which is never too narrow for values between 0 and 1)."""
        if not count:
            return cls(0)
        mean = min(1.0, max(0.0, total / count))
        wide = _Z * _Z / count
        middle = (mean + wide / 2) / (1 + wide)
        radius = _Z * math.sqrt(mean * (1 - mean) / count + wide / (4 * count)) / (1 + wide)
        return cls(int(count), mean, max(0.0, middle - radius), min(1.0, middle + radius))


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """Quality as a share of the baseline's, with its 95 % interval.

    Attributes:
        pairs: answers that were compared with the baseline's answer to the same question; 0 when two groups are.
        count: scores of the answers.
        baseline_count: scores of the baseline.
        ratio: None when the baseline's mean is zero, or there is none.
        low: lower end.
        high: upper end.
        target: what it should not fall below.
    """

    pairs: int
    count: int
    baseline_count: int
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    target: float = TARGET

    @property
    def holds(self) -> bool | None:
        """Whether the whole interval is above the target (True) or below (False); None when it is undecided."""
        if self.low is None or self.high is None:
            return None
        return True if self.low >= self.target else False if self.high < self.target else None


class Pairs:
    """Sums over pairs of scores: of an answer, and of the baseline's answer to the same question."""

    __slots__ = ("count", "cross", "ours", "ours_squared", "theirs", "theirs_squared")

    def __init__(self) -> None:
        self.count = 0
        self.ours = self.theirs = self.ours_squared = self.theirs_squared = self.cross = 0.0

    def add(self, ours: float, theirs: float, times: int = 1) -> None:
        """Count one pair; with `times=-1`, take it back."""
        self.count += times
        self.ours += times * ours
        self.theirs += times * theirs
        self.ours_squared += times * ours * ours
        self.theirs_squared += times * theirs * theirs
        self.cross += times * ours * theirs

    def merge(self, other: Pairs) -> None:
        """Count everything that `other` has counted."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def ratio(self) -> Ratio:
        """Mean of ours over mean of theirs."""
        n = self.count
        ends: tuple[float | None, float | None, float | None] = (None, None, None)
        if n >= _LEAST and self.theirs > 0 and self.ours > 0:
            mean, base = self.ours / n, self.theirs / n
            variance = max(0.0, self.ours_squared / n - mean * mean) / mean**2
            variance += max(0.0, self.theirs_squared / n - base * base) / base**2
            variance -= 2 * (self.cross / n - mean * base) / (mean * base)
            ends = _around(mean / base, max(0.0, variance) / (n - 1))
        return Ratio(pairs=n, count=n, baseline_count=n, ratio=ends[0], low=ends[1], high=ends[2])


class Sums:
    """What was said of the answers of one model, tier and mechanism: by kind, a count, a sum and a sum of squares."""

    __slots__ = ("by_kind", "pairs")

    def __init__(self) -> None:
        self.by_kind: dict[str, list[float]] = {}
        self.pairs = Pairs()

    def add(self, kind: str, value: float, times: int = 1) -> None:
        """Count a value; with `times=-1`, take it back."""
        sums = self.by_kind.setdefault(kind, [0.0, 0.0, 0.0])
        for place, part in enumerate((1.0, value, value * value)):
            sums[place] += times * part

    def total(self, *kinds: str) -> tuple[float, float, float]:
        """Count, sum and sum of squares over some kinds."""
        found = [self.by_kind[kind] for kind in kinds if kind in self.by_kind]
        return (sum(part[0] for part in found), sum(part[1] for part in found), sum(part[2] for part in found))


class QualityFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of one group of answers; `retries` and `escalations` are counts.

    `against_baseline` is over those that were compared with the baseline's answer to the same question.
    """

    name: str
    satisfaction: Mean
    task_success: Mean
    score: Mean
    retries: int
    escalations: int
    against_baseline: Ratio

    @classmethod
    def of(cls, name: str, sums: Iterable[Sums]) -> QualityFigures:
        """The figures over several sums."""
        parts = list(sums)

        def over(*kinds: str) -> Mean:
            totals = [part.total(*kinds) for part in parts]
            return Mean.of(sum(total[0] for total in totals), sum(total[1] for total in totals))

        pairs = Pairs()
        for part in parts:
            pairs.merge(part.pairs)
        return cls(
            name=name,
            satisfaction=over(*SATISFACTION),
            task_success=over("task_success"),
            score=over("score"),
            retries=over("retry").count,
            escalations=over("escalation").count,
            against_baseline=pairs.ratio(),
        )


class QualityReport(msgspec.Struct, frozen=True, kw_only=True):
    """Quality so far.

    Attributes:
        overall: of all answers.
        models: by the model that answered.
        tiers: by tier, where answers have one.
        mechanisms: by what avoided money; `(as asked)` for nothing.
        against_baseline: pairs where there are any, else optimized answers against those as asked.
        off: mechanisms that a guardrail holds back, as `mechanism` or `mechanism in namespace`.
    """

    overall: QualityFigures
    models: tuple[QualityFigures, ...]
    tiers: tuple[QualityFigures, ...]
    mechanisms: tuple[QualityFigures, ...]
    against_baseline: Ratio
    off: tuple[str, ...] = ()

    @property
    def said(self) -> bool:
        """Whether anything was said at all."""
        overall = self.overall
        counts = (overall.satisfaction.count, overall.task_success.count, overall.score.count)
        return any((*counts, overall.retries, overall.escalations, self.off))

    def to_dict(self) -> dict[str, Any]:
        """As plain data that JSON can hold."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def __str__(self) -> str:
        from resopt.quality.render import render

        return render(self)


def unpaired(ours: Iterable[Sums], theirs: Iterable[Sums]) -> Ratio:
    """The mean score of some answers over that of others, to other questions."""
    groups = []
    for group in (ours, theirs):
        totals = [sums.total("score") for sums in group]
        groups.append([sum(total[place] for total in totals) for place in range(3)])
    (n, total, squares), (base_n, base_total, base_squares) = groups
    ends: tuple[float | None, float | None, float | None] = (None, None, None)
    if n >= _LEAST and base_n >= _LEAST and total > 0 and base_total > 0:
        variance = 0.0
        for count, amount, square in ((n, total, squares), (base_n, base_total, base_squares)):
            mean = amount / count
            variance += max(0.0, square / count - mean * mean) / mean**2 / (count - 1)
        ends = _around((total / n) / (base_total / base_n), variance)
    return Ratio(pairs=0, count=int(n), baseline_count=int(base_n), ratio=ends[0], low=ends[1], high=ends[2])


def _around(ratio: float, variance: float) -> tuple[float, float, float]:
    spread = math.exp(_Z * math.sqrt(variance))
    return ratio, ratio / spread, ratio * spread
