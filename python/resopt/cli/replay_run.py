"""One pass over logged traffic: the cache and ledger as configured, and beside them the same with one thing changed.

The cache is the real one, under a clock that shows the time of the row. What it is compared with (no freshness rules,
exact matching, no limits) are bare stores with the same budgets: they count, they answer nobody.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from resopt._core import Digest, ManualClock, Sketch
from resopt.cache.admission import Plan, unfit
from resopt.cache.memory import Cache
from resopt.cache.response import ResponseCache
from resopt.cli.replay_meaning import MeaningTally
from resopt.cli.replay_prompts import PromptTally
from resopt.cli.replay_result import Freshening, Replayed, RuleFigures, Settings, Treatment
from resopt.cli.traffic import Ask, BadRow, Stand, TrafficError
from resopt.errors import UnkeyableError
from resopt.key import RequestKey
from resopt.metrics.ledger import Ledger
from resopt.metrics.report import Latency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from resopt.metrics.prices import PriceBook
    from resopt.types import Response, Scope

_SHOWN_BAD_ROWS = 20
_TICK = 256


class Shadow:
    """Would-be hits of another configuration: a store of the same budgets that holds nothing but weights."""

    def __init__(self, settings: Settings, clock: ManualClock) -> None:
        self.hits = 0
        self._store = Cache(max_entries=settings.max_size, max_bytes=settings.max_bytes, ttl=settings.ttl, clock=clock)

    def visit(self, key: bytes | None, ttl: float | None, weight: int) -> bool:
        """Look one key up, and store it when it is not there and the answer is fit (`weight` above 0)."""
        if key is None:
            return False
        digest = Digest(key)
        if self._store.get(digest) is not None:
            self.hits += 1
            return True
        if weight:
            self._store.set(digest, True, ttl=ttl, weight=weight)
        return False


class Replay:
    """A replay under way: `run` it once.

    Args:
        settings: how the cache is set up.
        prices: what tokens cost.

    Raises:
        ConfigurationError: a setting makes no sense.
    """

    def __init__(self, settings: Settings, prices: PriceBook | None = None) -> None:
        self.settings = settings
        self.now = 0.0
        self.clock = ManualClock()
        self.cache = self._cache(settings)
        self.meaning = None if settings.semantic == "off" else MeaningTally()
        self.prompts = None if settings.prompts == "off" else PromptTally(settings.prompts)
        self.ledger = Ledger(prices, clock=lambda: self.now, keep=0, cache=self.cache.figures)
        self.stand = Stand(settings.answer_tokens)
        self.exact = Shadow(settings, self.clock) if settings.matching == "folded" else None
        self._exact_key = RequestKey(matching="exact")
        self.unfreshened = Shadow(settings, self.clock) if settings.freshness else None
        self._seen: set[bytes] = set()
        self._unlimited = self._rows = self._out_of_order = self._bad = 0
        self._hits = {"exact": 0, "folded": 0, "semantic": 0}
        self._shown: list[BadRow] = []
        self._rules: dict[tuple[str, Treatment], RuleFigures] = {}
        self._lost = self._gained = self._lost_to_room = 0
        self._first: float | None = None
        self._latency, self._baseline_latency = Sketch(), Sketch()

    def _cache(self, settings: Settings) -> ResponseCache:
        options: dict[str, Any] = {
            "ttl_seconds": settings.ttl,
            "max_size": settings.max_size,
            "max_bytes": settings.max_bytes,
            "matching": settings.matching,
            "freshness": settings.freshness,
            "clock": self.clock,
            "wall_clock": lambda: self.now,
        }
        if settings.semantic == "off":
            return ResponseCache(**options)
        from resopt.cache.semantic import SemanticCache

        return SemanticCache(profile=settings.semantic, audit_share=0, label_share=0, **options)

    def run(
        self, rows: Iterable[Ask | BadRow], *, strict: bool = False, on_progress: Callable[[], object] | None = None
    ) -> Replayed:
        """Replay every row.

        Raises:
            TrafficError: there was no usable row, or with `strict` one was bad.
        """
        started = perf_counter()
        for number, row in enumerate(rows):
            if on_progress is not None and not number % _TICK:
                on_progress()
            bad = row if isinstance(row, BadRow) else self._replay(row)
            if bad is not None:
                if strict:
                    raise TrafficError(f"line {bad.line}: {bad.reason}")
                self._bad += 1
                if len(self._shown) < _SHOWN_BAD_ROWS:
                    self._shown.append(bad)
        if not self._rows:
            reason = f"line {self._shown[0].line}: {self._shown[0].reason}" if self._shown else "it is empty"
            raise TrafficError(f"there is no row to replay: {reason}")
        return self._replayed(perf_counter() - started)

    def _replay(self, ask: Ask) -> BadRow | None:
        request = ask.request
        began = perf_counter()
        try:
            key = self.cache.key(request)
        except UnkeyableError as error:
            return BadRow(ask.line, str(error))
        self._tick(ask.ts)
        self._rows += 1
        found = self.cache.lookup(request, key)
        took = perf_counter() - began
        if self.meaning is not None:
            self.meaning.count(found, None if ask.response is None else ask.response.text)
        plan = self.cache.plan(request, key)
        if found is None:
            if self.prompts is not None:
                self.prompts.count(request)
            answer = self.stand.answer(ask, self.now)
            self.cache.admit(request, answer, plan)
        else:
            answer = found
        self._record(ask, plan, found, answer, took)
        self._compare(ask, key, plan, found is not None, 0 if unfit(answer) else answer.weight)
        return None

    def _tick(self, ts: float) -> None:
        """Move the clock to the time of the row, never back."""
        if self._first is None:
            self._first = self.now = ts
        elif ts < self.now:
            self._out_of_order += 1
        else:
            self.now = ts
            self.clock.set(ts - self._first)

    def _record(self, ask: Ask, plan: Plan, found: Response | None, answer: Response, took: float) -> None:
        scope: Scope = ask.request.scope
        upstream = ask.latency
        if found is not None:
            self._hits[found.trace.mechanism or "exact"] += 1
            self.ledger.record(
                outcome="hit",
                mechanism=found.trace.mechanism,
                model=ask.request.model,
                served_model=answer.model,
                usage=answer.usage,
                latency=took,
                upstream_latency=answer.latency if upstream is None else upstream,
                scope=scope,
                age=found.trace.age,
            )
        else:
            self.ledger.record(
                outcome="bypass" if plan.key is None else "miss",
                model=ask.request.model,
                served_model=answer.model,
                usage=answer.usage,
                latency=took + answer.latency,
                upstream_latency=answer.latency,
                scope=scope,
            )
        if upstream is not None:
            self._baseline_latency.add(upstream)
            self._latency.add(took if found is not None else took + upstream)

    def _compare(self, ask: Ask, key: bytes, plan: Plan, hit: bool, weight: int) -> None:
        own = plan.key
        if own is not None:
            self._unlimited += own in self._seen
            if weight:
                self._seen.add(own)
        if self.exact is not None:
            exact = None if own is None else self._exact_key(ask.request, personal=plan.decision.personal)
            self.exact.visit(exact, plan.ttl, weight)
        if self.unfreshened is None:
            return
        lost = self.unfreshened.visit(key, None, weight) and not hit
        figures = self._rule(plan, ask.request.scope.user)
        if figures is not None:
            figures.rows += 1
            figures.hits_lost += lost
        else:
            self._lost_to_room += lost
        self._lost += lost

    def _rule(self, plan: Plan, user: str | None) -> RuleFigures | None:
        decision = plan.decision
        if not decision.rule:
            return None
        treatment: Treatment = "kept briefly"
        if decision.action_for(user) == "bypass":
            treatment = "bypassed"
        elif decision.personal:
            treatment = "kept for the user alone"
        at = (decision.rule, treatment)
        figures = self._rules.get(at)
        if figures is None:
            figures = self._rules[at] = RuleFigures(rule=decision.rule, treatment=treatment)
        return figures

    def _freshness(self, hits: int) -> Freshening | None:
        if self.unfreshened is None:
            return None
        rules = sorted(self._rules.values(), key=lambda rule: (-rule.hits_lost, -rule.rows, rule.rule))
        return Freshening(
            rows=sum(rule.rows for rule in rules),
            hits_without=self.unfreshened.hits,
            hits_lost=self._lost,
            hits_gained=hits - self.unfreshened.hits + self._lost,
            hits_lost_to_room=self._lost_to_room,
            rules=tuple(rules),
        )

    def _replayed(self, seconds: float) -> Replayed:
        stats = self.cache.stats
        hits = sum(self._hits.values())
        return Replayed(
            settings=self.settings,
            rows=self._rows,
            bad_rows=self._bad,
            bad=tuple(self._shown),
            out_of_order=self._out_of_order,
            window=self.clock.now(),
            hits=hits,
            exact_hits=self._hits["exact"],
            folded_hits=self._hits["folded"],
            exact_only_hits=None if self.exact is None else self.exact.hits,
            unlimited_hits=self._unlimited,
            freshness=self._freshness(hits),
            unlogged_answers=self.stand.unlogged_answers,
            estimated_usages=self.stand.estimated_usages,
            not_admitted=stats.not_admitted,
            evictions=stats.evictions,
            expirations=stats.expirations,
            latency_rows=self._latency.count,
            latency=Latency.of([self._latency]),
            baseline_latency=Latency.of([self._baseline_latency]),
            seconds=seconds,
            report=self.ledger.summary(),
            semantic=None if self.meaning is None else self.meaning.figures(self._hits["semantic"]),
            prompts=None if self.prompts is None else self.prompts.savings(),
        )
