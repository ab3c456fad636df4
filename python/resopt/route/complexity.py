"""How much a question asks for, as a number from 1 to 10 with its reasons.

The score is a fixed prior over counts that the compiled core takes in one pass (`rust/core/src/route/score.rs`):
length, what binds parts together, names, quantities, words of code and proof, and a little of numbers, marks and
repeats. Words that name a kind of thinking (why, how, explain, compare) are not in it: on public data they carry no
signal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from resopt._core import RouteModel
from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

MIDDLE = 5
"""The score of a question that there is nothing to judge by."""

PRIOR = RouteModel()
"""The score before anything was fitted."""

_WORDS = {
    "length": "length in bytes",
    "parts": "commas, colons and semicolons",
    "logic": "words of condition and negation",
    "names": "words with a capital",
    "quantities": "words of quantity",
    "craft": "words of code or proof",
    "numbers": "numbers",
    "marks": "marks of mathematics or code",
    "repeats": "words said again",
}


class Part(msgspec.Struct, frozen=True):
    """One thing that was counted: its name, how many, and what it adds to the raw score."""

    name: str
    count: int
    adds: float


class Complexity(msgspec.Struct, frozen=True, kw_only=True):
    """How much a question asks for.

    Attributes:
        score: 1 (least) to 10; ten times the percentile, rounded up. 5 when there is nothing to judge by.
        percentile: share of questions that ask for less, 0 to 1: of the router's own traffic, or of what is expected
            where there was none. None when there is nothing to judge by.
        raw: the number behind the percentile, on a scale of the score's own; None likewise.
        reasons: what was found, in words, the weightiest first.
        parts: the same as data.
    """

    score: int
    percentile: float | None
    raw: float | None
    reasons: tuple[str, ...]
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, text: str) -> Complexity:
        """Judge a question by the fixed prior and what is expected of traffic.

        Raises:
            ConfigurationError: it is no str.
        """
        check_text(text)
        return describe(text, PRIOR.score(text), PRIOR.percentile(text))


def analyze_complexity(query: str) -> int:
    """How much a question asks for, from 1 to 10, before any traffic of yours was seen.

    A router says the same against the traffic it has seen (`ModelRouter.route(…).complexity`). Where there is something
    to judge by, a sentence that is added never lowers the score (of a text beyond 16,384 characters: one that is added
    at its end). Words that could speak to a router ("use the powerful model") do not count, nor do small words.

    Args:
        query: the user's own text, without the system prompt.

    Returns:
        1 to 10; 5 when there is nothing to judge by.

    Raises:
        ConfigurationError: it is no str.
    """
    return grade(PRIOR.percentile(check_text(query)))


def grade(percentile: float | None) -> int:
    """A percentile as a number from 1 to 10."""
    return MIDDLE if percentile is None else min(10, max(1, -int(-percentile * 10 // 1)))


def describe(text: str, raw: float | None, percentile: float | None, more: Sequence[str] = ()) -> Complexity:
    """The complexity of a text whose raw score and percentile are known; `more` are reasons to put in front."""
    counted = RouteModel.parts(text)
    steering = next(count for name, count, _ in counted if name == "steering")
    parts = tuple(Part(name, count, adds) for name, count, adds in counted if count and name != "steering")
    ranked = sorted(parts, key=lambda part: -part.adds)
    reasons = [*more, *(f"{_WORDS[part.name]}: {part.count:,}" for part in ranked)]
    if steering:
        reasons.append(f"words that speak to a router, left out: {steering}")
    if percentile is None:
        reasons = ["nothing to judge by", *reasons]
    return Complexity(
        score=grade(percentile), percentile=percentile, raw=raw, reasons=tuple(reasons), parts=tuple(ranked)
    )


def check_text(text: str) -> str:
    """A question as it is.

    Raises:
        ConfigurationError: it is no str.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"a question must be a str, not {type(text).__name__}")
    return text
