"""What was counted already: of several voices on one decision the first counts, for whoever watches without end.

Tests that may be looked at all the time take their values for independent. Four voices on one answer are one value said
four times: counted as four, they make false alarms many times as frequent as promised.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

KEEP: Final = 10_000
"""Decisions held in mind; a voice on one that was counted longer ago counts anew."""


class Once:
    """The last decisions that were counted. The lock is its owner's.

    Args:
        keep: how many.
    """

    __slots__ = ("_keep", "_names")

    def __init__(self, keep: int = KEEP) -> None:
        self._keep = keep
        self._names: OrderedDict[str, None] = OrderedDict()

    def first(self, name: str) -> bool:
        """Whether a decision was not counted yet; from now on it is. One without a name is new each time."""
        if not name:
            return True
        if name in self._names:
            return False
        self._names[name] = None
        if len(self._names) > self._keep:
            self._names.popitem(last=False)
        return True

    def names(self) -> list[str]:
        """What is held in mind, the oldest first."""
        return list(self._names)

    def restore(self, names: Iterable[str]) -> None:
        """Hold in mind what `names` gave."""
        self._names = OrderedDict.fromkeys(list(names)[-self._keep :] if self._keep else ())
