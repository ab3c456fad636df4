"""What callers give beside the text, checked in one place: each wrong argument is one error that says what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any, Final

from resopt.errors import ConfigurationError

_MOST: Final = sys.maxsize
"""More than any text has: a greater limit is none."""


def limit_of(max_tokens: object) -> int:
    """How many tokens there may be.

    Raises:
        ConfigurationError: it is not an int of at least 0.
    """
    if type(max_tokens) is int and max_tokens >= 0:
        return max_tokens if max_tokens <= _MOST else _MOST  # noqa: FURB136 - min() takes twice as long as all this
    try:
        limit = -1 if isinstance(max_tokens, bool) else max_tokens.__index__()  # type: ignore[attr-defined]
    except AttributeError:
        limit = -1
    if limit < 0:
        given = "one below 0" if type(max_tokens) is int else type(max_tokens).__name__
        raise ConfigurationError(f"max_tokens must be an int of at least 0, not {given}")
    return min(limit, _MOST)


def several(given: Any, what: str = "texts", each: str = "str") -> Iterable[Any]:
    """Several texts or sequences; what each of them is, is checked where it is worked on.

    Raises:
        ConfigurationError: they are one text, or no iterable at all.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        one = "one: for one there is the function without _many" if isinstance(given, str) else type(given).__name__
        raise ConfigurationError(f"{what} must be several {each}, not {one}")
    return given


def text_of(text: object) -> str:
    """A text itself.

    Raises:
        ConfigurationError: it is not a str.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"text must be a str, not {type(text).__name__}")
    return text


def flag_of(value: object, name: str) -> bool:
    """An option that is on or off.

    Raises:
        ConfigurationError: it is no bool: a text such as `no` would be on.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, not {value!r:.60}")
    return value


def path_of(path: Any) -> Path:
    """The path of a file.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(path, str | PathLike) or "\0" in str(path):
        raise ConfigurationError(f"path must be the path of a file, not {path!r:.60}")
    return Path(path)
