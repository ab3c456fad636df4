"""One pass over logged traffic: the cache and ledger as configured, and beside them the same with one thing changed.

The cache is the real one, under a clock that shows the time of the row. What it is compared with (no freshness rules,
exact matching, no limits) are bare stores with the same budgets: they count, they answer nobody.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from resopt._core import Digest, ManualClock, Sketch
from resopt.cache.admission import Plan, unfit
from resopt.cache.memory import Cache
from resopt.cache.response import ResponseCache
from resopt.cli.traffic import Ask, BadRow, Stand, TrafficError
from resopt.errors import UnkeyableError
from resopt.key import Matching, RequestKey
from resopt.metrics.ledger import Ledger
from resopt.metrics.report import Latency, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from resopt.metrics.prices import PriceBook
    from resopt.types import Response, Scope

Treatment = Literal["bypassed", "kept for the user alone", "kept briefly"]
"""What the freshness rules did with a question."""

_SHOWN_BAD_ROWS = 20
_TICK = 256


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the cache of a replay is set up: the options of the command."""

    ttl: float | None = 3600.0
    max_size: int | None = 1000
    max_bytes: str | None = None
    matching: Matching = "folded"
    freshness: bool = True
    answer_tokens: int = 200


class RuleFigures(msgspec.Struct, kw_only=True):
    """What one rule did: the rows it met, and the hits lost by it against the same cache without rules."""

    rule: str
    treatment: Treatment
    rows: int = 0
    hits_lost: int = 0


class Freshening(msgspec.Struct, frozen=True, kw_only=True):
    """What freshness took away.

    Attributes:
        rows: rows that met a rule.
        hits_without: hits of the same cache without rules.
        hits_lost: its hits that were none here, whatever the reason.
        hits_gained: hits here that were none there, because what the rules kept out left room.
        hits_lost_to_room: lost hits on rows that met no rule: other entries were in the cache.
        rules: by rule, the costliest first.
    """

    rows: int
    hits_without: int
    hits_lost: int
    hits_gained: int
    hits_lost_to_room: int
    rules: tuple[RuleFigures, ...]


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay found.

    Attributes:
        settings: what was replayed with.
        rows: rows that were used.
        bad_rows: rows that were not, with `bad` naming the first of them.
        out_of_order: rows earlier than one before them; the clock stood still.
        window: seconds from the first row to the last.
        hits: rows answered from the cache; `exact_hits` in the same spelling, `folded_hits` in another.
        exact_only_hits: hits of the same cache with exact matching; None when that is what was replayed.
        unlimited_hits: hits of the same cache without limits of time and size: what no setting can exceed.
        freshness: what the rules took away; None when they were off.
        unlogged_answers: misses whose row held no answer; a stand-in was stored.
        estimated_usages: misses whose row held no tokens; they were estimated.
        not_admitted: answers that were not good enough to keep, by reason.
        evictions: entries dropped for room.
        expirations: entries dropped for age.
        latency_rows: rows that said how long the answer took; the two latencies are about these.
        latency: with the cache (a hit takes what looking it up took here).
        baseline_latency: as logged.
        seconds: what the replay itself took.
        report: the ledger's report.
    """

    settings: Settings
    rows: int
    bad_rows: int
    bad: tuple[BadRow, ...]
    out_of_order: int
    window: float
    hits: int
    exact_hits: int
    folded_hits: int
    exact_only_hits: int | None
    unlimited_hits: int
    freshness: Freshening | None
    unlogged_answers: int
    estimated_usages: int
    not_admitted: dict[str, int]
    evictions: int
    expirations: int
    latency_rows: int
    latency: Latency
    baseline_latency: Latency
    seconds: float
    report: Report

    def share(self, hits: int) -> float:
        """So many hits as a share of the rows."""
        return hits / self.rows if self.rows else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the rates worked out."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        rates = {
            "hit_rate": self.share(self.hits),
            "exact_only_hit_rate": None if self.exact_only_hits is None else self.share(self.exact_only_hits),
            "unlimited_hit_rate": self.share(self.unlimited_hits),
            "hit_rate_without_freshness": None if self.freshness is None else self.share(self.freshness.hits_without),
        }
        return {**rates, **plain, "report": self.report.to_dict()}


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
        self.cache = ResponseCache(
            settings.ttl,
            settings.max_size,
            settings.max_bytes,
            settings.matching,
            freshness=settings.freshness,
            clock=self.clock,
            wall_clock=lambda: self.now,
        )
        self.ledger = Ledger(prices, clock=lambda: self.now, keep=0, cache=self.cache.figures)
        self.stand = Stand(settings.answer_tokens)
        self.exact = Shadow(settings, self.clock) if settings.matching == "folded" else None
        self._exact_key = RequestKey(matching="exact")
        self.unfreshened = Shadow(settings, self.clock) if settings.freshness else None
        self._seen: set[bytes] = set()
        self._unlimited = self._rows = self._out_of_order = self._bad = 0
        self._hits = {"exact": 0, "folded": 0}
        self._shown: list[BadRow] = []
        self._rules: dict[tuple[str, Treatment], RuleFigures] = {}
        self._lost = self._gained = self._lost_to_room = 0
        self._first: float | None = None
        self._latency, self._baseline_latency = Sketch(), Sketch()

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
        plan = self.cache.plan(request, key)
        if found is None:
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
        hits = self._hits["exact"] + self._hits["folded"]
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
        )
