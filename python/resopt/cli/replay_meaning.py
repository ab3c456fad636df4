"""What the semantic tier would have done on logged traffic: hits, how wrong they may be, what a person should see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from resopt.cache.judging import similar_answers
from resopt.cache.meaning import take_matter

if TYPE_CHECKING:
    from pathlib import Path

    from resopt.cache.verdicts import Matter
    from resopt.types import Response

SemanticProfile = Literal["off", "strict", "balanced"]
"""How careful the tier of a replay is; nothing can be rewritten there, because nobody is called."""

_PAIRS = 400
"""Borderline pairs that are kept for a person."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two questions of the traffic that are nearly the same to the tier.

    Attributes:
        question: what was asked.
        stored: the question whose answer was, or nearly was, served.
        probability: calibrated, that the answer fits.
        served: whether it was.
        fits: what the logged answers say; None where they say nothing. A person may correct it.
    """

    question: str
    stored: str
    probability: float
    served: bool
    fits: bool | None = None


class MeaningFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The semantic tier of a replay.

    Attributes:
        hits: rows that it answered, with the repeats of those from the exact tier.
        decided: of these the ones that were decided anew.
        judged: decided hits whose logged answer could be compared with the served one.
        wrong: of these the ones where the answers say something else.
        wrong_at_most: a share of wrong hits that is not exceeded: with 95 % confidence by the logged answers, or, where
            none were logged, what the shipped calibration expects, doubled.
        expected_wrong: the share of wrong hits by the shipped calibration: the mean of 1 - probability.
        refused: rows with a near question that guards refused, by guard.
    """

    hits: int
    decided: int
    judged: int
    wrong: int
    wrong_at_most: float | None
    expected_wrong: float | None
    refused: dict[str, int]


class MeaningTally:
    """Counts what the tier decided, row by row."""

    def __init__(self) -> None:
        self.decided = self.judged = self.wrong = 0
        self._doubt = 0.0
        self._refused: dict[str, int] = {}
        self._pairs: list[tuple[float, Pair]] = []

    def count(self, found: Response | None, logged: str | None) -> None:
        """Count one row: what the lookup found, and the answer that was logged for it."""
        matter = take_matter()
        if matter is None:
            return
        served = found is not None and found.trace.mechanism == "semantic"
        probability = matter.decision.probability
        if probability is None:
            self._refuse(matter)
            return
        fits: bool | None = None
        if served and found is not None:
            self.decided += 1
            self._doubt += 1 - probability
            if logged is not None:
                fits = similar_answers("", logged, "", found.text)
                self.judged += 1
                self.wrong += not fits
        self._note(matter, probability, served=served, fits=fits)

    def figures(self, hits: int) -> MeaningFigures:
        """What was counted; `hits` are all semantic hits, repeats included."""
        expected = self._doubt / self.decided if self.decided else None
        at_most = upper_bound(self.wrong, self.judged) if self.judged else None
        if at_most is None and expected is not None:
            at_most = min(1.0, 2 * expected)
        return MeaningFigures(
            hits=hits,
            decided=self.decided,
            judged=self.judged,
            wrong=self.wrong,
            wrong_at_most=at_most,
            expected_wrong=expected,
            refused=dict(sorted(self._refused.items(), key=lambda item: (-item[1], item[0]))),
        )

    def write(self, file: Path) -> int:
        """Write the pairs that were hardest to decide, for a person to label; how many there are."""
        pairs = [pair for _, pair in sorted(self._pairs, key=lambda item: item[0])[:_PAIRS]]
        file.write_bytes(b"".join(msgspec.json.encode(pair) + b"\n" for pair in pairs))
        return len(pairs)

    def _refuse(self, matter: Matter) -> None:
        candidates: list[dict[str, Any]] = matter.decision.candidates
        if candidates and candidates[0]["reasons"]:
            name = candidates[0]["reasons"][0][0]
            self._refused[name] = self._refused.get(name, 0) + 1

    def _note(self, matter: Matter, probability: float, *, served: bool, fits: bool | None) -> None:
        """Keep the pairs whose probability lies nearest to where the decision turns."""
        source = matter.source
        if source is None:
            return
        pair = Pair(
            question=matter.question,
            stored=source.question,
            probability=round(probability, 4),
            served=served,
            fits=fits,
        )
        self._pairs.append((abs(probability - 0.9), pair))
        if len(self._pairs) >= 4 * _PAIRS:
            self._pairs = sorted(self._pairs, key=lambda item: item[0])[:_PAIRS]


def upper_bound(wrong: int, judged: int, confidence: float = 0.95) -> float:
    """The share of wrong ones that is not exceeded with so much confidence (Clopper and Pearson 1934, one-sided).

    Solved by halving on the binomial distribution function.
    """
    if wrong >= judged:
        return 1.0
    low, high = wrong / judged, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if _at_most(wrong, judged, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(wrong: int, judged: int, share: float) -> float:
    """The probability of at most so many wrong ones of so many."""
    from math import exp, lgamma, log

    total = 0.0
    for count in range(wrong + 1):
        ways = lgamma(judged + 1) - lgamma(count + 1) - lgamma(judged - count + 1)
        total += exp(ways + count * log(share) + (judged - count) * log(1 - share))
    return total
