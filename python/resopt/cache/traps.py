"""The regression suite of the semantic cache: pairs of questions that look alike, and whether one answer serves both.

Every pair is written for resopt. A *trap* differs in what changes the answer (a number, a negation, a role, …) and
names the guard that should refuse it; a *paraphrase* says the same in other words. `resopt eval traps` runs them
against a cache of the caller's, the tests against the bundled guards and verifier.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

_FILE: Final = "traps.jsonl"


class Trap(msgspec.Struct, frozen=True):
    """Two questions, and whether the answer to the first may be served for the second.

    Attributes:
        cached: the question that was answered.
        query: the question that is asked.
        should_hit: True for a paraphrase, False for a trap.
        kind: what kind of trap (`product`, `negation`, `identifier`, …), or `paraphrase`.
        guard: name of the guard that should refuse it (`resopt._core.guard_names()`); empty for a paraphrase.
        domain: where it comes from: `banking`, `retail`, `travel`, `health`, `software`, `telecom`, …
    """

    cached: str
    query: str
    should_hit: bool
    kind: str
    guard: str
    domain: str


@cache
def read_traps() -> tuple[Trap, ...]:
    """All pairs of the suite, in the order of the file; read at the first call."""
    lines = files("resopt.cache").joinpath(_FILE).read_bytes().splitlines()
    decoder = msgspec.json.Decoder(Trap)
    return tuple(decoder.decode(line) for line in lines)
