"""What a hostile prompt costs: four times the signs may cost about four times the work, not sixteen times."""

import time

import pytest

from resopt import optimize_prompt

LENGTH = 25_000
FACTOR, SLACK = 10, 0.3
"""Work that grows with the square costs sixteen times as much; a busy machine has the slack."""


def seconds(unit, length):
    """The best of two runs."""
    prompt = (unit * (length // len(unit) + 1))[:length]
    best = float("inf")
    for _ in range(2):
        start = time.perf_counter()
        optimize_prompt(prompt)
        best = min(best, time.perf_counter() - start)
    return best


@pytest.mark.parametrize(
    "unit",
    [
        "|",
        "a ",
        ".",
        "\n",
        "- x\n",
        "(",
        '"',
        "[1,2] ",
        "```\n",
        "` ",
        "<",
        "<!--",
        "very important ",
        "please ",
        "[",
        "If x, do y. ",
    ],
)
def test_work_grows_with_the_length_and_not_with_its_square(unit):
    short = seconds(unit, LENGTH)
    assert seconds(unit, 4 * LENGTH) <= FACTOR * short + SLACK
