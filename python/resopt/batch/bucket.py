"""How much of one resource (requests, tokens) may still be used: a token bucket that learns from the provider.

A bucket of `limit` refills continuously, `limit` in each window, as OpenAI's and Anthropic's own do. What a reply says
remains is the truth of the moment the provider counted: it has counted all calls that have ended, and of those in the
air we cannot know; so it bounds our own level from above, and with the calls in the air taken off from below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resopt.batch.headers import Told

_UNKNOWN = float("inf")
_FRACTION = 0.99
_PATIENCE = 30.0
"""Seconds after which one call may test whether a reset that is said to be far away is."""


class Bucket:
    """One resource of one channel. Not locked: its owner is.

    Args:
        limit: how much may be used in a window; None when that is to be learned.
        window: seconds.
        now: the clock.

    Attributes:
        limit: how much may be used in a window; infinite while it is unknown.
        level: how much may be used now.
        told: the provider says what is left, so that nobody has to reckon.
    """

    __slots__ = ("_closed_until", "_fixed", "_moved", "_probe_at", "level", "limit", "told", "window")

    def __init__(self, limit: float | None, window: float, now: float) -> None:
        self.limit = _UNKNOWN if limit is None else limit
        self.level = self.limit
        self.window = window
        self._moved = now
        self._fixed = limit is not None
        self._closed_until = 0.0
        self._probe_at = 0.0
        self.told = False

    @property
    def known(self) -> bool:
        """Whether there is a limit."""
        return self.limit != _UNKNOWN

    def refill(self, now: float) -> None:
        """Let the level rise to this moment."""
        since = max(self._moved, self._closed_until)
        if self._closed_until and now >= self._closed_until:
            self.level = max(self.level, self.limit)
            self._closed_until = 0.0
        if self.known and now > since:
            self.level = min(self.limit, self.level + (now - since) * self.limit / self.window)
        self._moved = now

    def seconds_until(self, amount: float, now: float) -> float:
        """Seconds until so much may be used; 0 when it may be now. More than there ever is waits for all there is."""
        missing = min(amount, self.limit) - self.level
        if missing <= 1e-9 or not self.known:
            return 0.0
        if self._closed_until > now:
            return max(0.0, min(self._closed_until, self._probe_at) - now)
        return missing * self.window / self.limit

    def use(self, amount: float) -> None:
        """Take so much; what has been used beyond the level is owed."""
        if self.known:
            if self.level < amount and self._closed_until:
                self._probe_at = self._moved + _PATIENCE
            self.level -= amount

    def give_back(self, amount: float) -> None:
        """Return what was taken and not used; negative when more was."""
        if self.known:
            self.level = min(self.limit, self.level + amount)

    def learn(self, told: Told, flying: float, now: float) -> None:
        """Believe a reply.

        Args:
            told: what it says.
            flying: what calls in the air have taken, which it may or may not have counted.
            now: the clock.
        """
        if told.limit is not None and not (self._fixed and told.limit >= self.limit):
            if not self.known:
                self.level = told.limit
            self.limit = told.limit
            self.level = min(self.level, self.limit)
        if told.remaining is None or not self.known:
            return
        self.told = True
        # Rounded down by who says it: below the next whole number nothing is known.
        self.level = min(max(self.level, told.remaining - flying), told.remaining + _FRACTION)
        used = self.limit - told.remaining
        if told.reset is None or used <= 0:
            return
        # A bucket that refills would be full again after `used / rate`; a much later reset means a window that does not
        # refill before its end.
        refilled = used * self.window / self.limit
        late = told.reset > 1.5 * refilled + 0.02 * self.window
        if not late:
            self._closed_until = 0.0
        elif not self._closed_until:
            self._probe_at = now + _PATIENCE
        if late:
            self._closed_until = now + told.reset
