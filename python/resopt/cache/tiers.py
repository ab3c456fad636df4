"""Three levels in one cache: the same question, the same meaning, and nearly the same meaning, adapted.

The pattern's levels, with what makes them safe: a broad match is never served as it is. It is rewritten by a cheap
model, at its own price, or it is a miss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from resopt.cache.checks import share
from resopt.cache.semantic import SemanticCache
from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resopt.cache.second import Rewriter
    from resopt.types import Response

TIERS: Final[Mapping[str, str]] = {"exact": "L1", "folded": "L1", "semantic": "L2", "rewrite": "L3"}
"""The level that a hit comes from, by its mechanism. One that was promoted keeps the mechanism it came by."""


class MultiTierCache(SemanticCache):
    """L1 the same question, L2 the same meaning (strict), L3 nearly the same meaning (broad), rewritten.

    What L2 and L3 find is promoted into L1 under the new question's own key, with where it came from: when the source
    is reported, invalidated or expires, it goes too.

    Args:
        l2_threshold: probability from which a stored answer is served as it is, before there are labels (.95 or .97);
            with `verifier=None`, the cosine.
        l3_threshold: probability, or cosine, from which it is rewritten.
        rewriter: adapts answers for L3; without one there is no L3.
        **settings: as for `SemanticCache`.

    Raises:
        ConfigurationError: an argument is of the wrong type or outside its range, or L3 is stricter than L2.
    """

    def __init__(
        self,
        l2_threshold: float = 0.95,
        l3_threshold: float = 0.85,
        *,
        rewriter: Rewriter | None = None,
        **settings: Any,
    ) -> None:
        if share("l3_threshold", l3_threshold) > share("l2_threshold", l2_threshold):
            raise ConfigurationError(f"L3 must not be stricter than L2, but is {l3_threshold} to {l2_threshold}")
        if "profile" not in settings:
            settings["profile"] = "balanced" if l2_threshold <= _BALANCED else "strict"
        super().__init__(l2_threshold, rewriter=rewriter, **settings)
        self.meaning_tier.broad = float(l3_threshold)

    @staticmethod
    def tier(response: Response) -> str | None:
        """`L1`, `L2` or `L3` for an answer from memory, else None."""
        mechanism = response.trace.mechanism
        return None if response.trace.outcome != "hit" or mechanism is None else TIERS.get(mechanism)


_BALANCED: Final = 0.95
