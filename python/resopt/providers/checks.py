"""Checks of options: a wrong one is refused where it is given, with its name and what it should be."""

from __future__ import annotations

import math

from resopt.errors import ConfigurationError


def require_seconds(name: str, value: object) -> None:
    """Refuse anything but a finite number above 0.

    Raises:
        ConfigurationError: names the option.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigurationError(f"{name} must be a number of seconds above 0, not {value!r}")


def require_number(name: str, value: object, *, most: float = math.inf) -> None:
    """Refuse anything but a finite number from 0 to `most`.

    Raises:
        ConfigurationError: names the option.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most or value == math.inf:
        limit = "of 0 or more" if most == math.inf else f"from 0 to {most:g}"
        raise ConfigurationError(f"{name} must be a number {limit}, not {value!r}")


def require_whole(name: str, value: object, *, least: float = -math.inf, most: float = math.inf) -> None:
    """Refuse anything but an int from `least` to `most`.

    Raises:
        ConfigurationError: names the option.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        limits = f" of at least {least:g}" if least > -math.inf else ""
        limits += f" and at most {most:g}" if most < math.inf else ""
        raise ConfigurationError(f"{name} must be an int{limits}, not {value!r}")
