"""Numbers in a question and in its answer, and sums that can be checked without any model."""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from itertools import accumulate

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

_EVERYDAY = [0.5, *map(float, range(11)), 12.0, 24.0, 30.0, 31.0, 52.0, 60.0, 100.0, 365.0, 1_000.0]
"""Numbers that an answer may bring along: small counts, and how many of one unit make another."""
_MOST = 40

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
    found = [_is_right(expression, result) for expression, result in _SUM.findall(text[:READ])]
    return found.count(True), found.count(False)


def made_up(question: str, answer: str) -> list[float]:
    """Numbers of an answer that are not in the question and that nothing before them in the answer leads to.

    A number is accounted for when one step of reckoning (sum, difference, product, quotient, percentage) leads to it
    from one that came before and another or an everyday number, when it is the total of those said last, or the result
    of a sum that is right. Lenient on purpose: what it finds was taken from nowhere. Looks at the first 40 numbers.
    """
    given = sorted(numbers_meant(question))[:_MOST]
    if not given:
        return []
    partners = sorted({*given, *_EVERYDAY})
    right = sorted(_value(result) for terms, result in _SUM.findall(answer[:READ]) if _is_right(terms, result))
    found: list[float] = []
    said: list[float] = []
    for number in list(dict.fromkeys(numbers_in(answer)))[:_MOST]:
        if not _has(partners, number):
            totals = sorted(accumulate(reversed(said[-8:])))
            if not (_has(right, number) or _has(totals, number) or any(_leads(one, number, partners) for one in given)):
                found.append(number)
            insort(partners, number)  # what follows from a number made up is not made up once more
        insort(given, number)
        said.append(number)
    return found


def _leads(known: float, number: float, partners: list[float]) -> bool:
    wanted = [number - known, known - number, number + known]
    if known:
        percent = 100 * number / known
        wanted += [number / known, percent, 100 - percent, percent - 100]
    if number:
        wanted += [known / number, 100 * known / number]
    return any(_has(partners, partner) for partner in wanted)


def _has(numbers: list[float], wanted: float) -> bool:
    """Whether a number is among those in order, but for rounding."""
    room = max(0.002 * abs(wanted), 0.011)
    place = bisect_left(numbers, wanted - room)
    return place < len(numbers) and numbers[place] <= wanted + room


def _is_right(expression: str, result: str) -> bool | None:
    """Whether a sum is right, but for rounding; None when it divides by nothing."""
    value = _reckon(_TERM.findall(expression))
    return None if value is None else abs(value - _value(result)) <= max(0.011 * abs(value), 0.011)


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
