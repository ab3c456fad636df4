"""What is switched on for whom, and what becomes of it: rollout, experiments, guardrails and feedback of a pipeline.

A stage takes part in a request when the rollout, every experiment on it and the guardrails let it. What is switched off
is part of the key, so that no answer of one arm is served to the other.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from resopt.errors import BudgetExceededError, ConfigurationError
from resopt.quality.feedback import Feedback
from resopt.quality.guardrail import BUILT_IN, SWITCH, Guardrails
from resopt.quality.signals import Decision, Signal
from resopt.rollout.buckets import FEATURES, Rollout
from resopt.rollout.experiment import Experiment
from resopt.rollout.shadow import Shadow
from resopt.types import Response, Step, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    from resopt.accounts import Accounts
    from resopt.cache.admission import Plan
    from resopt.cache.response import ResponseCache
    from resopt.metrics.ledger import Ledger
    from resopt.metrics.record import Record
    from resopt.quality.scores import QualityReport
    from resopt.stage import Stage
    from resopt.stages import Stages
    from resopt.types import Request, Scope

    Vary: TypeAlias = Callable[[Request], tuple[str, ...]]

CACHE: Final = "cache"
BATCH: Final = "batch"
MEANING: Final = ("semantic", "rewrite")

_REMEMBERED: Final = 10_000
_ANSWERED: Final = frozenset({"hit", "miss", "coalesced", "bypass"})


def unit_of(request: Request) -> str:
    """Who or what is assigned: the user, else the tenant, else the question, so that one question has one answer."""
    scope = request.scope
    unit = scope.user or scope.tenant or request.question
    if unit is None and request.api == "openai.embeddings":  # of a batch, the first text stands for all
        given = request.body.get("input")
        unit = str(given[0] if isinstance(given, list | tuple) and given else given)
    return unit or ""


class Trials:
    """The switches of one optimizer.

    Args:
        accounts: where records are marked, and decisions looked up.
        stages: that may be switched.
        rollout: shares of users by feature.
        experiments: what is being tried out; also `Shadow`s, which switch nothing.
        quality: collects what is said of answers; a new `Feedback` when None.

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """

    def __init__(
        self,
        accounts: Accounts,
        stages: Sequence[Stage] = (),
        rollout: Rollout | None = None,
        experiments: Sequence[Experiment | Shadow] = (),
        quality: Feedback | None = None,
    ) -> None:
        if rollout is not None and not isinstance(rollout, Rollout):
            raise ConfigurationError(f"rollout must be a Rollout or None, not {type(rollout).__name__}")
        if quality is not None and not isinstance(quality, Feedback):
            raise ConfigurationError(f"quality must be a Feedback or None, not {type(quality).__name__}")
        self.shadows = tuple(each for each in experiments if isinstance(each, Shadow))
        self.experiments = tuple(each for each in experiments if isinstance(each, Experiment))
        for each in experiments:
            if not isinstance(each, Experiment | Shadow):
                raise ConfigurationError(f"experiments must be Experiments or Shadows, not {type(each).__name__}")
        self.rollout = rollout
        self.quality = Feedback() if quality is None else quality
        self._stages = tuple(str(getattr(stage, "name", "")) for stage in stages)
        self._names = (*MEANING, *self._stages)
        _check_guardrails(self.quality.guardrails, self._names)
        self._ledger, self._skip = accounts.ledger, accounts.skip
        self._cache: ResponseCache | None = None
        self._last: OrderedDict[tuple[str, bytes], tuple[float, Decision]] = OrderedDict()
        self._lock = threading.Lock()
        accounts.marks = self.marks if self.experiments else None
        accounts.watch = self.watch if self.watching else None
        for stage in stages:  # the quality of a router's tiers, by their names
            self._name_tiers(getattr(stage, "tiers", ()))

    def _name_tiers(self, tiers: Iterable[Any]) -> None:
        for tier in tiers:
            if (model := getattr(tier, "model", None)) is not None:
                self.quality.tiers.setdefault(model, tier.name)

    @property
    def active(self) -> bool:
        """Whether anything can be switched off."""
        return self.rollout is not None or bool(self.experiments) or self.quality.guardrails is not None

    @property
    def watching(self) -> bool:
        """Whether anybody wants to see records."""
        return bool(self.experiments) or self.quality.retries is not None

    @property
    def switch(self) -> Callable[[str, Request], bool] | None:
        """`enabled`, or None when nothing can be switched off."""
        return self.enabled if self.active else None

    def over(self, cache: ResponseCache, stages: Stages) -> ResponseCache:
        """The cache that this pipeline uses: no answer of one arm is in it for the other."""
        if stages.policy or self.active:
            cache = cache.under(stages.policy, self._varying(stages.vary))
        if self.active:
            cache.allowed = self.enabled
        self._cache = cache
        meaning = () if cache.meaning is None else MEANING
        self._warn_of_idle_names((CACHE, BATCH, *meaning, *self._stages))
        return cache

    def _warn_of_idle_names(self, stages: Sequence[str]) -> None:
        """Warn of features and stages that are named and that nothing here goes by: they may be misspelt."""
        known = {name for stage in stages for name in (stage, FEATURES.get(stage, stage))}
        named = () if self.rollout is None else self.rollout.percentages
        idle = [f"the rollout's {name!r}" for name in named if name not in known]
        idle += [
            f"the stage {each.stage!r} of the experiment {each.name!r}"
            for each in self.experiments
            if each.stage is not None and each.stage not in stages
        ]
        if idle:
            import warnings

            known_names = ", ".join(sorted(known))
            message = f"{', '.join(idle)} switches nothing in this pipeline, which has {known_names}"
            warnings.warn(message, RuntimeWarning, stacklevel=4)

    @property
    def keeps_out_of_batches(self) -> bool:
        """Whether anybody may be asked one after the other where others are asked in batches."""
        rollout = self.rollout
        named = rollout is not None and not {BATCH, FEATURES[BATCH]}.isdisjoint(rollout.percentages)
        return named or any(experiment.stage == BATCH for experiment in self.experiments)

    def report(self) -> QualityReport | None:
        """What was said of the answers; None when nothing was."""
        report = self.quality.report()
        return report if report.said else None

    def _varying(self, others: Vary | None) -> Vary | None:
        """What keys vary by: what is switched off, and what the stages themselves say."""
        if not self.active or others is None:
            return self.vary if self.active else others
        return lambda request: (*self.vary(request), *others(request))

    def uncached(self, request: Request) -> bool:
        """Whether the cache is switched off for a request."""
        return not self.enabled(CACHE, request)

    def blind(self, request: Request) -> bool:
        """The same where nothing may be switchable at all."""
        return self.active and self.uncached(request)

    def enabled(self, stage: str, request: Request) -> bool:
        """Whether a stage, by name, takes part in a request."""
        unit = unit_of(request)
        if self.rollout is not None and not self.rollout.switches(stage, unit):
            return False
        for experiment in self.experiments:
            if experiment.stage == stage and not experiment.treats(unit):
                return False
        guardrails = self.quality.guardrails
        return guardrails is None or guardrails.allows(stage, request.scope.namespace, unit)

    def instead(self, request: Request, plan: Plan | None, error: BaseException) -> Response | None:
        """What may be served in place of a call that a budget forbids: an answer past its time, where both allow it."""
        if plan is None or not isinstance(error, BudgetExceededError) or error.over != "stale" or self._cache is None:
            return None
        return self._cache.stale(request, plan)

    def vary(self, request: Request) -> tuple[str, ...]:
        """What of the stages is switched off for a request, for its key."""
        return tuple(f"-{name}" for name in self._names if not self.enabled(name, request))

    def marks(self, request: Request) -> tuple[Step, ...]:
        """The steps that say in which arm of which experiment a request is."""
        unit = unit_of(request)
        steps = (experiment.step(unit) for experiment in self.experiments)
        return tuple(step for step in steps if step is not None)

    def watch(self, request: Request, record: Record) -> None:
        """Take note of a record: experiments count it, and it may say without words that an answer was no good."""
        for experiment in self.experiments:
            experiment.observe(record)
        if self.quality.retries is None or record.outcome not in _ANSWERED:
            return
        decision = Decision.of_record(record, request.scope)
        models = [step.action for step in record.stages if step.stage == "route"]
        if len(models) > 1 and record.outcome in ("miss", "bypass"):
            self.quality.implied(_by(decision, models[0]), "escalation")
        if request.scope.user and record.key is not None:
            self._look_for_a_retry((record.scope, record.key), decision, self.quality.retries)

    def feedback(self, which: Response | str | Any, scope: Scope | None, said: dict[str, Any]) -> tuple[Signal, ...]:
        """Say how good an answer was; a thumb down takes it out of the cache, and bars questions that led to it.

        Args:
            which: the response, what a wrapped client returned (a stream once it has ended), or its trace, or the
                `trace.id`, of one of the ledger's last records.
            scope: whose request it was, where the ledger may have forgotten it.
            said: `thumbs` ("up", "down"), `rating` (1 to 5), `accepted`, `task_success` (bools), `score` (a judge's, 0
                to 1, with the `judge`'s name, and the `baseline`'s score for the same question). What is said again
                takes the place of what was said before; experiments and guardrails count the first voice alone.

        Raises:
            ConfigurationError: nothing is known of that id, or nothing of this kind can be said.
        """
        decision = _decision(which, self._ledger, scope)
        signals = self.quality.give(decision, **said)
        if any(signal.kind == "thumbs" and not signal.value for signal in signals):
            self._evict(decision, which)
        for experiment in self.experiments if signals else ():
            try:
                experiment.score(decision.steps, signals[0].value, decision.id)
            except Exception as error:  # noqa: BLE001 - whoever is told of a change may fail: the others are told too
                self._skip("experiment", error)
        return signals

    def _evict(self, decision: Decision, which: Any) -> None:
        """Take an answer out of the cache, and bar the pair of questions where it was found by its meaning."""
        if self._cache is None:
            return
        report = getattr(self._cache, "report_bad_hit", None)
        if report is not None:
            with suppress(ConfigurationError):  # it knows nothing of this one
                report(which if isinstance(which, Response) else decision.id)
        if decision.key is not None:
            self._cache.invalidate(key=decision.key)

    def _look_for_a_retry(self, asked: tuple[str, bytes], decision: Decision, within: float) -> None:
        """The same user asks the same again soon: the last answer was not good enough."""
        now = time.monotonic()
        with self._lock:
            before = self._last.pop(asked, None)
            self._last[asked] = (now, decision)
            if len(self._last) > _REMEMBERED:
                self._last.popitem(last=False)
        if before is not None and now - before[0] <= within:
            self.quality.implied(before[1], "retry")


def _check_guardrails(guardrails: Guardrails | None, names: Sequence[str]) -> None:
    """Refuse guardrails that would watch, and switch nothing."""
    for switch in () if guardrails is None else guardrails.switches:
        if switch not in BUILT_IN and switch not in names:
            known = ", ".join(sorted({*BUILT_IN, *SWITCH, *names}))
            raise ConfigurationError(f"the guardrail {switch!r} switches nothing here; what can be switched: {known}")


def _decision(which: Any, ledger: Ledger, scope: Scope | None) -> Decision:
    name = which if isinstance(which, str) else _id_of(which)
    if not isinstance(name, str):
        raise ConfigurationError(f"feedback is on a response, or on its trace.id, not on {type(which).__name__}")
    found = ledger.find(name) if name else None
    scope = found[1] if scope is None and found is not None else scope
    if isinstance(which, Response):
        return Decision.of(which, scope)
    if found is None:
        raise ConfigurationError(
            f"nothing is known of the decision {name!r}: the ledger holds the last records only; give the response"
        )
    return Decision.of_record(found[0], scope)


def _id_of(which: Any) -> str | None:
    """The id of what was handed out: a response, a stream, a trace, or an object of a wrapped client's library."""
    for trace in (which, getattr(which, "trace", None), getattr(which, "_resopt", None)):
        if isinstance(trace, Trace):
            return trace.id
    return None


def _by(decision: Decision, model: str) -> Decision:
    """The decision of the model that was asked first."""
    return Decision(id=decision.id, model=model, mechanism="route", namespace=decision.namespace, steps=decision.steps)
