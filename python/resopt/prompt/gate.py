"""Questions that no part of a context can answer: those about all of it, and those that all of it matches."""

from __future__ import annotations

import re

# "Which customers ...": a plural is asked for. "Which bus ...", "which class ..." are not.
_SINGULAR = r"(?!(?:\w+(?:ss|us|is)|series|species|news|was|does|has)\b)"
_ALL = re.compile(
    r"\b(?:how many|how often|number of|count|totals?|sum|average|mean|median|percentage|proportion|every|each|all|"
    r"both|(?:is|are|was|were) there any|compare[ds]?|comparison|differences?|list|enumerate|overall|altogether|"
    r"rank(?:ed|ing)?|summari[sz]e|summary|overview|who are|top \d+)\b"
    rf"|\b(?:which|what)(?: of)?(?: the| these| those)?(?: \w+)?? {_SINGULAR}\w{{3,}}s "
    r"(?:are|were|have|had|do|did|can|will|would|could|should|must|may|\w+ed)\b"
    rf"|\bwhich(?: of the)? {_SINGULAR}\w{{3,}}s\b",
    re.IGNORECASE,
)
_WORDS = re.compile(r"\w+")
_EVERYDAY = frozenset(
    _WORDS.findall(
        "a an and are at be by did do does for from had has have how in is it of on or that the there this to was were "
        "what when where which who whom whose why will with would"
    )
)
_LEAST_PARTS = 4
_NEARLY_ALL = 0.8
_AS_WELL = 0.9
"""Share of the best part's match from which another part matches as well."""


def asks_about_all(question: str) -> bool:
    """Whether a question counts, lists, compares or sums up: what is left out would change its answer."""
    return _ALL.search(question) is not None


def matched_everywhere(passages: list[str], question: str) -> bool:
    """Whether nearly every passage has as much of the question's words as the one that matches best.

    Of a single text its paragraphs count, or its lines where it has none.
    """
    parts = passages
    for blank in ("\n\n", "\n"):
        if len(parts) == 1:
            parts = [part for part in parts[0].split(blank) if part.strip()]
    if len(parts) < _LEAST_PARTS:
        return False
    asked = set(_WORDS.findall(question.lower())) - _EVERYDAY
    found = [len(asked.intersection(_WORDS.findall(part.lower()))) for part in parts]
    best = max(found)
    return best > 0 and sum(one >= _AS_WELL * best for one in found) >= _NEARLY_ALL * len(parts)
