"""The simulated provider's rate limits: 429 beyond them, and the headers that tell of them before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from resopt.errors import ConfigurationError
from resopt.providers.checks import require_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

Algorithm = Literal["bucket", "window"]
"""`bucket` refills continuously, as OpenAI's and Anthropic's limits do; `window` all at once, at the end of each."""


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What each model allows.

    Attributes:
        requests_per_minute: requests in a window; None for any number.
        tokens_per_minute: tokens of prompts, and of answers as far as `max_tokens` asks for them; None for any number.
        window: seconds that both are for.
        algorithm: how they come back.
        silent: say nothing of limits in headers, not even `Retry-After`.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    window: float = 60.0
    algorithm: Algorithm = "bucket"
    silent: bool = False

    def __post_init__(self) -> None:
        require_seconds("window", self.window)
        for name in ("requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
                raise ConfigurationError(f"{name} must be a number above 0 or None, not {value!r}")
        if self.algorithm not in get_args(Algorithm):
            raise ConfigurationError(f"algorithm must be one of {', '.join(get_args(Algorithm))}")


class _Allowance:
    """One resource of one model."""

    def __init__(self, limit: float, limits: RateLimits, now: float) -> None:
        self.limit = self.level = limit
        self._limits = limits
        self._moved = now

    def refill(self, now: float) -> None:
        window = self._limits.window
        if self._limits.algorithm == "bucket":
            self.level = min(self.limit, self.level + (now - self._moved) * self.limit / window)
            self._moved = now
        elif now - self._moved >= window:
            self._moved += (now - self._moved) // window * window
            self.level = self.limit

    def seconds_until(self, amount: float, now: float) -> float:
        """Seconds until so much is there; 0 when it is."""
        missing = min(amount, self.limit) - self.level
        if missing <= 0:
            return 0.0
        if self._limits.algorithm == "window":
            return self._limits.window - (now - self._moved)
        return missing * self._limits.window / self.limit


class Meter:
    """The allowances of one model.

    Args:
        limits: what it allows.
        clock: seconds.
    """

    def __init__(self, limits: RateLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        given = {"requests": limits.requests_per_minute, "tokens": limits.tokens_per_minute}
        self._allowances = {name: _Allowance(limit, limits, clock()) for name, limit in given.items() if limit}

    def admit(self, tokens: int) -> float:
        """Count a request of so many tokens; seconds to wait when it is refused, which counts for nothing, else 0."""
        now = self._clock()
        wait = 0.0
        for name, allowance in self._allowances.items():
            allowance.refill(now)
            wait = max(wait, allowance.seconds_until(1.0 if name == "requests" else tokens, now))
        if not wait:
            for name, allowance in self._allowances.items():
                allowance.level -= 1.0 if name == "requests" else tokens
        return wait

    def headers(self, api: str, wait: float) -> dict[str, str]:
        """What a reply says of the limits, in the way of its API; with `Retry-After` when there is to be a wait."""
        if self._limits.silent:
            return {}
        now = self._clock()
        said = {"retry-after": f"{wait:.3f}"} if wait else {}
        for name, allowance in self._allowances.items():
            remaining = str(max(0, int(allowance.level)))
            reset = allowance.seconds_until(allowance.limit, now)
            if api == "/messages":
                date = datetime.now(UTC) + timedelta(seconds=reset)
                values = (f"{allowance.limit:.0f}", remaining, date.isoformat().replace("+00:00", "Z"))
                keys = [f"anthropic-ratelimit-{name}-{part}" for part in ("limit", "remaining", "reset")]
            else:
                values = (f"{allowance.limit:.0f}", remaining, _duration(reset))
                keys = [f"x-ratelimit-{part}-{name}" for part in ("limit", "remaining", "reset")]
            said.update(zip(keys, values, strict=True))
        return said


def _duration(seconds: float) -> str:
    """As OpenAI writes it: `6m0s`, `1.5s`, `20ms`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{rest:.3g}s" if minutes else f"{rest:.3g}s"
