"""A/B comparison of any stage of the pipeline that may be looked at all the time, and that ends itself when it harms.

Everything comes from the ledger's records: the pipeline puts `Step("experiment", arm, name)` on the requests of units
that take part. Tests are always valid (`_core.SequentialTest`), so the more often one looks the sooner harm is seen,
and not the more often it is seen where there is none. They take requests for independent: where few users make most of
them, believe the intervals less.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resopt._core import ratio_evidence
from resopt.errors import ConfigurationError
from resopt.once import Once
from resopt.ramp import check_between, check_callable, check_count, check_ramp
from resopt.rollout.buckets import BUCKETS, arm, bucket
from resopt.rollout.comparison import METRICS, SETTLING, SHARE, Arm, Comparison
from resopt.rollout.result import ArmFigures, ExperimentResult
from resopt.rollout.saved import VERSION, Options, Saved, Status
from resopt.sealed import seal, unseal
from resopt.types import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

ARMS: Final = ("control", "treatment")

EXPERIMENT: Final = "experiment"
"""The stage of the steps by which records tell their arm."""

SUSPECT: Final = math.log(1000)
"""Log evidence from which a ratio of arms counts as broken: a false alarm in 1,000 experiments."""

_PUBLIC: Final = ("name", "stage", "salt", "split", "ramp", "per_step", "alpha", "margin")

UNITS: Final = 20_000
"""Units held in mind to count each once; later ones do not count for the ratio."""


class Experiment:
    """One stage switched on for part of the users and compared with going without it.

    Args:
        name: in records and reports.
        stage: the stage of the pipeline that is on in the treatment arm alone; None when your own code asks `treats`.
        salt: a new one shuffles all users anew.
        split: per cent of those who take part that are treated.
        ramp: per cent of all users that take part, step by step.
        per_step: answers of each arm before the next step.
        alpha: chance that a treatment which harms nothing is ever rolled back.
        margin: the loss of quality that is acceptable, in points of 1.
        ship: whether to switch the stage on for everyone once it has passed.
        on_change: called with the experiment when its status or share has changed.

    Attributes:
        status: see `Status`.
        reason: why it was rolled back, or empty.

    Raises:
        ConfigurationError: an option makes no sense.
    """

    def __init__(
        self,
        name: str,
        *,
        stage: str | None = None,
        salt: str = "",
        split: float = 50.0,
        ramp: Sequence[float] = (5, 25, 50, 100),
        per_step: int = 500,
        alpha: float = 0.05,
        margin: float = 0.02,
        ship: bool = False,
        on_change: Callable[[Experiment], Any] | None = None,
    ) -> None:
        _check(name, stage, salt, split, ship)
        check_count("per_step", per_step)
        check_between("alpha", alpha, 0, 1)
        check_between("margin", margin, 0, 1)
        check_callable("on_change", on_change)
        self.name, self.stage, self.salt, self.split = name, stage, salt, split
        self.ramp, self.per_step, self.alpha, self.margin = check_ramp(ramp), per_step, alpha, margin
        self.status: Status = "running"
        self.reason = ""
        self._ship, self._on_change = ship, on_change
        self._step = 0
        self._step_began = (0, 0)
        self._arms = (Arm(), Arm())
        self._comparisons = {metric: Comparison(metric, split) for metric in METRICS}
        self._slow = self._dear = 0.0
        self._early_costs: list[int] = []
        self._units: dict[str, int] = {}
        self._ratio = 0.0
        self._counted = Once()
        self._lock = threading.RLock()
        self._steps = tuple(Step(EXPERIMENT, each, name) for each in ARMS)

    @property
    def share(self) -> float:
        """Per cent of all users that take part now."""
        return {"rolled_back": 0.0, "shipped": 100.0}.get(self.status, self.ramp[self._step])

    def assign(self, unit: str) -> str | None:
        """`control` or `treatment` of a unit (a user, mostly); None when it does not take part."""
        if self.status in ("rolled_back", "shipped"):
            return None
        if bucket(self.name, unit, self.salt) >= round(self.share * BUCKETS / 100):
            return None
        return ARMS[arm(self.name, unit, self.salt) < round(self.split * BUCKETS / 100)]

    def treats(self, unit: str) -> bool:
        """Whether what is tried out is on for a unit."""
        return self.status == "shipped" or self.assign(unit) == "treatment"

    def step(self, unit: str) -> Step | None:
        """What marks the records of a unit; None when it does not take part."""
        assigned = self.assign(unit)
        return None if assigned is None else self._steps[assigned == "treatment"]

    def observe(self, record: Any) -> None:
        """Count one record of the ledger, if it is of this experiment, and look at all metrics."""
        assigned = arm_of(record.stages, self.name)
        if assigned is None or record.outcome in ("cancelled", "background"):
            return
        treated = assigned == "treatment"
        with self._lock:
            self._count_unit(record.scope, treated=treated)
            into, failed = self._arms[treated], record.outcome == "error"
            into.requests += 1
            into.errors += failed
            self._comparisons["errors"].add(float(failed), treated=treated)
            if not failed:
                self._count_latency(record.latency, treated=treated)
                self._count_cost(record.cost, treated=treated)
            self._look()

    def score(self, steps: Iterable[Step], score: float, decision: str = "") -> None:
        """Count the quality, 0 to 1, of an answer with these steps (`trace.steps`), if it is of this experiment.

        Of several voices on one decision (`trace.id`) the first counts; without an id each does.

        Raises:
            ConfigurationError: the score lies outside 0 to 1.
        """
        if not 0 <= score <= 1:
            raise ConfigurationError(f"a score must lie between 0 and 1, not {score!r}")
        assigned = arm_of(steps, self.name)
        if assigned is not None:
            with self._lock:
                if self._counted.first(decision):
                    self._comparisons["quality"].add(score, treated=assigned == "treatment")
                    self._look()

    def ship(self) -> None:
        """Switch it on for everyone."""
        self._change("shipped")

    def roll_back(self, reason: str) -> None:
        """Switch it off for everyone."""
        self._change("rolled_back", reason)

    def result(self) -> ExperimentResult:
        """What there is to say so far."""
        with self._lock:
            return ExperimentResult(
                name=self.name,
                stage=self.stage,
                status=self.status,
                reason=self.reason,
                share=self.share,
                arms={each: ArmFigures.of(sums) for each, sums in zip(ARMS, self._arms, strict=True)},
                metrics=tuple(self._comparisons[metric].figures() for metric in METRICS),
                units=self._counts(),
                ratio_p=min(1.0, math.exp(-self._ratio)),
                ratio_broken=self._ratio > SUSPECT,
                margin=self.margin,
            )

    def to_json(self) -> str:
        """All of it, options included, but `on_change`; with a checksum."""
        with self._lock:
            saved = Saved(
                options=Options(ship=self._ship, **{name: getattr(self, name) for name in _PUBLIC}),
                status=self.status,
                reason=self.reason,
                step=self._step,
                step_began=self._step_began,
                arms=(self._arms[0].state(), self._arms[1].state()),
                tests={metric: each.state() for metric, each in self._comparisons.items()},
                slow=self._slow,
                dear=self._dear,
                early_costs=self._early_costs,
                units=self._units,  # type: ignore[arg-type]
                ratio=self._ratio,
                counted=self._counted.names(),
            )
            return seal(saved, VERSION)

    @classmethod
    def from_json(cls, text: str | bytes, *, on_change: Callable[[Experiment], Any] | None = None) -> Experiment:
        """Go on where `to_json` left off.

        Raises:
            ConfigurationError: it is something else, damaged, or of another version.
        """
        saved = unseal(text, Saved, VERSION, "saved experiment")
        made = cls(**msgspec.structs.asdict(saved.options), on_change=on_change)
        made.status, made.reason = saved.status, saved.reason
        made._step, made._step_began = saved.step, saved.step_began
        made._arms = (Arm.restored(saved.arms[0]), Arm.restored(saved.arms[1]))
        for metric, state in saved.tests.items():
            made._comparisons[metric].restore(state)
        made._slow, made._dear, made._early_costs = saved.slow, saved.dear, saved.early_costs
        made._units, made._ratio = dict(saved.units), saved.ratio
        made._counted.restore(saved.counted)
        return made

    def _counts(self) -> tuple[int, int]:
        treated = sum(self._units.values())
        return len(self._units) - treated, treated

    def _count_unit(self, unit: str, *, treated: bool) -> None:
        """Count each unit once; requests that name nobody tell nothing about how units were split."""
        if not unit or unit in self._units or len(self._units) >= UNITS:
            return
        self._units[unit] = int(treated)
        self._ratio = max(self._ratio, ratio_evidence(*self._counts(), self.split / 100))

    def _count_latency(self, latency: float, *, treated: bool) -> None:
        """Slow is what exceeds control's P95 over its first answers, which then are not counted themselves."""
        sketch = self._arms[treated].latency
        sketch.add(latency)
        if self._slow:
            self._comparisons["latency"].add(float(latency > self._slow), treated=treated)
        elif not treated and sketch.count >= SETTLING:
            self._slow = sketch.quantile(0.95) or 0.0

    def _count_cost(self, cost: int | None, *, treated: bool) -> None:
        if cost is None:
            return
        into = self._arms[treated]
        into.priced += 1
        into.spent += cost
        if self._dear:
            self._comparisons["cost"].add(cost / self._dear, treated=treated)
        elif not treated:
            self._early_costs.append(cost)
            if len(self._early_costs) >= SETTLING:
                self._dear = sum(self._early_costs) / len(self._early_costs)
                self._early_costs = [] if self._dear else self._early_costs[SETTLING // 2 :]

    def _look(self) -> None:
        """Roll back on harm; go on to the next step when this one has been long enough. The lock is held."""
        if self.status not in ("running", "passed"):
            return
        for metric, comparison in self._comparisons.items():
            if comparison.p_harm <= self.alpha * SHARE[metric]:
                control, treatment = comparison.test.means
                self._change("rolled_back", f"{metric}: {treatment:.3g} against {control:.3g} in control")
                return
        since = [sums.requests - began for sums, began in zip(self._arms, self._step_began, strict=True)]
        if self.status == "running" and min(since) >= self.per_step and self._ratio <= SUSPECT:
            if self._step + 1 < len(self.ramp):
                self._step += 1
                self._step_began = (self._arms[0].requests, self._arms[1].requests)
                self._tell()
            elif self._comparisons["quality"].holds(self.margin):  # where nobody gave scores it does not
                self._change("shipped" if self._ship else "passed")

    def _change(self, status: Status, reason: str = "") -> None:
        with self._lock:
            self.status, self.reason = status, reason
            if status == "rolled_back":
                import logging

                logging.getLogger("resopt").warning("experiment %s is rolled back: %s", self.name, reason)
            self._tell()

    def _tell(self) -> None:
        if self._on_change is not None:
            self._on_change(self)


def arm_of(steps: Iterable[Step], name: str) -> str | None:
    """The arm that a request with these steps was in; None when it took no part in that experiment."""
    for step in steps:
        if step.stage == EXPERIMENT and step.reason == name:
            return step.action if step.action in ARMS else None
    return None


def _check(name: object, stage: object, salt: object, split: object, ship: object) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"an experiment's name must be a str that is not empty, not {name!r}")
    if stage is not None and (not isinstance(stage, str) or not stage):
        raise ConfigurationError(f"stage must be the name of a stage or None, not {stage!r}")
    if not isinstance(salt, str):
        raise ConfigurationError(f"salt must be a str, not {type(salt).__name__}")
    if type(ship) is not bool:
        raise ConfigurationError(f"ship must be True or False, not {ship!r}")
    check_between("split", split, 0, 100)
