"""What the simulated models know: whether an answer is right, as a pure function of seed, model and question.

A simulation needs a truth that a judge can ask for. A question has a difficulty that no one sees; a model is right when
the difficulty stays below what it can do. So an abler model is right wherever a lesser one is, as real ones nearly are.
"""

from __future__ import annotations

import hashlib
from typing import Final

from resopt._core import fold

ABILITIES: Final = {"gpt-4o": 0.96, "gpt-3.5-turbo": 0.80, "gpt-4o-mini": 0.86}
"""Share of ordinary questions that a model answers rightly; of hard ones it misses three times as many."""

_OTHERS: Final = 0.9
_HARDER: Final = 3.0


def is_right(model: str, question: str, *, hard: bool = False, seed: int = 0) -> bool:
    """Whether a model's answer to a question is right.

    Args:
        model: the model that answered.
        question: what was asked; spelling does not matter.
        hard: whether it takes more than looking up.
        seed: of the simulation.
    """
    digest = hashlib.blake2b(f"{seed}:{fold(question)}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    difficulty = int.from_bytes(digest) / 2**64
    missed = (1 - ABILITIES.get(model, _OTHERS)) * (_HARDER if hard else 1.0)
    return difficulty < 1 - missed
