"""What a router is worth on labelled questions: APGR, CPT, cost at equal quality, with bootstrap intervals.

Definitions, for rows with quality w of the weak and s of the strong model, and means W and S: sort by score, the
highest first; A(c) is the mean quality when the first share c of the rows uses the strong model and the rest the weak
one; tied scores form one straight segment. PGR(c) = (A(c) - W) / (S - W), the share of the gap that is recovered. APGR
is the area under PGR over c, by the trapezoid over every row: 0.5 is chance. CPT(p) is the least c with PGR(c) >= p.
The oracle knows every row's labels and stops where the strong model no longer helps; its APGR may be above 1.
Source: RouteLLM (arXiv 2406.18665).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_REASONING = frozenset({"why", "how", "analyze", "explain"})
_COMPLEX = frozenset({"compare", "evaluate", "design"})


class Labelled(msgspec.Struct, frozen=True):
    """Labelled questions: the prompts, and the quality of the weak and of the strong model for each, 0 to 1."""

    prompts: list[str]
    weak: list[float]
    strong: list[float]

    def __post_init__(self) -> None:
        if not len(self.prompts) == len(self.weak) == len(self.strong) or len(self.prompts) < 2:
            raise ConfigurationError("an evaluation needs two rows or more, each with a prompt and both qualities")
        if math.fsum(self.strong) <= math.fsum(self.weak):
            raise ConfigurationError(
                "the strong model is no better than the weak one on these rows: there is nothing to route for"
            )


class Figure(msgspec.Struct, frozen=True):
    """A number with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What one score is worth.

    Attributes:
        name: what was scored by.
        apgr: area under the recovered share of the gap; 0.5 is chance.
        cpt50: least share of strong calls that recovers half of the gap.
        cpt80: the same for four fifths.
        equal_cost: least cost that recovers 99 % of the gap, as a share of what the strong model costs on every row.
    """

    name: str
    apgr: Figure
    cpt50: Figure
    cpt80: Figure
    equal_cost: Figure


def recovered(scores: Any, weak: Any, strong: Any) -> tuple[Any, Any]:
    """The curve of PGR over the share of strong calls: two arrays from (0, 0) to (1, 1), a point per distinct score."""
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    gained = np.cumsum((strong - weak)[order])
    ends = np.append(np.nonzero(np.diff(ranked))[0], len(ranked) - 1)
    shares = np.concatenate([[0.0], (ends + 1) / len(ranked)])
    return shares, np.concatenate([[0.0], gained[ends]]) / gained[-1]


def apgr(scores: Sequence[float], weak: Sequence[float], strong: Sequence[float]) -> float:
    """APGR of scores; see the module."""
    import numpy as np

    shares, curve = recovered(np.asarray(scores, float), np.asarray(weak, float), np.asarray(strong, float))
    return _area(shares, curve)


def evaluate(
    name: str,
    scores: Sequence[float],
    rows: Labelled,
    *,
    price_ratio: float = 10.0,
    rounds: int = 500,
    post_hoc: bool = False,
    flat: bool = False,
    seed: int = 0,
) -> Evaluation:
    """What a score is worth on labelled rows.

    Args:
        name: what to call it.
        scores: one per row; higher needs the strong model more.
        rows: the labels.
        price_ratio: how many times dearer a strong call is than a weak one.
        rounds: of the bootstrap; rows are drawn with their labels, which pairs every score.
        post_hoc: whether the score was taken of the weak model's answer, which is then paid for on every row.
        flat: whether to stop where the curve is highest, as the oracle does.
        seed: of the bootstrap.
    """
    import numpy as np

    def measures(*drawn: Any) -> list[float]:
        scored, cheap, able = drawn
        return _measures(scored, cheap, able, price_ratio, post_hoc=post_hoc, flat=flat)

    values = np.asarray(scores, dtype=float)
    weak, strong = np.asarray(rows.weak, dtype=float), np.asarray(rows.strong, dtype=float)
    chance = np.random.default_rng(seed)
    measured = [measures(values, weak, strong)]
    while len(measured) <= rounds:
        drawn = chance.integers(0, len(values), len(values))
        if (strong - weak)[drawn].sum() > 0:
            measured.append(measures(values[drawn], weak[drawn], strong[drawn]))
    table = np.array(measured)
    low, high = np.percentile(table[1:] if rounds else table, [2.5, 97.5], axis=0)
    figures = [Figure(float(v), float(a), float(b)) for v, a, b in zip(table[0], low, high, strict=True)]
    return Evaluation(name=name, apgr=figures[0], cpt50=figures[1], cpt80=figures[2], equal_cost=figures[3])


def _measures(values: Any, weak: Any, strong: Any, ratio: float, *, post_hoc: bool, flat: bool) -> list[float]:
    shares, curve = recovered(values, weak, strong)
    if flat:
        curve = curve.copy()
        curve[int(curve.argmax()) :] = curve.max()
    equal = _least_share(shares, curve, 0.99)
    asked_weak = 1.0 if post_hoc else 1.0 - equal
    return [
        _area(shares, curve),
        _least_share(shares, curve, 0.5),
        _least_share(shares, curve, 0.8),
        (equal * ratio + asked_weak) / ratio,
    ]


def _area(shares: Any, curve: Any) -> float:
    return float(((curve[1:] + curve[:-1]) / 2 * (shares[1:] - shares[:-1])).sum())


def _least_share(shares: Any, curve: Any, wanted: float) -> float:
    import numpy as np

    reached = np.nonzero(curve >= wanted)[0]
    if not len(reached):
        return 1.0
    at = int(reached[0])
    if at == 0:
        return 0.0
    step = curve[at] - curve[at - 1]
    inside = (wanted - curve[at - 1]) / step if step > 0 else 1.0
    return float(shares[at - 1] + inside * (shares[at] - shares[at - 1]))


def keyword_score(prompt: str) -> float:
    """The pattern's heuristic: words // 10, and 3 or 4 more for its keywords as whole lower-case words."""
    words = prompt.lower().split()
    found = set(words)
    return len(words) // 10 + 3.0 * bool(found & _REASONING) + 4.0 * bool(found & _COMPLEX)


