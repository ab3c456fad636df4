"""What callers give beside the text, checked in one place: each wrong argument is one error that says what to do."""

from __future__ import annotations

import sys
from typing import Final

from resopt.errors import ConfigurationError

_MOST: Final = sys.maxsize
"""More than any text has: a greater limit is none."""


def limit_of(max_tokens: object) -> int:
    """How many tokens there may be.

    Raises:
        ConfigurationError: it is not an int of at least 0.
    """
    if type(max_tokens) is int and max_tokens >= 0:
        return min(max_tokens, _MOST)
    try:
        limit = -1 if isinstance(max_tokens, bool) else max_tokens.__index__()  # type: ignore[attr-defined]
    except AttributeError:
        limit = -1
    if limit < 0:
        given = "one below 0" if type(max_tokens) is int else type(max_tokens).__name__
        raise ConfigurationError(f"max_tokens must be an int of at least 0, not {given}")
    return min(limit, _MOST)
