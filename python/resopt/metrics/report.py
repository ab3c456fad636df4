"""What the ledger has to say, as data: `summarise` makes a `Report` of the sums, `str(report)` prints it.

Money is in picodollars (10**-12 dollars), time in seconds, shares between 0 and 1. What cannot be said (a projection
from a single request, a quantile of nothing) is None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from resopt._core import Sketch
from resopt.errors import ConfigurationError
from resopt.metrics.totals import ANSWERED, BACKGROUND, CALLED, Totals
from resopt.metrics.work import WorkFigures
from resopt.types import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from resopt._core import Tally

SHORTEST_WINDOW = 1.0
"""Seconds between the first and the last request below which rates and projections are not given."""

DAY = 86_400
MONTH = 30 * DAY

UNITS = {"money": "picodollars (10**-12 dollars)", "time": "seconds", "shares": "0 to 1", "bytes": "bytes"}


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long requests took, in seconds; quantiles are within 1 %, the rest exact; None where there were none."""

    requests: int = 0
    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    maximum: float | None = None

    @classmethod
    def of(cls, sketches: Iterable[Sketch]) -> Latency:
        """The latency over all that the sketches have counted."""
        union = Sketch()
        for sketch in sketches:
            union.merge(sketch)
        return cls(
            requests=union.count,
            mean=union.sum / union.count if union.count else None,
            p50=union.quantile(0.5),
            p95=union.quantile(0.95),
            p99=union.quantile(0.99),
            maximum=union.maximum,
        )


class Saving(msgspec.Struct, frozen=True, kw_only=True):
    """What one mechanism avoided: money, its share of the whole baseline, and tokens that were not billed."""

    mechanism: str
    requests: int
    avoided: int
    share: float | None
    avoided_tokens: int


class ModelFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What one model (by the name it answered under, else was asked by) did.

    `requests` and their `share` count every outcome, `latency` only answers that came from a call made for the request
    (a hit says nothing about the model's speed), `calls` these and the calls that nobody asked for (audits, judges).
    """

    model: str
    requests: int
    share: float
    calls: int
    spent: int
    avoided: int
    unknown_prices: int
    latency: Latency


class CacheFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The cache at the moment of the report.

    Attributes:
        entries: answers held.
        bytes: their weights.
        ages: how many of them are how old (label to count).
        notes: what else it has to say, a line each.
    """

    entries: int
    bytes: int
    ages: dict[str, int] = {}
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, figures: CacheFigures | Mapping[str, Any]) -> CacheFigures:
        """The figures themselves, or a mapping of the fields.

        Raises:
            ConfigurationError: the mapping lacks a field, or one is of the wrong type.
        """
        if isinstance(figures, CacheFigures):
            return figures
        try:
            return msgspec.convert(dict(figures), cls)
        except (msgspec.ValidationError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"the cache attached to the ledger must give entries, bytes, ages: {error}"
            ) from error


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the recorded requests cost and took, against the same requests without resopt.

    Attributes:
        requests: all that were recorded.
        outcomes: requests by outcome.
        errors: requests by the type of their error.
        hit_rate: share of all requests served from the cache.
        no_call_rate: share served without a call of their own: from the cache, or by another caller's call.
        started: Unix time of the first request.
        ended: Unix time of the last one.
        window: seconds between them.
        requests_per_second: over the window; None when it is shorter than `SHORTEST_WINDOW`.
        priced_requests: requests whose money is known; every figure of money is about these.
        unknown_prices: requests whose price or usage is unknown, left out of every figure of money.
        spent: picodollars.
        baseline: picodollars the same requests would have cost at the models asked for.
        avoided: baseline minus spent.
        avoided_share: avoided as a share of the baseline.
        cost_per_request: picodollars, rounded.
        baseline_per_request: picodollars, rounded.
        daily: picodollars a day at the window's rate; None when the window is too short.
        monthly: picodollars for 30 days.
        baseline_daily: picodollars a day without resopt.
        baseline_monthly: picodollars for 30 days without resopt.
        savings: by mechanism, the largest first.
        models: by model, the most asked first.
        latency: of all requests that were answered.
        hit_latency: of cache hits.
        miss_latency: of misses.
        baseline_latency: what the answered requests would have taken upstream.
        stages: time per stage of the pipeline.
        billed: tokens billed.
        avoided_tokens: tokens not billed.
        tokens_per_request: input and output tokens billed, per request.
        baseline_tokens_per_request: the same with the tokens not billed.
        cache: the cache now; None when none is attached.
        quality: what was said of the answers (`resopt.quality.scores.QualityReport`); None when nothing is attached.
        batch_utilisation: share of all requests that came in a batch.
        work: batches, waits and retries; None when no optimizer is attached.
    """

    requests: int
    outcomes: dict[str, int]
    errors: dict[str, int]
    hit_rate: float
    no_call_rate: float
    started: float | None
    ended: float | None
    window: float | None
    requests_per_second: float | None
    priced_requests: int
    unknown_prices: int
    spent: int
    baseline: int
    avoided: int
    avoided_share: float | None
    cost_per_request: int | None
    baseline_per_request: int | None
    daily: int | None
    monthly: int | None
    baseline_daily: int | None
    baseline_monthly: int | None
    savings: tuple[Saving, ...]
    models: tuple[ModelFigures, ...]
    latency: Latency
    hit_latency: Latency
    miss_latency: Latency
    baseline_latency: Latency
    stages: dict[str, Latency]
    billed: Usage
    avoided_tokens: Usage
    tokens_per_request: float | None
    baseline_tokens_per_request: float | None
    cache: CacheFigures | None = None
    quality: Any = None
    batch_utilisation: float = 0.0
    work: WorkFigures | None = None

    def __str__(self) -> str:
        from resopt.metrics.render import render

        return render(self)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data that JSON can hold, with its units."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {"units": dict(UNITS), **plain}


def summarise(
    totals: Totals, cache: CacheFigures | None = None, quality: Any = None, work: WorkFigures | None = None
) -> Report:
    """The report on everything that `totals` has counted."""
    cells = totals.cells
    requests = totals.requests()
    window = None if totals.first is None or totals.last is None else totals.last - totals.first
    rate_window = window if window is not None and window >= SHORTEST_WINDOW else None
    unknown = sum(cell.unknown for (outcome, _, _), cell in cells.items() if outcome != BACKGROUND)
    spent = sum(cell.spent for cell in cells.values())
    baseline = sum(cell.baseline for cell in cells.values())
    avoided = sum(cell.avoided for cell in cells.values())
    billed, avoided_tokens = (
        _tokens(cell.billed_tokens for cell in cells.values()),
        _tokens(cell.avoided_tokens for cell in cells.values()),
    )
    return Report(
        requests=requests,
        outcomes={name: totals.requests(name) for name in sorted({outcome for outcome, _, _ in cells})},
        errors=dict(sorted(totals.errors.items(), key=lambda item: (-item[1], item[0]))),
        hit_rate=totals.requests("hit") / requests if requests else 0.0,
        no_call_rate=totals.requests("hit", "coalesced") / requests if requests else 0.0,
        started=totals.first,
        ended=totals.last,
        window=window,
        requests_per_second=requests / rate_window if rate_window else None,
        priced_requests=requests - unknown,
        unknown_prices=unknown,
        spent=spent,
        baseline=baseline,
        avoided=avoided,
        avoided_share=avoided / baseline if baseline else None,
        cost_per_request=_each(spent, requests - unknown),
        baseline_per_request=_each(baseline, requests - unknown),
        daily=_projected(spent, rate_window, DAY),
        monthly=_projected(spent, rate_window, MONTH),
        baseline_daily=_projected(baseline, rate_window, DAY),
        baseline_monthly=_projected(baseline, rate_window, MONTH),
        savings=_savings(totals, baseline),
        models=_models(totals, requests),
        latency=_latency(totals, *ANSWERED),
        hit_latency=_latency(totals, "hit"),
        miss_latency=_latency(totals, "miss"),
        baseline_latency=_latency(totals, *ANSWERED, of="baseline_latency"),
        stages={name: Latency.of([sketch]) for name, sketch in totals.stages.items()},
        billed=billed,
        avoided_tokens=avoided_tokens,
        tokens_per_request=billed.total_tokens / requests if requests else None,
        baseline_tokens_per_request=(billed.total_tokens + avoided_tokens.total_tokens) / requests
        if requests
        else None,
        cache=cache,
        quality=quality,
        batch_utilisation=work.batched / requests if work is not None and requests else 0.0,
        work=work,
    )


def _latency(totals: Totals, *outcomes: str, of: str = "latency") -> Latency:
    return Latency.of(getattr(cell, of) for (outcome, _, _), cell in totals.cells.items() if outcome in outcomes)


def _tokens(sums: Iterable[tuple[int, int, int, int, int]]) -> Usage:
    fields = Usage.__struct_fields__
    return Usage(**dict(zip(fields, map(sum, zip([0] * len(fields), *sums, strict=True)), strict=True)))


def _each(amount: int, requests: int) -> int | None:
    """The amount per request, rounded half up."""
    return (2 * amount + requests) // (2 * requests) if requests else None


def _projected(amount: int, window: float | None, seconds: int) -> int | None:
    return round(amount * seconds / window) if window else None


def _savings(totals: Totals, baseline: int) -> tuple[Saving, ...]:
    requests: dict[str, int] = {}
    avoided: dict[str, int] = {}
    tokens: dict[str, int] = {}
    for (_, mechanism, _), cell in totals.cells.items():
        if mechanism is not None:
            requests[mechanism] = requests.get(mechanism, 0) + cell.requests
            avoided[mechanism] = avoided.get(mechanism, 0) + cell.avoided
            tokens[mechanism] = tokens.get(mechanism, 0) + _tokens([cell.avoided_tokens]).total_tokens
    for (mechanism, part), (count, amount) in totals.shifts.items():
        requests[part] = requests.get(part, 0) + count
        avoided[part] = avoided.get(part, 0) + amount
        avoided[mechanism] -= amount
    savings = [
        Saving(
            mechanism=mechanism,
            requests=requests[mechanism],
            avoided=amount,
            share=amount / baseline if baseline else None,
            avoided_tokens=tokens.get(mechanism, 0),
        )
        for mechanism, amount in avoided.items()
    ]
    return tuple(sorted(savings, key=lambda saving: (-saving.avoided, saving.mechanism)))


def _models(totals: Totals, requests: int) -> tuple[ModelFigures, ...]:
    groups: dict[str, list[tuple[str, Tally]]] = {}
    for (outcome, _, model), cell in totals.cells.items():
        groups.setdefault(model, []).append((outcome, cell))
    figures = []
    for model, cells in groups.items():
        asked = sum(cell.requests for outcome, cell in cells if outcome != BACKGROUND)
        called = [cell for outcome, cell in cells if outcome in CALLED]
        figures.append(
            ModelFigures(
                model=model,
                requests=asked,
                share=asked / requests if requests else 0.0,
                calls=sum(cell.requests for outcome, cell in cells if outcome in (*CALLED, BACKGROUND)),
                spent=sum(cell.spent for _, cell in cells),
                avoided=sum(cell.avoided for _, cell in cells),
                unknown_prices=sum(cell.unknown for _, cell in cells),
                latency=Latency.of(cell.latency for cell in called),
            )
        )
    return tuple(sorted(figures, key=lambda figure: (-figure.requests, figure.model)))
