"""A scorer of answers, fitted on the user's own labels: how likely an answer is good, from what can be counted in it.

Logistic regression with a ridge penalty over a score of counts that mean something for any kind of answer: its length
against the question's, its numbers against the question's, sums that add up, whether it commits to a result, hedges,
repetition, and what the prior says of the question. A few hundred labels are enough, and fit in milliseconds.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from resopt.errors import ConfigurationError
from resopt.route.complexity import PRIOR
from resopt.route.figures import READ, final_answer, numbers_in, numbers_meant, sums

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEDGE = re.compile(
    r"\b(?:but|however|actually|wait|assum\w+|approximately|perhaps|maybe|unclear|cannot|unknown"
    r"|not (?:enough|possible|sure))\b",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(r"(?:^|[\s=$(])-\s?\d")
_DECIMALS = re.compile(r"\.\d{4,}")
_FEWEST = 50
_PENALTY = 20.0
_ROUNDS = 25
_VERSION = 2


class Counts(NamedTuple):
    """What is counted in an answer, given its question; all numbers are finite."""

    length: float
    length_ratio: float
    lines: float
    numbers: float
    new_numbers: float
    unused_numbers: float
    unused_share: float
    right_sums: float
    wrong_sums: float
    no_result: float
    result_not_one_number: float
    result_fraction: float
    result_derived: float
    result_with_words: float
    fractions: float
    long_decimals: float
    result_size: float
    growth: float
    negative: float
    hedges: float
    repetition: float
    question: float


def count(question: str, answer: str) -> Counts:
    """Count what an answer is made of; bounded work."""
    question, answer = question[:READ], answer[:READ]
    given, asked = set(numbers_in(question)), numbers_meant(question)
    said = numbers_in(answer)
    distinct = set(said)
    right, wrong = sums(answer)
    result = final_answer(answer)
    results = numbers_in(result) if result else []
    value = results[0] if results else 0.0
    words = answer.split()
    unused = len(given - distinct)
    return Counts(
        length=math.log1p(len(answer)),
        length_ratio=math.log1p(len(answer)) - math.log1p(len(question)),
        lines=math.log1p(sum(1 for line in answer.splitlines() if line.strip())),
        numbers=math.log1p(len(said)),
        new_numbers=math.log1p(len(distinct - asked)),
        unused_numbers=float(min(unused, 5)),
        unused_share=unused / max(1, len(given)),
        right_sums=math.log1p(right),
        wrong_sums=float(min(wrong, 3)),
        no_result=float(result is None),
        result_not_one_number=float(len(results) != 1),
        result_fraction=float(not value.is_integer()),
        result_derived=float(bool(results) and said.count(value) >= 2),
        result_with_words=float(result is not None and any(letter.isalpha() for letter in result)),
        fractions=sum(not number.is_integer() for number in distinct) / max(1, len(distinct)),
        long_decimals=float(min(len(_DECIMALS.findall(answer)), 5)),
        result_size=math.log1p(abs(value)),
        growth=math.log1p(max(said, default=0.0)) - math.log1p(max(asked, default=0.0)),
        negative=float(_NEGATIVE.search(answer) is not None),
        hedges=math.log1p(len(_HEDGE.findall(answer))),
        repetition=1.0 - len(set(words)) / max(1, len(words)),
        question=PRIOR.score(question) or 0.0,
    )


class AnswerScorer(msgspec.Struct, frozen=True):
    """How likely an answer is good; made by `AnswerScorer.fit`.

    Attributes:
        centres: mean of each count on the rows.
        scales: their standard deviation.
        weights: of the scaled counts.
        offset: log-odds of a middling answer.
        rows: how many labels it was fitted on.
    """

    centres: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    offset: float
    rows: int

    @classmethod
    def fit(cls, rows: Iterable[tuple[str, str, float]]) -> AnswerScorer:
        """Fit to labelled answers.

        Args:
            rows: question, answer, and how good it was: True or False, or a number from 0 to 1.

        Raises:
            ConfigurationError: fewer than 50 rows, a label that is no number from 0 to 1, or all labels alike.
        """
        import numpy as np

        table, labels = _read(rows)
        counts = np.array(table, dtype=float)
        good = np.array(labels, dtype=float)
        centres, spread = counts.mean(axis=0), counts.std(axis=0)
        scales = np.where(spread > 1e-9, spread, 1.0)
        design = np.hstack([(counts - centres) / scales, np.ones((len(good), 1))])
        penalty = np.diag([_PENALTY] * (design.shape[1] - 1) + [0.0])
        weights = np.zeros(design.shape[1])
        for _ in range(_ROUNDS):  # Newton's method on the penalised likelihood, which is concave
            chance = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30, 30)))
            slope = design.T @ (good - chance) - penalty @ weights
            curve = design.T @ (design * np.maximum(chance * (1 - chance), 1e-6)[:, None]) + penalty
            step = np.linalg.solve(curve, slope)
            weights = weights + step
            if float(np.abs(step).max()) < 1e-6:
                break
        return cls(
            tuple(map(float, centres)),
            tuple(map(float, scales)),
            tuple(map(float, weights[:-1])),
            float(weights[-1]),
            len(labels),
        )

    def score(self, question: str, answer: str) -> float:
        """How likely the answer is good, from 0 to 1."""
        counted = count(question, answer)
        odds = self.offset
        for value, centre, scale, weight in zip(counted, self.centres, self.scales, self.weights, strict=True):
            odds += weight * (value - centre) / scale
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, odds))))

    def to_bytes(self) -> bytes:
        """The scorer as bytes, versioned and checksummed."""
        content = msgspec.msgpack.encode([_VERSION, list(Counts._fields), self])
        return hashlib.blake2b(content, digest_size=16).digest() + content

    @classmethod
    def from_bytes(cls, data: bytes) -> AnswerScorer:
        """Read back what `to_bytes` wrote.

        Raises:
            ConfigurationError: the bytes were changed, cut short, or written by another version.
        """
        digest, content = data[:16], data[16:]
        if hashlib.blake2b(content, digest_size=16).digest() != digest:
            raise ConfigurationError("these bytes are no answer scorer: the checksum is wrong")
        version, fields, inner = msgspec.msgpack.decode(content, type=tuple[int, list[str], msgspec.Raw])
        if version != _VERSION or fields != list(Counts._fields):
            raise ConfigurationError(f"this answer scorer counts other things (version {version}): fit it again")
        return msgspec.msgpack.decode(inner, type=cls)


def _read(rows: Iterable[Any]) -> tuple[list[Counts], list[float]]:
    table, labels = [], []
    for number, row in enumerate(rows):
        try:
            question, answer, good = row
        except (TypeError, ValueError):
            raise ConfigurationError(f"row {number} must be (question, answer, how good), not {row!r}") from None
        if not isinstance(question, str) or not isinstance(answer, str):
            raise ConfigurationError(f"question and answer of row {number} must be str")
        if not isinstance(good, bool | int | float) or not 0 <= good <= 1:
            raise ConfigurationError(f"the label of row {number} must lie between 0 and 1, not {good!r}")
        table.append(count(question, answer))
        labels.append(float(good))
    if len(labels) < _FEWEST:
        raise ConfigurationError(f"a fit needs at least {_FEWEST} labelled answers, not {len(labels)}")
    if min(labels) == max(labels):
        raise ConfigurationError("all labels are alike: there is nothing to tell apart")
    return table, labels
