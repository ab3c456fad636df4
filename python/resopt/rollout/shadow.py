"""Paired comparison in the shadow: some questions are answered both ways, and nobody sees the second answer.

A pair tells more than two answers to different questions: about a third as many are needed (`rollout.plan`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec

from resopt._core import MeanDifference, SequentialTest
from resopt.errors import ConfigurationError
from resopt.ramp import check_between, check_callable, is_number
from resopt.rollout.buckets import BUCKETS, bucket
from resopt.rollout.comparison import CERTAIN, WARM_UP
from resopt.rollout.plan import pairs_needed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from resopt.types import Request, Response, Usage

_SPREAD = 0.1


class ShadowResult(msgspec.Struct, frozen=True, kw_only=True):
    """A paired comparison so far: pairs by verdict, what failed, and the always-valid interval of the difference.

    `holds` is whether the whole interval lies above minus the margin: of a candidate that always ties that takes about
    6 pairs over the margin, 300 for two points.
    """

    name: str
    pairs: int
    wins: int
    ties: int
    losses: int
    no_verdict: int
    failed: int
    difference: float | None
    low: float | None
    high: float | None
    p_harm: float
    holds: bool
    needed: int | None

    @property
    def matched_or_beat(self) -> float | None:
        """Share of pairs in which the candidate's answer was at least as good."""
        return (self.wins + self.ties) / self.pairs if self.pairs else None


class Shadow:
    """Answers a share of questions a second time, by what is tried out, and has the two compared.

    With a stage and a judge it is for the pipeline: `AsyncOptimizer(provider, stages=[prompt], experiments=[Shadow(
    "shorter", stage="prompt", judge=judge)])`. Behind the back of who asked, a share of the answers that come from the
    provider is then asked for once more, with the stage switched the other way: off where the user had it on. With the
    stage is the candidate, without it the baseline, whichever of the two the user got. By itself, call `compare`.

    Args:
        name: of what is tried out.
        stage: the stage of the pipeline that makes the difference.
        judge: a `Judge`, or what has its `compare`.
        share: per cent of questions that are answered twice.
        margin: the loss of quality that is acceptable, in points of 1.
        bill: called as `bill("shadow", model, usage)` for each second answer: `ledger.background` does. A pipeline
            writes down second answers and calls of a `Judge` itself.

    Raises:
        ConfigurationError: an option makes no sense.
    """

    def __init__(
        self,
        name: str,
        *,
        stage: str | None = None,
        judge: Any = None,
        share: float = 5.0,
        margin: float = 0.02,
        bill: Callable[[str, str, Usage | None], Any] | None = None,
    ) -> None:
        given: Any = name
        if not isinstance(given, str) or not given:
            raise ConfigurationError(f"a shadow's name must be a str that is not empty, not {name!r}")
        if not is_number(share) or not 0 <= share <= 100:
            raise ConfigurationError(f"share must be per cent, 0 to 100, not {share!r}")
        check_between("margin", margin, 0, 1)
        check_callable("bill", bill)
        if (stage is None) != (judge is None) or (judge is not None and not callable(getattr(judge, "compare", None))):
            raise ConfigurationError("a shadow of a pipeline needs the stage and a judge with compare(); else neither")
        self.name, self.stage, self.judge, self.margin = name, stage, judge, margin
        self._buckets = round(share * BUCKETS / 100)
        self._bill = bill
        self._test = SequentialTest(_SPREAD, warm_up=WARM_UP, paired=True)
        self._certain = MeanDifference(paired=True)
        self._counts = {"win": 0, "tie": 0, "loss": 0, "no verdict": 0, "failed": 0}
        self._lock = threading.Lock()

    def samples(self, request: Request, response: Response) -> bool:
        """Whether this answer is to be compared: by chance, but the same for the same question or decision."""
        unit = request.question or response.trace.id
        return bucket(self.name, unit, "shadow") < self._buckets

    async def compare(
        self, request: Request, response: Response, ask: Callable[[Request], Awaitable[Response]], judge: Any
    ) -> float | None:
        """Answer `request` by `ask` as well and have `judge` compare; never raises but when cancelled.

        Call it after `response` has gone out, in a task of its own. Second answers cost money: `share` bounds how many.

        Args:
            request: what was asked.
            response: what the user got.
            ask: asks what is tried out.
            judge: with `async compare(question, candidate, baseline)`, as `resopt.Judge` has.

        Returns:
            1.0 when the candidate won, 0.5 for a tie, 0.0 when it lost; None when nothing came of it.
        """
        if not self.samples(request, response):
            return None
        try:
            candidate = await ask(request)
            if self._bill is not None:
                self._bill("shadow", candidate.model, candidate.usage)
            verdict = await judge.compare(request.question or "", candidate.text, response.text)
        except Exception:  # noqa: BLE001 - what happens in the shadow hurts nobody
            self.failed()
            return None
        score: float | None = verdict.score
        self.pair(score, None if score is None else 1 - score)
        return score

    def failed(self) -> None:
        """Count a question whose second answer, or verdict, could not be had."""
        self._count("failed")

    def pair(self, candidate: float | None, baseline: float | None) -> None:
        """Count a pair of scores, 0 to 1, of the same question; None is no verdict."""
        if candidate is None or baseline is None or candidate != candidate or baseline != baseline:
            self._count("no verdict")
            return
        if not (0 <= candidate <= 1 and 0 <= baseline <= 1):
            raise ConfigurationError(f"scores must lie between 0 and 1, not {candidate!r} and {baseline!r}")
        for each in (self._test, self._certain):
            each.add(True, candidate - baseline)  # noqa: FBT003 - the arm of differences
        self._count("win" if candidate > baseline else "tie" if candidate == baseline else "loss")

    def result(self) -> ShadowResult:
        """What there is to say so far; `needed` is how many pairs would decide at the disagreement seen."""
        with self._lock:
            counts = dict(self._counts)
        wins, ties, losses = counts["win"], counts["tie"], counts["loss"]
        pairs = wins + ties + losses
        low, high = self._certain.interval(CERTAIN) if self._test.ready else (None, None)
        disagreement = (wins + losses) / pairs if pairs else 0.0
        return ShadowResult(
            name=self.name,
            pairs=pairs,
            wins=wins,
            ties=ties,
            losses=losses,
            no_verdict=counts["no verdict"],
            failed=counts["failed"],
            difference=self._test.difference if pairs else None,
            low=low,
            high=high,
            p_harm=self._test.p_lower,
            holds=self._test.ready and self._certain.p_value(-self.margin) <= CERTAIN / 2,
            needed=pairs_needed(self.margin, disagreement) if 0 < disagreement < 1 else None,
        )

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1