def log_length(prompt: str) -> float:
    """Logarithm of the number of words."""
    return math.log1p(len(prompt.split()))


def baselines(rows: Labelled) -> Mapping[str, Sequence[float]]:
    """Scores to compare with, by name: random, the pattern's keywords, log length, oracle.

    Random is all alike: that is what random orders come to on average.
    """
    gains = [strong - weak for weak, strong in zip(rows.weak, rows.strong, strict=True)]
    return {
        "random": [0.0] * len(rows.prompts),
        "keywords": [keyword_score(prompt) for prompt in rows.prompts],
        "log length": [log_length(prompt) for prompt in rows.prompts],
        "oracle": gains,
    }


def cross_validated(
    rows: Labelled,
    fit: Callable[[list[str], list[float]], Callable[[str], float]],
    *,
    labels: int | None = None,
    folds: int = 5,
    seed: int = 0,
) -> list[float]:
    """Scores of every row by a model fitted on the other folds.

    Args:
        rows: the labels.
        fit: takes prompts and gains, returns a function from a prompt to its score.
        labels: rows that each fit may see; all of the other folds when None.
        folds: how many.
        seed: of the shuffle.
    """
    import numpy as np

    chance = np.random.default_rng(seed)
    order = chance.permutation(len(rows.prompts))
    scores = [0.0] * len(order)
    for inside in np.array_split(order, folds):
        outside = chance.permutation(np.setdiff1d(order, inside))[:labels]
        score = fit([rows.prompts[row] for row in outside], [rows.strong[row] - rows.weak[row] for row in outside])
        for row in inside:
            scores[row] = score(rows.prompts[row])
    return scores
