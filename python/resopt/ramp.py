"""The options that a gradual change is given: rising shares, chances, counts and seconds, each checked in one way."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from resopt.errors import ConfigurationError


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; a bool is none."""
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)


def check_between(name: str, value: Any, least: float, most: float) -> None:
    """Refuse what does not lie between two numbers, the ends excluded.

    Raises:
        ConfigurationError: it does not.
    """
    if not is_number(value) or not least < value < most:
        raise ConfigurationError(f"{name} must be a number between {least} and {most}, not {value!r}")


def check_count(name: str, value: Any) -> None:
    """Refuse what is no whole number above 0.

    Raises:
        ConfigurationError: it is not.
    """
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"{name} must be an int above 0, not {value!r}")


def check_callable(name: str, value: Any) -> None:
    """Refuse what can neither be called nor is None.

    Raises:
        ConfigurationError: it cannot.
    """
    if value is not None and not callable(value):
        raise ConfigurationError(f"{name} must be callable or None, not {type(value).__name__}")


def check_ramp(ramp: Any) -> tuple[float, ...]:
    """The steps of a ramp: rising per cents above 0, up to 100.

    Raises:
        ConfigurationError: they are something else.
    """
    steps = tuple(ramp) if isinstance(ramp, list | tuple) else ()
    if not steps or not all(map(is_number, steps)) or steps[0] <= 0 or steps[-1] > 100:
        raise ConfigurationError(f"ramp must be a list of rising per cents above 0, up to 100, not {ramp!r}")
    if any(step >= following for step, following in pairwise(steps)):
        raise ConfigurationError(f"ramp must rise from step to step, not be {ramp!r}")
    return steps
