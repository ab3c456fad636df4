"""The report as plain text, at most 92 columns wide, and money, times and sizes as people read them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from resopt.metrics.report import Latency, ModelFigures, Report

NOTHING = "n/a"
_NAME = 34
_MODELS = 12
_UNNAMED = "(no model named)"
_CENT_DIGITS = 2


def dollars(picodollars: int | None) -> str:
    """Money as dollars: cents from one dollar up, three significant digits below; `n/a` for None."""
    if picodollars is None:
        return NOTHING
    amount = Decimal(abs(picodollars)).scaleb(-12)
    decimals = _CENT_DIGITS if amount >= 1 or not amount else _CENT_DIGITS - amount.adjusted()
    return f"{'-' if picodollars < 0 else ''}${amount:,.{decimals}f}"


def seconds(value: float | None) -> str:
    """A time in the unit that suits it: µs, ms, s, min, h or days."""
    if value is None:
        return NOTHING
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (120.0, 1.0, "s"), (7_200.0, 1 / 60, "min")):
        if value < limit:
            return f"{_three_digits(value * factor)} {unit}"
    return f"{value / 3_600:.1f} h" if value < 48 * 3_600 else f"{value / 86_400:.1f} days"


def share(value: float | None) -> str:
    """A share between 0 and 1 as per cent."""
    return NOTHING if value is None else f"{value * 100:.1f} %"


def size(count: int) -> str:
    """Bytes in the unit that suits them (1 kB is 1,000 B)."""
    for limit, factor, unit in ((1_000, 1, "B"), (10**6, 10**3, "kB"), (10**9, 10**6, "MB")):
        if count < limit:
            return f"{_three_digits(count / factor)} {unit}" if factor > 1 else f"{count} B"
    return f"{count / 10**9:,.2f} GB"


def render(report: Report) -> str:
    """The whole report as text."""
    blocks = [_heading(report)]
    if report.requests:
        blocks += [_money(report), _savings(report), _latency(report), _models(report), _tokens(report)]
    if report.quality is not None:
        blocks.append(str(report.quality).splitlines())
    blocks += [_cache(report), _work(report), _notes(report)]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _heading(report: Report) -> list[str]:
    if not report.requests:
        return ["resopt report: no requests recorded yet"]
    rate, window = report.requests_per_second, report.window
    when = "within a second" if rate is None else f"in {seconds(window)} ({rate:,.3g} per second)"
    outcomes = ", ".join(f"{name} {count:,}" for name, count in report.outcomes.items())
    return [
        f"resopt report: {report.requests:,} requests {when}",
        f"Hit rate {share(report.hit_rate)}; without a call of their own {share(report.no_call_rate)}",
        f"Outcomes: {outcomes}",
    ]


def _money(report: Report) -> list[str]:
    rows = [
        ("all requests", report.spent, report.baseline),
        ("per request", report.cost_per_request, report.baseline_per_request),
        ("per day (projected)", report.daily, report.baseline_daily),
        ("per 30 days (projected)", report.monthly, report.baseline_monthly),
    ]
    return _table(
        ("Cost", "with resopt", "without", "avoided", "share"),
        [
            (
                name,
                dollars(spent),
                dollars(baseline),
                dollars(None if spent is None or baseline is None else baseline - spent),
                share(report.avoided_share if spent is not None else None),
            )
            for name, spent, baseline in rows
        ],
    )


def _savings(report: Report) -> list[str]:
    return _table(
        ("Avoided by", "requests", "avoided", "of baseline", "tokens"),
        [
            (
                saving.mechanism,
                f"{saving.requests:,}",
                dollars(saving.avoided),
                share(saving.share),
                f"{saving.avoided_tokens:,}",
            )
            for saving in report.savings
        ],
    )


def _latency(report: Report) -> list[str]:
    rows = [
        ("answered requests", report.latency),
        ("cache hits", report.hit_latency),
        ("cache misses", report.miss_latency),
        *((f"to {figures.model or _UNNAMED}", figures.latency) for figures in report.models[:_MODELS]),
        ("without resopt", report.baseline_latency),
    ]
    return _table(
        ("Latency", "requests", "mean", "P50", "P95", "P99", "longest"),
        [(name, *_latency_row(latency)) for name, latency in rows if latency.requests],
    )


def _latency_row(latency: Latency) -> tuple[str, ...]:
    times = (latency.mean, latency.p50, latency.p95, latency.p99, latency.maximum)
    return (f"{latency.requests:,}", *(seconds(time) for time in times))


def _models(report: Report) -> list[str]:
    lines = _table(
        ("Model", "requests", "share", "calls", "spent", "avoided"),
        [_model_row(figures) for figures in report.models[:_MODELS]],
    )
    if len(report.models) > _MODELS:
        lines.append(f"… and {len(report.models) - _MODELS:,} more")
    return lines


def _model_row(figures: ModelFigures) -> tuple[str, ...]:
    known = figures.unknown_prices < figures.requests
    return (
        figures.model or _UNNAMED,
        f"{figures.requests:,}",
        share(figures.share),
        f"{figures.calls:,}",
        dollars(figures.spent) if known else NOTHING,
        dollars(figures.avoided) if known else NOTHING,
    )


def _tokens(report: Report) -> list[str]:
    billed, avoided = report.billed, report.avoided_tokens
    return _table(
        ("Tokens", "input", "of it cached", "output", "per request"),
        [
            (name, f"{usage.input_tokens:,}", f"{usage.cached_input_tokens:,}", f"{usage.output_tokens:,}", per)
            for name, usage, per in (
                ("billed", billed, f"{report.tokens_per_request or 0:,.1f}"),
                ("avoided", avoided, f"{avoided.total_tokens / report.requests:,.1f}"),
            )
        ],
    )


def _cache(report: Report) -> list[str]:
    if report.cache is None:
        return []
    lines = [f"Cache: {report.cache.entries:,} entries, {size(report.cache.bytes)}"]
    total = sum(report.cache.ages.values())
    if total:
        ages = ", ".join(f"{label}: {share(count / total)}" for label, count in report.cache.ages.items() if count)
        lines.append(f"Age of entries: {ages}")
    return [*lines, *report.cache.notes]


def _work(report: Report) -> list[str]:
    work = report.work
    if work is None or not (work.batches or work.retries or work.concurrency):
        return []
    lines = []
    if work.batches:
        lines.append(
            f"Batches: {work.batches:,} of {work.batch_size or 0:,.1f} requests on average; "
            f"{share(report.batch_utilisation)} of all requests came in one"
        )
    if work.queue_wait_p50 is not None:
        waits = f"P50 {seconds(work.queue_wait_p50)}, P95 {seconds(work.queue_wait_p95)}"
        lines.append(f"Waited for their turn: {work.waited:,} calls ({waits} of all)")
    if work.retries:
        lines.append("Retries: " + ", ".join(f"{name} {count:,}" for name, count in sorted(work.retries.items())))
    if work.concurrency:
        limits = [f"{model or _UNNAMED} {limit:,}" for model, limit in list(work.concurrency.items())[:_MODELS]]
        lines.append("Calls at once, at most: " + ", ".join(limits))
    return lines


def _notes(report: Report) -> list[str]:
    lines = []
    if report.errors:
        errors = ", ".join(f"{name} {count:,}" for name, count in report.errors.items())
        lines.append(f"Errors: {errors}")
    if report.unknown_prices:
        lines.append(
            f"Price or usage unknown: {report.unknown_prices:,} requests "
            f"({share(report.unknown_prices / report.requests)}); no figure of money includes them"
        )
    return lines


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Aligned lines: the first column to the left, figures to the right; nothing when there are no rows."""
    body = [(_shortened(row[0]), *row[1:]) for row in rows]
    if not body:
        return []
    lines = [tuple(header), *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    widths[0] = max(widths[0], len("per 30 days (projected)"))
    return [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def _three_digits(value: float) -> str:
    """At least three significant digits, no exponent: 1.23, 12.3, 123, 1,234."""
    for limit, decimals in ((9.995, 2), (99.95, 1)):
        if value < limit:
            return f"{value:.{decimals}f}"
    return f"{value:,.0f}"
