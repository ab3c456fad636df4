"""Judges that are functions or metrics of other libraries: how they are called, and what they say."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from resopt.errors import ConfigurationError


def scoring(scorer: Any) -> Any:
    """The function itself, or one that asks a metric in DeepEval's way."""
    if not callable(getattr(scorer, "measure", None)):
        return scorer

    def measured(prompt: str, answer: str, context: str | None) -> tuple[Any, str]:
        given = None if context is None else [context]
        case = SimpleNamespace(
            input=prompt,
            actual_output=answer,
            context=given,
            retrieval_context=given,
            expected_output=None,
        )
        score = scorer.measure(case)
        return getattr(scorer, "score", None) if score is None else score, str(getattr(scorer, "reason", "") or "")

    return measured


def read_said(said: Any) -> tuple[float | None, str]:
    """Score and reason of what a function returned; None and NaN are no verdict.

    Raises:
        ConfigurationError: it is neither a number from 0 to 1 nor that with a reason.
    """
    score, reason = said if isinstance(said, tuple) and len(said) == 2 else (said, "")
    if score is None or (isinstance(score, float) and math.isnan(score)):
        return None, str(reason) or "no verdict"
    if not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ConfigurationError(f"a judge must return a score from 0 to 1, or (score, reason), not {said!r}")
    return float(score), str(reason)
