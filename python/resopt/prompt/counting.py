"""How the room counts tokens: exactly, in the encoding of the model, or by the one nearest to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resopt.errors import ConfigurationError
from resopt.tokens.models import encoding_named, tokens_of

if TYPE_CHECKING:
    from resopt._core import Encoding


def encoding_of(model: str | None) -> Encoding:
    """The encoding by which a model's tokens are counted; `o200k_base` where its own is not public.

    Raises:
        ConfigurationError: the model is not a str.
    """
    if model is None or model == "":
        return encoding_named("o200k_base")
    return encoding_named(tokens_of(model).encoding)


def text_of(value: object, name: str) -> str:
    """The text itself, or an error that names it.

    Raises:
        ConfigurationError: it is not a str.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a str, not {type(value).__name__}")
    return value


def query_of(value: object) -> str:
    """The question itself.

    Raises:
        ConfigurationError: it is not a str, or holds lone surrogates.
    """
    query = text_of(value, "query")
    if not is_sound(query):
        raise ConfigurationError("query holds lone surrogates, which cannot be sent: decode it properly")
    return query


def is_sound(text: str) -> bool:
    """Whether a text is Unicode proper: one with lone surrogates cannot be sent and is left alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
