"""What users and judges say of answers, kept by decision: the same voice counts once, and may change its mind."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from resopt.errors import ConfigurationError
from resopt.once import Once
from resopt.quality.guardrail import Guardrails
from resopt.quality.scores import Pairs, QualityFigures, QualityReport, Sums, Where, unpaired
from resopt.quality.signals import IMPLICIT, Decision, Kind, Signal, worth
from resopt.ramp import check_callable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

AS_ASKED: Final = "(as asked)"
OTHER: Final = "(other)"
CELLS: Final = 1_024
"""Models, tiers and mechanisms told apart: callers choose names of models."""


class _Said:
    """What one voice said of a decision, and where it counts."""

    __slots__ = ("baseline", "cell", "value")

    def __init__(self, cell: Sums, value: float, baseline: float | None) -> None:
        self.cell, self.value, self.baseline = cell, value, baseline


class Feedback:
    """Collects what is said of answers, and tells those who act on it. Safe to use from many threads.

    Args:
        guardrails: which mechanisms are held back when their quality falls.
        on_score: called with a decision and the first score of 0 to 1 that anybody gave it (judges and users alike,
            implicit signals not): once for each decision, as guardrails and experiments count them.
        on_thumbs_down: called with the decision when a user puts the thumb down on an answer that may be stored.
        retries: seconds within which the same question of the same user says that the last answer was no good; with
            it, escalations count too. None, the default, watches no requests.
        tiers: the router's names of models, by model.
        keep: voices held in mind, to count what one says again in place of what it said first; and decisions, to tell
            guardrails of each once.
        log: called with each `Signal`: to append it to a file, such as the ledger's export.
        clock: Unix time in seconds.

    Attributes:
        failed: how often each of those who are told (`log`, `on_score`, …) failed. The first time is logged; what was
            said counts all the same.

    Raises:
        ConfigurationError: an option makes no sense.
    """

    def __init__(
        self,
        *,
        guardrails: Guardrails | None = None,
        on_score: Iterable[Callable[[Decision, float], Any]] = (),
        on_thumbs_down: Callable[[Decision], Any] | None = None,
        retries: float | None = None,
        tiers: Mapping[str, str] | None = None,
        keep: int = 10_000,
        log: Callable[[Signal], Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if guardrails is not None and not isinstance(guardrails, Guardrails):
            raise ConfigurationError(f"guardrails must be Guardrails or None, not {type(guardrails).__name__}")
        for name, told in (("log", log), ("on_thumbs_down", on_thumbs_down)):
            check_callable(name, told)
        self.guardrails = guardrails
        self.failed: dict[str, int] = {}
        self.on_score = list(on_score)
        self.on_thumbs_down = on_thumbs_down
        self.retries = retries
        self.tiers = dict(tiers or {})
        self._log, self._clock, self._keep = log, clock, keep
        self._cells: dict[Where, Sums] = {}
        self._pairs = Pairs()
        self._said: OrderedDict[tuple[str, str], _Said] = OrderedDict()
        self._watched = Once(keep)
        self._lock = threading.Lock()

    def give(
        self,
        decision: Decision,
        *,
        thumbs: str | None = None,
        rating: float | None = None,
        accepted: bool | None = None,
        task_success: bool | None = None,
        score: float | None = None,
        baseline: float | None = None,
        judge: str = "",
    ) -> tuple[Signal, ...]:
        """Say something of a decision; what is said again of the same one takes the place of what was said before.

        Args:
            decision: whose answer it was; one without an id is counted each time.
            thumbs: `up` or `down`.
            rating: 1 to 5.
            accepted: whether the user took the answer as it was.
            task_success: whether it did what the user wanted done.
            score: a judge's, 0 to 1; NaN is no verdict and counts nothing.
            baseline: beside `score`, that of the baseline's answer to the same question. A score that is said again
                without one is compared with the one given before.
            judge: whose, with its version.

        Raises:
            ConfigurationError: nothing was said, or what is none of these.
        """
        said = worth(thumbs, rating, accepted, task_success, score)
        base = None if baseline is None else worth(None, None, None, None, baseline).get("score")
        if baseline is not None and score is None:
            raise ConfigurationError("a baseline is that of a score: give both")
        signals = tuple(
            self._count(decision, kind, value, judge, base if kind == "score" else None) for kind, value in said.items()
        )
        if said.get("thumbs") == 0.0 and decision.key is not None and self.on_thumbs_down is not None:
            self._call("on_thumbs_down", self.on_thumbs_down, decision)
        for signal in signals:
            self._write(signal)
        self._tell(signals)
        return signals

    def implied(self, decision: Decision, kind: Kind) -> Signal:
        """Count an implicit signal: `retry` or `escalation`."""
        if kind not in IMPLICIT:
            raise ValueError(f"{kind} is said by someone: use give()")
        signal = self._count(decision, kind, 0.0)
        self._write(signal)
        return signal

    def pair(self, decision: Decision, score: float, baseline: float) -> None:
        """Count the scores of an answer and of the baseline's answer to the same question, both 0 to 1."""
        self.give(decision, score=score, baseline=baseline)

    def replay(self, signal: Signal) -> None:
        """Count a signal that was logged before, as it was; nobody is told."""
        self._count(signal.decision, signal.kind, signal.value, signal.judge, signal.baseline)

    def report(self) -> QualityReport:
        """What was said so far."""
        with self._lock:
            cells = dict(self._cells)
            optimized = [sums for where, sums in cells.items() if where[2] is not None]
            as_asked = [sums for where, sums in cells.items() if where[2] is None]
            ratio = self._pairs.ratio() if self._pairs.count else unpaired(optimized, as_asked)
            return QualityReport(
                overall=QualityFigures.of("all", cells.values()),
                models=_grouped(cells, 0, ""),
                tiers=tuple(figures for figures in _grouped(cells, 1, "") if figures.name),
                mechanisms=_grouped(cells, 2, AS_ASKED),
                against_baseline=ratio,
                off=() if self.guardrails is None else self.guardrails.held_back(),
            )

    def _count(
        self, decision: Decision, kind: Kind, value: float, judge: str = "", baseline: float | None = None
    ) -> Signal:
        """Count what was said in place of what the same voice said before, in all figures."""
        with self._lock:
            voice = (decision.id, f"{kind} {judge}")
            before = self._said.pop(voice, None) if decision.id else None
            said = _Said(self._cell(decision), value, baseline)
            if before is not None:
                said.baseline = before.baseline if baseline is None else baseline
                self._sum(kind, before, -1)
            self._sum(kind, said)
            if decision.id:
                self._said[voice] = said
                if len(self._said) > self._keep:
                    self._said.popitem(last=False)
        again = before is not None
        return Signal(
            kind=kind, value=value, ts=self._clock(), decision=decision, judge=judge, again=again, baseline=baseline
        )

    def _sum(self, kind: Kind, said: _Said, times: int = 1) -> None:
        """Count something said, or take it back, where it counts. The lock is held."""
        said.cell.add(kind, said.value, times)
        if said.baseline is not None:
            self._pairs.add(said.value, said.baseline, times)
            said.cell.pairs.add(said.value, said.baseline, times)

    def _write(self, signal: Signal) -> None:
        if self._log is not None:
            self._call("log", self._log, signal)

    def _tell(self, signals: tuple[Signal, ...]) -> None:
        """Tell those who watch without end: once of each decision, whoever speaks; they take nothing back."""
        if not signals:
            return
        decision, value = signals[0].decision, signals[0].value
        with self._lock:
            if not self._watched.first(decision.id):
                return
        if self.guardrails is not None:
            self._call("guardrails", self.guardrails.score, decision, value)
        for told in self.on_score:
            self._call("on_score", told, decision, value)

    def _call(self, name: str, told: Callable[..., Any], *args: Any) -> None:
        try:
            told(*args)
        except Exception:  # what was said is counted, and a full disk changes nothing about it
            with self._lock:
                count = self.failed[name] = self.failed.get(name, 0) + 1
            if count == 1:
                import logging

                logging.getLogger("resopt").exception("feedback: %s failed and is passed over", name)

    def _cell(self, decision: Decision) -> Sums:
        """The sums that a decision counts in. The lock is held."""
        tier = decision.tier or self.tiers.get(decision.model, "")
        where: Where = (decision.model, tier, decision.mechanism)
        cell = self._cells.get(where)
        if cell is None:
            if len(self._cells) >= CELLS:
                where = (OTHER, "", decision.mechanism)
            cell = self._cells.setdefault(where, Sums())
        return cell


def _grouped(cells: Mapping[Where, Sums], place: int, nothing: str) -> tuple[QualityFigures, ...]:
    groups: dict[str, list[Sums]] = {}
    for where, sums in cells.items():
        groups.setdefault(where[place] or nothing, []).append(sums)
    return tuple(QualityFigures.of(name, groups[name]) for name in sorted(groups))
