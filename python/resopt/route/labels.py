"""The user's own labels: questions, and how well models answered them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resopt.route.tier import Tier


class FitReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `router.fit` found out.

    Attributes:
        rows: labelled questions.
        gain: mean quality that the most able tier has over the cheapest.
        prior: APGR (0.5 is chance) of the fixed prior on the rows.
        held_out: APGR of the fitted score on rows it was not fitted on; the prior's where that is as good.
        mix: how much of the words' model is in the score, 0 (none: the prior stays) to 1.
        qualities: mean quality by tier, of those that the rows name.
    """

    rows: int
    gain: float
    prior: float
    held_out: float
    mix: float
    qualities: dict[str, float]


class Labels(msgspec.Struct):
    """Questions, what each gains from the most able tier, and the mean quality by place of tier."""

    texts: list[str]
    gains: list[float]
    qualities: dict[int, float]


def read_labels(rows: Iterable[Any], tiers: Sequence[Tier]) -> Labels:
    """Read labelled rows.

    Args:
        rows: each a pair of a question and either the quality of each model (a mapping of model or tier to a number
            from 0 to 1) or how well the cheapest tier did (True, False, or a number from 0 to 1; the most able one is
            then taken to do well). A mapping with `prompt` and `scores`, or `prompt`, `weak` and `strong`, will do too.
        tiers: the tiers, the cheapest first.

    Raises:
        ConfigurationError: a row is something else; the message says which and what.
    """
    labels = Labels([], [], {})
    sums: dict[int, list[float]] = {}
    if not isinstance(rows, Iterable):
        raise ConfigurationError(f"rows must be several of (question, quality), not {rows!r}")
    for number, row in enumerate(rows):
        text, scored = _row(number, row, tiers)
        lowest, highest = scored.get(0), scored.get(len(tiers) - 1)
        if lowest is None or highest is None:
            raise ConfigurationError(
                f"row {number} must have a quality of {tiers[0].model!r} and of {tiers[-1].model!r}, the cheapest and "
                "the most able tier"
            )
        labels.texts.append(text)
        labels.gains.append(highest - lowest)
        for place, quality in scored.items():
            sums.setdefault(place, []).append(quality)
    labels.qualities = {place: sum(held) / len(held) for place, held in sums.items() if len(held) == len(labels.texts)}
    return labels


def _row(number: int, row: Any, tiers: Sequence[Tier]) -> tuple[str, dict[int, float]]:
    if isinstance(row, Mapping):
        text = row.get("prompt")
        marks = row.get("scores", row.get("weak") if "strong" not in row else {0: row.get("weak"), -1: row["strong"]})
    else:
        try:
            text, marks = row
        except (TypeError, ValueError):
            raise ConfigurationError(f"row {number} must be (question, quality), not {row!r}") from None
    if not isinstance(text, str):
        raise ConfigurationError(f"the question of row {number} must be a str, not {type(text).__name__}")
    if not isinstance(marks, Mapping):
        marks = {0: marks, -1: 1.0}
    scored = {}
    for name, quality in marks.items():
        place = name % len(tiers) if isinstance(name, int) else _place(name, tiers)
        if place is not None:
            scored[place] = _quality(number, quality)
    return text, scored


def _place(name: Any, tiers: Sequence[Tier]) -> int | None:
    return next((place for place, tier in enumerate(tiers) if name in (tier.name, tier.model)), None)


def _quality(number: int, quality: Any) -> float:
    if not isinstance(quality, bool | int | float) or not 0 <= quality <= 1:
        raise ConfigurationError(f"a quality in row {number} must lie between 0 and 1, not {quality!r}")
    return float(quality)
