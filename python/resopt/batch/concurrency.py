"""How many calls may be in the air at once, learned from how they go.

Loss (429, 529, a timeout) cuts the limit by a factor, once for all calls that were in the air together; success raises
it by one per round of calls, and only while it is used up (AIMD, as TCP's congestion avoidance; doubling per round
until the first loss, as its slow start). A lengthening time to the first chunk lowers it before there is loss
(Gradient2 of Netflix's concurrency-limits: `limit = limit * gradient + sqrt(limit)`, with
`gradient = clamp(1.5 * long / now, 0.5, 1)`).
The total time of a call is never looked at: it depends on how much the model has to say.
"""

from __future__ import annotations

import math

_CUT = 0.7
_TOLERANCE = 1.5
_LONG = 1 / 600
"""Weight of one sample in the long-term time to the first chunk."""

_SMOOTH = 0.2
_WARM = 10


class Concurrency:
    """The limit of one channel. Not locked: its owner is.

    Args:
        start: the first limit.
        least: never below.
        most: never above.

    Attributes:
        flying: calls in the air.
        losses: how often the limit was cut.
    """

    def __init__(self, start: int, least: int, most: int) -> None:
        self._limit = float(start)
        self._least, self._most = float(least), float(most)
        self.flying = 0
        self.losses = 0
        self._slow_start = True
        self._first_chunk = 0.0
        self._samples = 0

    @property
    def limit(self) -> int:
        """Calls that may be in the air."""
        return int(self._limit)

    def succeeded(self, flying: int) -> None:
        """A call went well, when so many were in the air."""
        if flying * 1.25 < self._limit:
            return  # the limit was not in the way: nothing is known about a higher one
        self._limit = min(self._most, self._limit + (1.0 if self._slow_start else 1.0 / self._limit))

    def lost(self, epoch: int) -> None:
        """A call of an epoch met a limit. Calls begun before the last cut tell nothing new."""
        if epoch < self.losses:
            return
        self.losses += 1
        self._slow_start = False
        self._limit = max(self._least, self._limit * _CUT)

    def first_chunk(self, seconds: float, flying: int) -> None:
        """A call's first chunk came after so long, when so many were in the air."""
        if not 0 < seconds < math.inf:
            return
        self._samples += 1
        weight = max(_LONG, 1.0 / self._samples)
        self._first_chunk += weight * (seconds - self._first_chunk)
        if self._samples < _WARM or flying * 2 < self._limit:
            return
        if self._first_chunk > 2 * seconds:  # what made it long is over: forget it sooner
            self._first_chunk *= 0.95
        gradient = min(1.0, max(0.5, _TOLERANCE * self._first_chunk / seconds))
        if gradient < 1.0:
            self._slow_start = False
            wished = self._limit * gradient + math.sqrt(self._limit)
            smoothed = (1 - _SMOOTH) * self._limit + _SMOOTH * min(wished, self._limit)
            self._limit = min(self._most, max(self._least, smoothed))
