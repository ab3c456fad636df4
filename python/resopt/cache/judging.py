"""Judges that need no model: whether two answers say the same, from their words alone.

A judge is any callable `judge(question, answer, other_question, other_answer)`, plain or async, that says whether the
answer to one question would have served the other: True, False, or None when it cannot tell. These two compare the
answers. Equality suits classifiers and short facts; likeness suits prose, where two answers to one question share most
of their content words and all of their numbers.
"""

from __future__ import annotations

import re
from typing import Final

from resopt._core import fold

_WORDS: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_NUMBERS: Final = re.compile(r"\d+(?:[.,:]\d+)*")
_SAME: Final = 0.5
"""Share of the smaller set of content words from which two answers are the same."""

_SHORT: Final = 4
"""Words up to which two answers must be equal to be the same."""

_EMPTY: Final = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be been but by can could do does for from had has have he her his how i if in into is it
        its may me my no not of on or our she should so than that the their them then there these they this those to was
        we were what when where which who will with would you your""",
    )
)
"""Words that say nothing of what an answer says."""


def equal_answers(question: str, answer: str, other_question: str, other_answer: str) -> bool:  # noqa: ARG001
    """Whether the answers are the same but for case, blanks and closing marks."""
    return fold(answer) == fold(other_answer)


def similar_answers(question: str, answer: str, other_question: str, other_answer: str) -> bool:  # noqa: ARG001
    """Whether the answers say the same: most content words shared, and no number in one that contradicts the other.

    The measure is the overlap coefficient of the sets of content words (shared words in those of the smaller set), so
    that an answer and its longer version agree. Numbers agree when those of one answer are all among the other's.
    """
    if fold(answer) == fold(other_answer):
        return True
    words, others = _content(answer), _content(other_answer)
    if min(len(words), len(others)) <= _SHORT:
        return words == others and bool(words)
    numbers, other_numbers = set(_NUMBERS.findall(answer)), set(_NUMBERS.findall(other_answer))
    if not (numbers <= other_numbers or other_numbers <= numbers):
        return False
    return len(words & others) >= _SAME * min(len(words), len(others))


def _content(text: str) -> set[str]:
    return {word for word in _WORDS.findall(text.lower()) if word not in _EMPTY}
