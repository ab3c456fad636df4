"""The compiled core of resopt: typed surface, documented here."""

from collections.abc import Iterable
from typing import Any, final

__version__: str

@final
class KeySpace:
    """A set of keys of its own: the same value in another space has an unrelated key.

    Keys are the same in every process and release that share the namespace and secret.

    Args:
        namespace: separates the keys of one use from those of another.
        secret: bytes without which nobody can compute or test a key; None for keys that anyone can compute.

    Raises:
        ConfigurationError: the secret is empty.
    """

    def __new__(cls, namespace: str = "", secret: bytes | None = None) -> KeySpace: ...
    def key(self, value: Any, /) -> bytes:
        """The 16 bytes that identify a value of plain data.

        Raises:
            UnkeyableError: the value holds something that is not plain data; the message names the path to it.
        """

@final
class Sketch:
    """Quantiles of a stream of non-negative numbers, within a relative error, in bounded memory.

    Latencies are judged by their upper quantiles; keeping every one would cost memory without end. This keeps counts in
    bins that grow geometrically (DDSketch: Masson, Rim, Lee, VLDB 2019), so `quantile` is within `relative_error` of
    the true value whatever the distribution, and two sketches merge without loss. When more than `max_bins` bins would
    be needed, the lowest are folded together: the upper quantiles keep the guarantee. With the defaults that happens
    only when the largest value is more than 10**17 times the smallest. Safe to use from many threads.

    Args:
        relative_error: largest error of a quantile, as a share of it: 0.01 is 1 %. From 0.0001 to 0.5.
        max_bins: bins kept at most, 8 bytes each. From 16 to 65,536.

    Raises:
        ConfigurationError: an option is out of range.
    """

    def __new__(cls, relative_error: float = 0.01, max_bins: int = 2048) -> Sketch: ...
    def add(self, value: float, /) -> None:
        """Count one value.

        Raises:
            ConfigurationError: it is negative, infinite or not a number; nothing is counted then.
        """

    def add_many(self, values: Iterable[float], /) -> None:
        """Count every value, or none when one of them is not allowed.

        Raises:
            ConfigurationError: a value is negative, infinite or not a number.
        """

    def merge(self, other: Sketch, /) -> None:
        """Count everything that `other` has counted; the result equals the sketch of the union.

        Raises:
            ConfigurationError: the two were made with other options.
        """

    def quantile(self, q: float, /) -> float | None:
        """The value below which a share `q` (0 to 1) of all values lies; None when nothing was counted.

        It estimates the element of rank `floor(q * (count - 1))` in sorted order; 0 and 1 give the exact ends.

        Raises:
            ConfigurationError: `q` lies outside 0 to 1.
        """

    def to_bytes(self) -> bytes:
        """The sketch as bytes, versioned and checksummed."""

    @staticmethod
    def from_bytes(data: bytes, /) -> Sketch:
        """Read back what `to_bytes` wrote.

        Raises:
            ConfigurationError: the bytes are cut short, changed or of another version.
        """

    @property
    def count(self) -> int:
        """How many values were counted."""

    @property
    def sum(self) -> float:
        """Their sum (compensated: rounding errors do not add up)."""

    @property
    def minimum(self) -> float | None:
        """The smallest value, exactly; None when nothing was counted."""

    @property
    def maximum(self) -> float | None:
        """The largest value, exactly; None when nothing was counted."""
