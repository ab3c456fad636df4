"""What a replay was set up with and what it found, as data that `--json` prints and `replay_table.py` shows."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from resopt.cli.replay_meaning import MeaningFigures, SemanticProfile
from resopt.cli.replay_prompts import PromptLevel, PromptSavings
from resopt.cli.traffic import BadRow
from resopt.key import Matching
from resopt.metrics.report import Latency, Report

Treatment = Literal["bypassed", "kept for the user alone", "kept briefly"]
"""What the freshness rules did with a question."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the cache of a replay is set up: the options of the command."""

    ttl: float | None = 3600.0
    max_size: int | None = 1000
    max_bytes: str | None = None
    matching: Matching = "folded"
    freshness: bool = True
    answer_tokens: int = 200
    semantic: SemanticProfile = "off"
    prompts: PromptLevel = "off"


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
        semantic: what was answered in other words; None when that was off.
        prompts: what shorter prompts would have saved on the calls upstream; None when that was not asked.
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
    semantic: MeaningFigures | None = None
    prompts: PromptSavings | None = None

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
