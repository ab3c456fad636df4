"""Texts to tokens and back: encode, decode, cut to a length, ask whether one fits; one text or many.

With many texts the interpreter's lock is free while they are worked on, so other threads go on. What looks like a
special token in a text (`<|endoftext|>`) is ordinary text unless asked for: it is the user's, not the prompt's end.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from resopt._core import text_class
from resopt.tokens.given import flag_of, limit_of, several
from resopt.tokens.models import DEFAULT, encoding_named, own_encoding, tokens_of
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
    return own_encoding(model).encode(text, special=flag_of(special, "special"))


def encode_many(texts: Iterable[str], model: str | None = None, *, special: bool = False) -> list[list[int]]:
    """The tokens of each of many texts; see `encode`. Other threads run meanwhile."""
    return own_encoding(model).encode_many(several(texts), special=flag_of(special, "special"))


def decode(tokens: Sequence[int], model: str | None = None) -> str:
    """The text of tokens; bytes that are no whole character, as where a sequence was cut, become U+FFFD.

    Raises:
        ConfigurationError: a number is no token of the encoding, or the model's tokenizer is not public.
    """
    return own_encoding(model).decode(tokens)


def decode_many(sequences: Iterable[Sequence[int]], model: str | None = None) -> list[str]:
    """The text of each of many sequences of tokens; see `decode`. Other threads run meanwhile."""
    return own_encoding(model).decode_many(several(sequences, "sequences", "sequences of tokens"))


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
    model, limit = DEFAULT if model is None else model, limit_of(max_tokens)
    known = tokens_of(model)
    if not known.exact:
        limit = _estimated(text, limit, model, ratios)
    return encoding_named(known.encoding).fits(text, limit)


def fits_many(
    texts: Iterable[str], max_tokens: int, model: str | None = None, *, ratios: TokenRatios | None = None
) -> list[bool]:
    """Whether each of many texts has at most `max_tokens` tokens; see `fits`. Other threads run meanwhile."""
    known, limit = tokens_of(DEFAULT if model is None else model), limit_of(max_tokens)
    if known.exact:
        return encoding_named(known.encoding).fits_many(several(texts), limit)
    return [fits(text, limit, model, ratios=ratios) for text in several(texts)]


def truncate(text: str, max_tokens: int, model: str | None = None, *, ratios: TokenRatios | None = None) -> str:
    """The beginning of a text that has at most `max_tokens` tokens: the text itself when it fits.

    It is cut where a token ends and never inside a character, and counted again after the cut: the result has at most
    `max_tokens` tokens for certain, while the first `max_tokens` tokens decoded may have more when encoded again.

    Args:
        text: any text.
        max_tokens: how many tokens there may be, at least 0.
        model: a model or the name of an encoding; None for `o200k_base`. Where tokens are estimated, the high end of
            the band of what is returned fits, though a little more of the text might do as well.
        ratios: what was learned about models whose tokenizer is not public.

    Raises:
        ConfigurationError: an argument is of the wrong type or negative.
    """
    model, limit = DEFAULT if model is None else model, limit_of(max_tokens)
    known = tokens_of(model)
    encoding = encoding_named(known.encoding)
    if known.exact:
        return encoding.truncate(text, limit)
    while True:  # the beginning may be of another class than the whole, with another ratio: at most once for each class
        most = _estimated(text, limit, model, ratios)
        if encoding.fits(text, most):
            return text
        text = encoding.truncate(text, most)


def truncate_many(
    texts: Iterable[str], max_tokens: int, model: str | None = None, *, ratios: TokenRatios | None = None
) -> list[str]:
    """The beginning of each of many texts; see `truncate`. Other threads run meanwhile."""
    known, limit = tokens_of(DEFAULT if model is None else model), limit_of(max_tokens)
    if known.exact:
        return encoding_named(known.encoding).truncate_many(several(texts), limit)
    return [truncate(text, limit, model, ratios=ratios) for text in several(texts)]


def _estimated(text: str, max_tokens: int, model: str, ratios: TokenRatios | None) -> int:
    """Tokens of `DEFAULT` up to which a text of this class has a `high` of at most `max_tokens` in `count_tokens`."""
    high = ratio_of(model, text_class(text), ratios).high
    most = int(max_tokens / high)
    return most + 1 if ceil((most + 1) * high) <= max_tokens else most - (ceil(most * high) > max_tokens)
