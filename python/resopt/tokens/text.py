"""Texts to tokens and back: encode, decode, cut to a length, ask whether one fits; one text or many.

With many texts the interpreter's lock is free while they are worked on, so other threads go on. What looks like a
special token in a text (`<|endoftext|>`) is ordinary text unless asked for: it is the user's, not the prompt's end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resopt._core import text_class
from resopt.errors import ConfigurationError
from resopt.tokens.models import DEFAULT, ModelTokens, encoding_named, own_encoding, tokens_of
from resopt.tokens.ratios import TokenRatios, ratio_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def encode(text: str, model: str | None = None, *, special: bool = False) -> list[int]:
    """The tokens of a text, exactly as the model's own tokenizer gives them.

    Args:
        text: any text; a lone surrogate counts as U+FFFD, as in tiktoken.
        model: a model or the name of an encoding; None for `o200k_base`.
        special: read special tokens in the text as such, for text that is your own.

    Raises:
        ConfigurationError: the text is not a str, or the model's tokenizer is not public.
    """
    return own_encoding(model).encode(text, special=special)


def encode_many(texts: Iterable[str], model: str | None = None, *, special: bool = False) -> list[list[int]]:
    """The tokens of each of many texts; see `encode`. Other threads run meanwhile."""
    return own_encoding(model).encode_many(texts, special=special)


def decode(tokens: Sequence[int], model: str | None = None) -> str:
    """The text of tokens; bytes that are no whole character, as where a sequence was cut, become U+FFFD.

    Raises:
        ConfigurationError: a number is no token of the encoding, or the model's tokenizer is not public.
    """
    return own_encoding(model).decode(tokens)


def decode_many(sequences: Iterable[Sequence[int]], model: str | None = None) -> list[str]:
    """The text of each of many sequences of tokens; see `decode`. Other threads run meanwhile."""
    return own_encoding(model).decode_many(sequences)


def fits(text: str, max_tokens: int, model: str | None = None, *, ratios: TokenRatios | None = None) -> bool:
    """Whether a text has at most `max_tokens` tokens; reads no further than needed to know.

    For a model whose tokens are estimated, the high end of the band must fit.

    Args:
        text: any text.
        max_tokens: how many tokens there may be, at least 0.
        model: a model or the name of an encoding; None for `o200k_base`.
        ratios: what was learned about models whose tokenizer is not public.

    Raises:
        ConfigurationError: an argument is of the wrong type or negative.
    """
    known = tokens_of(DEFAULT if model is None else model)
    limit = _limit(text, max_tokens, model, known, ratios)
    return encoding_named(known.encoding).fits(text, limit)


def fits_many(
    texts: Iterable[str], max_tokens: int, model: str | None = None, *, ratios: TokenRatios | None = None
) -> list[bool]:
    """Whether each of many texts has at most `max_tokens` tokens; see `fits`. Other threads run meanwhile."""
    known = tokens_of(DEFAULT if model is None else model)
    if known.exact:
        return encoding_named(known.encoding).fits_many(texts, max_tokens)
    return [fits(text, max_tokens, model, ratios=ratios) for text in texts]


def truncate(text: str, max_tokens: int, model: str | None = None, *, ratios: TokenRatios | None = None) -> str:
    """The beginning of a text that has at most `max_tokens` tokens: the text itself when it fits.

    It is cut where a token ends and never inside a character, and counted again after the cut: the result has at most
    `max_tokens` tokens for certain, while the first `max_tokens` tokens decoded may have more when encoded again.

    Args:
        text: any text.
        max_tokens: how many tokens there may be, at least 0.
        model: a model or the name of an encoding; None for `o200k_base`. Where tokens are estimated, the high end of
            the band fits.
        ratios: what was learned about models whose tokenizer is not public.

    Raises:
        ConfigurationError: an argument is of the wrong type or negative.
    """
    known = tokens_of(DEFAULT if model is None else model)
    limit = _limit(text, max_tokens, model, known, ratios)
    return encoding_named(known.encoding).truncate(text, limit)


def truncate_many(
    texts: Iterable[str], max_tokens: int, model: str | None = None, *, ratios: TokenRatios | None = None
) -> list[str]:
    """The beginning of each of many texts; see `truncate`. Other threads run meanwhile."""
    known = tokens_of(DEFAULT if model is None else model)
    if known.exact:
        return encoding_named(known.encoding).truncate_many(texts, max_tokens)
    return [truncate(text, max_tokens, model, ratios=ratios) for text in texts]


def _limit(text: str, max_tokens: int, model: str | None, known: ModelTokens, ratios: TokenRatios | None) -> int:
    """Tokens of the known encoding that are at most `max_tokens` of the model."""
    if known.exact:
        return max_tokens
    if not _is_count(max_tokens):
        raise ConfigurationError("max_tokens must be an int of at least 0")
    return int(max_tokens / ratio_of(model or DEFAULT, text_class(text), ratios).high)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 0
