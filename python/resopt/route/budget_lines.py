"""Whose money it is and in which window: the lines of a budget's accounts."""

from __future__ import annotations

import time
from typing import Final, Literal, TypeAlias

import msgspec

Window: TypeAlias = Literal["minute", "day", "month"]
"""Calendar windows in UTC; a budget without one is spent for ever."""

Place: TypeAlias = tuple[str, str]
"""Which account: the limit's own name, and whose (a user, a tenant, a tag)."""

_SECONDS: Final = {"minute": 60, "day": 86_400}


def window_of(window: Window | None, now: float) -> int:
    """The number of the window that a moment lies in."""
    if window is None:
        return 0
    if window == "month":
        moment = time.gmtime(now)
        return moment.tm_year * 12 + moment.tm_mon
    return int(now // _SECONDS[window])


def resets_in(window: Window | None, now: float) -> float | None:
    """Seconds until the window of a moment ends; None without a window."""
    if window is None:
        return None
    if window == "month":
        import calendar

        moment = time.gmtime(now)
        year, month = divmod(moment.tm_year * 12 + moment.tm_mon, 12)
        return calendar.timegm((year, month + 1, 1, 0, 0, 0)) - now
    return _SECONDS[window] - now % _SECONDS[window]


class Line(msgspec.Struct, frozen=True):
    """One account that a call must fit: where it is, its window, and picodollars that it may hold."""

    place: Place
    window: Window | None
    most: int


class Account(msgspec.Struct):
    """One balance: the window's number, picodollars spent in it, and promised to calls in the air."""

    window: int = 0
    spent: int = 0
    promised: int = 0
