"""How large a batch may be: fixed, or as large as the measured service time allows."""

from __future__ import annotations

from typing import Protocol

_MEMORY = 0.9
"""What an observation weighs after the next one: about the last ten batches count."""

_BAND = 0.1
"""How far the service time may lie from its target before the size follows: without it, a size at the edge would go up
and down for ever."""

_SHRINK = 0.8
_GROWTH = 2.0


class Size(Protocol):
    """Decides how large batches are."""

    @property
    def now(self) -> float:
        """What a batch may weigh now."""
        ...

    def learn(self, items: int, weight: float, demand: int, seconds: float) -> None:
        """Told of each batch: its items, their weight, the items that waited when it was formed, what it took."""
        ...


class FixedSize:
    """Always the same."""

    def __init__(self, size: float) -> None:
        self.now = size

    def learn(self, items: int, weight: float, demand: int, seconds: float) -> None:
        """Changes nothing."""


class AdaptiveSize:
    """Between two bounds: follows the demand, as long as batches stay within a target.

    The ceiling grows additively while batches are full and quicker than the target, and shrinks multiplicatively when
    they are slower (AIMD on batch size, Clipper, NSDI 2017). Around the target is a band in which it does not move, and
    it grows only where the larger batch, by the line `seconds = base + each * weight` fitted to recent batches
    (BentoML's model), would still be within: so it settles under steady load instead of sawing.

    Args:
        least: never below.
        most: never above.
        target: seconds that a batch may take; None for twice what the smallest batch takes by the fitted line, the
            point from which on a larger batch delays its items more than it saves.
        start: the first ceiling.

    Attributes:
        now: the ceiling, or less when less is asked for; what a batch may weigh.
    """

    def __init__(self, least: float, most: float, target: float | None, start: float) -> None:
        self._least, self._most, self._target = least, most, target
        self._ceiling = float(start)
        self._demand = float(start)
        # Exponentially weighted sums of the fit.
        self._n = self._x = self._y = self._xx = self._xy = 0.0
        self.now = self._ceiling

    @property
    def ceiling(self) -> float:
        """What the service time allows."""
        return self._ceiling

    def learn(self, items: int, weight: float, demand: int, seconds: float) -> None:
        """Follow one batch."""
        self._follow(weight, weight * demand / items, seconds)
        self.now = max(self._least, min(self._ceiling, round(self._demand)))

    def _follow(self, weight: float, waiting: float, seconds: float) -> None:
        self._demand += (1 - _MEMORY) * (waiting - self._demand) if waiting < self._demand else waiting - self._demand
        self._observe(weight, seconds)
        target = self._limit()
        if target is None:
            return
        if seconds > target * (1 + _BAND) and self._predict(weight) > target * (1 + _BAND):
            # The batch may have been smaller than the ceiling: what was too slow is its own size.
            self._ceiling = max(self._least, min(self._ceiling, weight) * _SHRINK)
        elif weight >= 0.9 * self.now:
            step = max(1.0, 0.1 * self._ceiling)
            larger = min(self._most, self._ceiling + step)
            if self._predict(larger) <= target * (1 - _BAND):
                self._ceiling = larger

    def _observe(self, x: float, y: float) -> None:
        self._n = _MEMORY * self._n + 1.0
        self._x = _MEMORY * self._x + x
        self._y = _MEMORY * self._y + y
        self._xx = _MEMORY * self._xx + x * x
        self._xy = _MEMORY * self._xy + x * y

    def _line(self) -> tuple[float, float]:
        """Seconds of an empty batch, and of each unit of weight: least squares, neither below 0."""
        spread = self._n * self._xx - self._x * self._x
        mean = self._y / self._n
        if spread <= 1e-9 * self._n * self._xx:  # batches of one size: nothing is known of others
            return mean, 0.0
        each = max(0.0, (self._n * self._xy - self._x * self._y) / spread)
        base = mean - each * self._x / self._n
        return (base, each) if base >= 0 else (0.0, self._xy / self._xx)

    def _predict(self, weight: float) -> float:
        base, each = self._line()
        return base + each * weight

    def _limit(self) -> float | None:
        return self._target if self._target is not None else _GROWTH * self._predict(self._least)
