"""Numbers in a question and in its answer, and sums that can be checked without any model."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_SUM = re.compile(
    r"(?<![\w.])\$?(\d[\d,]*(?:\.\d+)?(?:\s*[-+*/x\xd7\xf7]\s*\$?\d[\d,]*(?:\.\d+)?){1,8})"
    r"\s*=\s*\$?(\d[\d,]*(?:\.\d+)?)(?![\d%])"
)
_TERM = re.compile(r"[-+*/x\xd7\xf7]|\d[\d,]*(?:\.\d+)?")
_FINAL = re.compile(r"(?:####|\\boxed\{|(?:final )?answer(?: is|:)|answer =)[ \t:$*]*([^\n}]*)", re.IGNORECASE)
_WORDS = {
    "zero": 0.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0,
    "nine": 9.0, "ten": 10.0, "eleven": 11.0, "twelve": 12.0, "dozen": 12.0, "twenty": 20.0, "thirty": 30.0,
    "fifty": 50.0, "hundred": 100.0, "half": 0.5, "twice": 2.0, "double": 2.0, "triple": 3.0,
}  # fmt: skip
_WORD = re.compile(r"\b(?:" + "|".join(_WORDS) + r")\b", re.IGNORECASE)

READ = 20_000
"""Characters of a text that are read for numbers."""


def numbers_in(text: str) -> list[float]:
    """The numbers written in figures, in order."""
    return [_value(found) for found in _NUMBER.findall(text[:READ])]


def numbers_meant(text: str) -> set[float]:
    """The numbers of a question, in figures and in the commonest words."""
    words = {_WORDS[found.lower()] for found in _WORD.findall(text[:READ])}
    return words | set(numbers_in(text))


def final_answer(text: str) -> str | None:
    """What an answer gives as its result after a mark that says so (`####`, a LaTeX box, `answer is`), or None."""
    found = _FINAL.findall(text[:READ])
    last = found[-1].strip() if found else ""
    return last or None


def sums(text: str) -> tuple[int, int]:
    """How many sums written out in a text (`3 * 4 + 1 = 13`) are right, and how many are wrong."""
    right = wrong = 0
    for expression, result in _SUM.findall(text[:READ]):
        value = _reckon(_TERM.findall(expression))
        if value is None:
            continue
        if abs(value - _value(result)) <= max(0.011 * abs(value), 0.011):
            right += 1
        else:
            wrong += 1
    return right, wrong


def _value(figures: str) -> float:
    return float(figures.replace(",", "")[:40])


def _reckon(terms: list[str]) -> float | None:
    """The value of numbers and signs in turn, products before sums; None when it divides by nothing."""
    values, signs = [_value(terms[0])], []
    for sign, number in zip(terms[1::2], terms[2::2], strict=False):
        value = _value(number)
        if sign in "*x\xd7":
            values[-1] *= value
        elif sign in "/\xf7":
            if value == 0:
                return None
            values[-1] /= value
        else:
            signs.append(sign)
            values.append(value)
    total = values[0]
    for sign, value in zip(signs, values[1:], strict=True):
        total = total + value if sign == "+" else total - value
    return total
