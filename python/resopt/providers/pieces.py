"""Texts in pieces, as a model would stream them."""

from __future__ import annotations

import re
from typing import Any

_PIECE = re.compile(r"\s*\S{1,24}|\s+")  # scripts without blanks come in pieces too


def pieces(text: str) -> list[str]:
    """The words of a text, each with the blanks before it; joined they are the text again."""
    return _PIECE.findall(text)


def pieces_with_tokens(text: str, tokens: list[Any] | None) -> list[tuple[str, list[Any]]]:
    """The pieces of a text, each with the tokens (OpenAI's `logprobs`) it consists of.

    Where the tokens do not spell the text, because a letter was cut within its bytes, all come with the first piece.
    """
    tokens = tokens or []
    spelled = [str(token.get("token")) if isinstance(token, dict) else "" for token in tokens]
    if tokens and "".join(spelled) == text:
        return [(word, [token]) for word, token in zip(spelled, tokens, strict=True)]
    return [(word, [] if number else tokens) for number, word in enumerate(pieces(text))]
