"""What an experiment has to say, as data and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from resopt.rollout.comparison import Figures

if TYPE_CHECKING:
    from resopt.rollout.comparison import Arm

_DOLLAR = 10**12
_NOTHING = "n/a"


class ArmFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One arm: requests, errors, P95 of the answers in seconds, and picodollars."""

    requests: int
    errors: int
    error_rate: float | None
    p95: float | None
    spent: int
    cost_per_request: float | None
    unknown_prices: int

    @classmethod
    def of(cls, sums: Arm) -> ArmFigures:
        """The figures of an arm's sums."""
        return cls(
            requests=sums.requests,
            errors=sums.errors,
            error_rate=sums.errors / sums.requests if sums.requests else None,
            p95=sums.latency.quantile(0.95),
            spent=sums.spent,
            cost_per_request=sums.spent / sums.priced if sums.priced else None,
            unknown_prices=sums.requests - sums.errors - sums.priced,
        )


class ExperimentResult(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment so far.

    Attributes:
        name: its name.
        stage: the stage that it switches.
        status: `running`, `passed`, `shipped` or `rolled_back`.
        reason: why it was rolled back.
        share: per cent of users that take part.
        arms: figures of `control` and `treatment`.
        metrics: the tests.
        units: users of control and of treatment.
        ratio_p: always-valid p-value that users were split as asked.
        ratio_broken: whether they were not: then nothing here can be trusted, and the ramp stands still.
        margin: the loss of quality that is acceptable.
    """

    name: str
    stage: str | None
    status: str
    reason: str
    share: float
    arms: dict[str, ArmFigures]
    metrics: tuple[Figures, ...]
    units: tuple[int, int]
    ratio_p: float
    ratio_broken: bool
    margin: float

    @property
    def verdict(self) -> str:
        """One line for people."""
        if self.ratio_broken:
            return "users were not split as asked (sample ratio mismatch): do not trust these figures"
        if self.status == "rolled_back":
            return f"rolled back: {self.reason}"
        quality = next(figures for figures in self.metrics if figures.metric == "quality")
        if quality.low is None or quality.high is None:
            return "quality: too few scores to say anything"
        if quality.low > -self.margin:
            return f"quality holds: it fell by less than {self.margin:.1%} if at all"
        if quality.high < 0:
            return f"quality fell, by {-quality.high:.1%} to {-quality.low:.1%}"
        return f"quality: undecided between {quality.low:+.1%} and {quality.high:+.1%} (margin {self.margin:.1%})"

    def to_dict(self) -> dict[str, Any]:
        """As plain data that JSON can hold, with the verdict."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {**plain, "verdict": self.verdict}

    def __str__(self) -> str:
        control, treatment = self.arms["control"], self.arms["treatment"]
        reason = f" ({self.reason})" if self.reason else ""
        lines = [
            f"Experiment {self.name}: {self.status}{reason}, {self.share:g} % of users take part",
            f"{'':<22}{'control':>14}{'treatment':>14}{'difference, 95 % interval':>32}{'p':>9}",
            _line("requests", f"{control.requests:,}", f"{treatment.requests:,}"),
            _line("users", f"{self.units[0]:,}", f"{self.units[1]:,}", "", f"{self.ratio_p:.3f}"),
            *(_metric(figures) for figures in self.metrics),
            _line("P95", _seconds(control.p95), _seconds(treatment.p95)),
            _line("cost per request", _dollars(control.cost_per_request), _dollars(treatment.cost_per_request)),
            self.verdict,
        ]
        return "\n".join(lines)


_WORDS = {"quality": "quality", "errors": "error rate", "latency": "slow answers", "cost": "relative cost"}


def _metric(figures: Figures) -> str:
    interval = ""
    if figures.difference is not None and figures.low is not None and figures.high is not None:
        interval = f"{figures.difference:+.1%} [{figures.low:+.1%}, {figures.high:+.1%}]"
    values = (_share(figures.control), _share(figures.treatment))
    return _line(_WORDS[figures.metric], *values, interval, f"{figures.p_value:.3f}" if interval else "")


def _line(name: str, control: str, treatment: str, interval: str = "", p_value: str = "") -> str:
    return f"{name:<22}{control:>14}{treatment:>14}{interval:>32}{p_value:>9}".rstrip()


def _share(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.1%}"


def _seconds(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.3g} s"


def _dollars(value: float | None) -> str:
    return _NOTHING if value is None else f"${value / _DOLLAR:.6f}"
