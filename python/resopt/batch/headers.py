"""What a provider's reply says about its limits.

OpenAI and who speaks its shape: `x-ratelimit-limit-requests`, `-remaining-requests`, `-reset-requests`, the same for
`tokens`; resets are durations such as `6m0s` or `20ms`. Anthropic: `anthropic-ratelimit-requests-limit`, `-remaining`,
`-reset`, the same for `tokens`, `input-tokens` and `output-tokens`; resets are RFC 3339 dates. A limit of -1 or 0 and a
remainder of -1 mean that it is not known.
"""

from __future__ import annotations

import re
import time
from datetime import UTC
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS = {"ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)")
_LONGEST = 7 * 86_400.0
"""Seconds beyond which a reset is not believed."""

_NAMES = {
    "requests": (("x-ratelimit-{}-requests", "anthropic-ratelimit-requests-{}")),
    "tokens": (("x-ratelimit-{}-tokens", "anthropic-ratelimit-tokens-{}")),
    "input_tokens": (("anthropic-ratelimit-input-tokens-{}",)),
    "output_tokens": (("anthropic-ratelimit-output-tokens-{}",)),
}


class Told(NamedTuple):
    """What a reply says of one resource; None where it says nothing.

    Attributes:
        limit: how much may be used in a minute.
        remaining: how much of that is left.
        reset: seconds until all of it is there again.
    """

    limit: float | None
    remaining: float | None
    reset: float | None


def read_limits(headers: Mapping[str, str]) -> dict[str, Told]:
    """What a reply says, by resource: `requests`, `tokens`, `input_tokens`, `output_tokens`; those it names."""
    found = {}
    for resource, names in _NAMES.items():
        for name in names:
            limit = _number(headers.get(name.format("limit")))
            remaining = _number(headers.get(name.format("remaining")))
            reset = read_duration(headers.get(name.format("reset")))
            limit = limit if limit is not None and limit > 0 else None
            if limit is not None or remaining is not None:
                found[resource] = Told(limit, remaining, reset)
                break
    return found


def read_duration(text: str | None) -> float | None:
    """Seconds of a duration (`6m0s`, `1h2m3.5s`, `20ms`, `1.5`) or until a date (RFC 3339); None when it is neither."""
    if text is None:
        return None
    text = text.strip().lower()
    seconds = _number(text)
    if seconds is None:
        parts = _PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
        else:
            seconds = _until(text)
    return seconds if seconds is not None and seconds <= _LONGEST else None


def _until(text: str) -> float | None:
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(text.upper())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    """A finite number of 0 or more; None for anything else, -1 included."""
    try:
        number = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return number if 0.0 <= number < float("inf") else None
