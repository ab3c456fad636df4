"""Checks of options: a wrong one is refused where it is given, with its name and what it should be."""

from __future__ import annotations

from resopt.errors import ConfigurationError

_INFINITY = float("inf")


def number(name: str, value: object, *, least: float, whole: bool = False) -> None:
    """Refuse anything but a finite number of at least that.

    Raises:
        ConfigurationError: names the option.
    """
    kind, word = (int, "an int") if whole else (int | float, "a number")
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value < _INFINITY:
        raise ConfigurationError(f"{name} must be {word} of at least {least:g}, not {value!r}")


def positive(name: str, value: object) -> None:
    """Refuse anything but a finite number above 0.

    Raises:
        ConfigurationError: names the option.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _INFINITY:
        raise ConfigurationError(f"{name} must be a number above 0, not {value!r}")


def share(name: str, value: object, *, zero: bool = False) -> None:
    """Refuse anything but a number between 0 and 1; 0 itself only where it makes sense.

    Raises:
        ConfigurationError: names the option.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 < value < 1 or (zero and value == 0)):
        raise ConfigurationError(f"{name} must be a number between 0 and 1, not {value!r}")


def text(name: str, value: object, *, empty: bool = False) -> None:
    """Refuse anything but a str; the empty one only where it makes sense.

    Raises:
        ConfigurationError: names the option.
    """
    if not isinstance(value, str) or not (value.strip() or empty):
        raise ConfigurationError(f"{name} must be a str{'' if empty else ' that is not empty'}, not {value!r}")


def function(name: str, value: object) -> None:
    """Refuse what cannot be called.

    Raises:
        ConfigurationError: names the option.
    """
    if not callable(value):
        raise ConfigurationError(f"{name} must be a function, not {type(value).__name__}")
