"""`resopt replay --prompts`: what shorter prompts would have saved on the calls that still go upstream, by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from resopt.types import Request

PromptLevel = Literal["off", "lossless", "light", "strong"]
"""How much may be taken away, if anything."""


class PromptSavings(msgspec.Struct, frozen=True, kw_only=True):
    """What the prompt rules would have saved.

    Attributes:
        level: how much was allowed.
        requests: calls upstream whose prompt was read.
        shortened: those of which less would have been sent.
        tokens: tokens of their texts, tools included.
        tokens_saved: tokens that would not have been sent.
        by_rule: tokens by rule, most first.
        left_alone: texts left because a provider may have them in its prefix cache.
    """

    level: PromptLevel
    requests: int
    shortened: int
    tokens: int
    tokens_saved: int
    by_rule: dict[str, int]
    left_alone: int


class PromptTally:
    """Reads the prompts of a replay in shadow mode: nothing is changed, everything is counted."""

    def __init__(self, level: Literal["lossless", "light", "strong"]) -> None:
        from resopt.prompt.stage import PromptOptimizer

        self._level: PromptLevel = level
        self._stage = PromptOptimizer(level, shadow=True)

    def count(self, request: Request) -> None:
        """Take note of a request that goes upstream."""
        self._stage.prepare(request)

    def savings(self) -> PromptSavings:
        """What was found so far."""
        figures = self._stage.figures
        return PromptSavings(
            level=self._level,
            requests=figures.requests,
            shortened=figures.shortened,
            tokens=figures.tokens,
            tokens_saved=figures.tokens_saved,
            by_rule=figures.by_rule,
            left_alone=figures.left_alone,
        )
