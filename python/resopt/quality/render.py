"""The report on quality as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resopt.quality.scores import Mean, QualityFigures, QualityReport, Ratio

_NOTHING = "n/a"
_NAME = 30


def render(report: QualityReport) -> str:
    """The whole report."""
    rows = [("all answers", report.overall)]
    rows += [(f"by {figures.name}", figures) for figures in report.models]
    rows += [(f"tier {figures.name}", figures) for figures in report.tiers]
    rows += [(f"{figures.name}", figures) for figures in report.mechanisms]
    head = f"{'Quality':<{_NAME}}{'satisfaction':>18}{'task success':>18}{'score':>18}{'retried':>8}"
    lines = [head, *(_row(name, figures) for name, figures in rows), against(report.against_baseline)]
    if report.off:
        lines.append(f"Held back by a guardrail: {', '.join(report.off)}")
    return "\n".join(lines)


def against(ratio: Ratio) -> str:
    """The line on quality against the baseline."""
    if ratio.ratio is None or ratio.low is None or ratio.high is None:
        return f"Quality against the baseline: too few scores (target {ratio.target:.0%})"
    compared = f"{ratio.pairs:,} pairs" if ratio.pairs else f"{ratio.count:,} against {ratio.baseline_count:,} answers"
    holds = {True: "met", False: "missed", None: "undecided"}[ratio.holds]
    return (
        f"Quality against the baseline: {ratio.ratio:.1%} [{ratio.low:.1%}, {ratio.high:.1%}], {compared}; "
        f"target {ratio.target:.0%} {holds}"
    )


def _row(name: str, figures: QualityFigures) -> str:
    columns: Sequence[Mean] = (figures.satisfaction, figures.task_success, figures.score)
    return (
        f"{name[: _NAME - 1]:<{_NAME}}" + "".join(f"{_mean(mean):>18}" for mean in columns) + f"{figures.retries:>8,}"
    )


def _mean(mean: Mean) -> str:
    if mean.mean is None or mean.low is None or mean.high is None:
        return _NOTHING
    return f"{mean.mean:.0%} [{mean.low:.0%},{mean.high:.0%}]"
