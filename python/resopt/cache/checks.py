"""What numbers may be, checked where they come in."""

from __future__ import annotations

from resopt.errors import ConfigurationError


def seconds(name: str, value: object) -> float:
    """A deadline in seconds, or an error that names it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 3_600:
        raise ConfigurationError(f"{name} must be seconds between 0 and 3,600, not {value!r}")
    return float(value)


def share(name: str, value: object) -> float:
    """A number from 0 to 1, or an error that names it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigurationError(f"{name} must be a number from 0 to 1, not {value!r}")
    return float(value)


def count(name: str, value: object, least: int = 1) -> int:
    """A whole number, or an error that names it."""
    if type(value) is not int or value < least:
        raise ConfigurationError(f"{name} must be a whole number from {least} up, not {value!r}")
    return value


def not_a(name: str, kind: type, value: object) -> ConfigurationError:
    """The error for a value of another type."""
    return ConfigurationError(f"{name} must be a {kind.__name__}, not {type(value).__name__}")


def exactly_one(what: str, **values: object) -> None:
    """Refuse none and several of the arguments by which something is chosen."""
    given = [name for name, value in values.items() if value is not None]
    if len(given) != 1:
        raise ConfigurationError(f"{what} takes exactly one of {', '.join(values)}, not {given}")
