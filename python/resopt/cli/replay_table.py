"""What a replay found, as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from resopt.metrics.render import dollars, seconds, share, size

if TYPE_CHECKING:
    from rich.console import Console

    from resopt.cli.replay_meaning import MeaningFigures
    from resopt.cli.replay_prompts import PromptSavings
    from resopt.cli.replay_result import Freshening, Replayed

_RULES = 12


def show(console: Console, result: Replayed, name: str) -> None:
    """Print the whole result."""
    console.print(_heading(result, name), markup=False, soft_wrap=True)
    tables = [_hits(result)]
    if result.semantic is not None:
        tables.append(_meaning(result.semantic))
    if result.freshness is not None:
        tables.append(_freshness(result.freshness))
    if result.prompts is not None:
        tables.append(_prompts(result.prompts))
    if result.report.priced_requests:
        tables.append(_money(result))
    if result.latency_rows:
        tables.append(_latency(result))
    for table in tables:
        console.print()
        console.print(table)
    console.print()
    for line in (*_cache(result), *_notes(result)):
        console.print(line, markup=False, soft_wrap=True)


def _heading(result: Replayed, name: str) -> str:
    settings = result.settings
    limits = [f"{settings.max_size:,} entries" if settings.max_size else "", settings.max_bytes or ""]
    return (
        f"{name}: {result.rows:,} requests over {seconds(result.window)}, replayed in {seconds(result.seconds)}\n"
        f"Cache: {seconds(settings.ttl)}, {', '.join(filter(None, limits))}, {settings.matching} matching, "
        f"freshness {'on' if settings.freshness else 'off'}"
    )


def _hits(result: Replayed) -> Table:
    table = _table("Hits", "requests", "hit rate")
    _row(table, "Answered from the cache", result, result.hits, bold=True)
    _row(table, "  the same spelling", result, result.exact_hits)
    if result.semantic is not None:
        _row(table, "  the same question in other words", result, result.semantic.hits)
    if result.exact_only_hits is not None:
        _row(table, "  another spelling of the question", result, result.folded_hits)
        _row(table, "For comparison: exact matching only", result, result.exact_only_hits)
    if result.freshness is not None:
        _row(table, "For comparison: without freshness rules", result, result.freshness.hits_without)
    _row(table, "Upper bound: without limits of time and size", result, result.unlimited_hits)
    return table


def _row(table: Table, name: str, result: Replayed, hits: int, *, bold: bool = False) -> None:
    table.add_row(name, f"{hits:,}", share(result.share(hits)), style="bold" if bold else "")


def _meaning(figures: MeaningFigures) -> Table:
    table = Table("In other words", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("", justify="right")
    table.add_row("hits decided by meaning (the rest are repeats of these)", f"{figures.decided:,}")
    table.add_row("wrong by the calibration that ships", share(figures.expected_wrong))
    if figures.judged:
        table.add_row(f"wrong by the answers that were logged ({figures.judged:,} compared)", f"{figures.wrong:,}")
    table.add_row("wrong hits, at most" + ("" if figures.judged else " (no answers logged: twice as many as expected)"),
                  share(figures.wrong_at_most))  # fmt: skip
    for name, rows in list(figures.refused.items())[:_RULES]:
        table.add_row(f"refused by the guard {name}", f"{rows:,}")
    return table


def _freshness(freshness: Freshening) -> Table:
    table = Table("What freshness took away", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("treatment")
    table.add_column("requests", justify="right")
    table.add_column("hits lost", justify="right")
    for rule in freshness.rules[:_RULES]:
        table.add_row(rule.rule, rule.treatment, f"{rule.rows:,}", f"{rule.hits_lost:,}")
    rest = freshness.rules[_RULES:]
    if rest:
        rows, lost = sum(rule.rows for rule in rest), sum(rule.hits_lost for rule in rest)
        table.add_row(f"{len(rest):,} more rules", "", f"{rows:,}", f"{lost:,}")
    if freshness.hits_lost_to_room:
        table.add_row("no rule: other entries had the room", "", "", f"{freshness.hits_lost_to_room:,}")
    table.add_section()
    for treatment in sorted({rule.treatment for rule in freshness.rules}):
        chosen = [rule for rule in freshness.rules if rule.treatment == treatment]
        rows, lost = sum(rule.rows for rule in chosen), sum(rule.hits_lost for rule in chosen)
        table.add_row("", f"all {treatment}", f"{rows:,}", f"{lost:,}")
    net = freshness.hits_lost - freshness.hits_gained
    table.add_row("All", f"{freshness.hits_gained:,} hits gained instead", f"{freshness.rows:,}", f"{net:,} net")
    return table


def _prompts(savings: PromptSavings) -> Table:
    table = _table(f"Prompts, {savings.level}", "tokens saved", "share of the input")
    whole = max(savings.tokens, 1)
    for rule, tokens in list(savings.by_rule.items())[:_RULES]:
        table.add_row(f"  {rule}", f"{tokens:,}", share(tokens / whole))
    name = f"All rules, {savings.shortened:,} of {savings.requests:,} calls upstream"
    table.add_row(name, f"{savings.tokens_saved:,}", share(savings.tokens_saved / whole), style="bold")
    if savings.left_alone:
        table.add_row(f"left alone in a cached prefix: {savings.left_alone:,} texts", "", "")
    return table


def _money(result: Replayed) -> Table:
    report = result.report
    table = _table("Money", "with resopt", "without", "saved", "share")
    for name, spent, baseline in (
        ("All requests", report.spent, report.baseline),
        ("Per day (projected)", report.daily, report.baseline_daily),
        ("Per 30 days (projected)", report.monthly, report.baseline_monthly),
    ):
        if spent is not None and baseline is not None:
            table.add_row(
                name, dollars(spent), dollars(baseline), dollars(baseline - spent), share(report.avoided_share)
            )
    return table


def _latency(result: Replayed) -> Table:
    table = _table("Latency", "requests", "mean", "P50", "P95", "P99")
    for name, latency in (("with resopt", result.latency), ("without (as logged)", result.baseline_latency)):
        times = (latency.mean, latency.p50, latency.p95, latency.p99)
        table.add_row(name, f"{latency.requests:,}", *map(seconds, times))
    return table


def _cache(result: Replayed) -> list[str]:
    cache = result.report.cache
    if cache is None:
        return []
    ages = ", ".join(f"{label}: {count:,}" for label, count in cache.ages.items() if count)
    return [
        f"Cache at the end: {cache.entries:,} entries, {size(cache.bytes)}; "
        f"{result.evictions:,} evicted for room, {result.expirations:,} expired",
        f"Age of entries: {ages or 'none'}",
    ]


def _notes(result: Replayed) -> list[str]:
    report = result.report
    lines = []
    if not report.priced_requests:
        lines.append("Money: prices unknown (give --price MODEL=INPUT:OUTPUT, --prices FILE or --public-prices)")
    elif report.unknown_prices:
        lines.append(f"Prices unknown for {report.unknown_prices:,} requests; no figure of money includes them")
    if result.unlogged_answers:
        lines.append(
            f"Not logged: {result.unlogged_answers:,} of the answers upstream would have given; a stand-in of "
            f"{result.settings.answer_tokens:,} tokens took their place"
        )
    if result.estimated_usages:
        lines.append(f"Tokens estimated (one per four bytes) for {result.estimated_usages:,} answers")
    if result.not_admitted:
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(result.not_admitted.items()))
        lines.append(f"Answers not good enough to keep: {reasons}")
    if result.out_of_order:
        lines.append(f"Out of order: {result.out_of_order:,} rows were earlier than one before them; time stood still")
    if result.bad_rows:
        lines.append(f"Bad rows left out: {result.bad_rows:,}")
    return lines


def _table(first: str, *others: str) -> Table:
    table = Table(first, box=box.SIMPLE_HEAD, pad_edge=False)
    for name in others:
        table.add_column(name, justify="right")
    return table
