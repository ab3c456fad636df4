"""A queue that is fair between tenants: whoever has been served least goes next, a flood delays only its own tenant.

Start-time fair queueing (Goyal, Vin & Cheng 1996): each tenant has a virtual time that grows by the weight served; the
tenant with the least goes first; one that was away starts at the present, with no credit for its absence. Pushing,
taking and withdrawing cost O(log tenants); while all that wait are of one tenant, nothing is reckoned at all.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable


class Queued(Protocol):
    """What can wait in a `FairQueue`."""

    @property
    def tenant(self) -> Hashable:
        """Whose it is."""
        ...

    @property
    def weight(self) -> float:
        """What serving it counts for."""
        ...


E = TypeVar("E", bound=Queued)

_REMEMBERED = 1_024
"""Tenants beyond which those that wait for nothing are forgotten."""


class FairQueue(Generic[E]):
    """Entries of many tenants; an entry is in the queue at most once. Not locked: its owner is.

    Attributes:
        weight: of all entries together.
    """

    __slots__ = ("_arrival", "_lines", "_now", "_served", "_sole", "_turn", "_turns", "_turns_given", "weight")

    def __init__(self) -> None:
        self.weight = 0.0
        # Ordered dicts, because taking the first of a plain dict again and again is quadratic.
        self._arrival: OrderedDict[E, None] = OrderedDict()
        self._sole: Hashable = None  # the tenant of all entries, while there are no lines
        self._lines: dict[Hashable, OrderedDict[E, None]] = {}
        self._served: dict[Hashable, float] = {}
        self._turns: list[tuple[float, int, Hashable]] = []
        self._turn: dict[Hashable, int] = {}
        self._turns_given = 0
        self._now = 0.0

    def __len__(self) -> int:
        """Entries that wait."""
        return len(self._arrival)

    def __contains__(self, entry: E) -> bool:
        return entry in self._arrival

    @property
    def oldest(self) -> E | None:
        """The entry that has waited longest, or None."""
        return next(iter(self._arrival), None)

    def entries(self) -> list[E]:
        """All entries, the oldest first."""
        return list(self._arrival)

    def push(self, entry: E) -> None:
        """Add an entry at the end of its tenant's line."""
        if self._lines:
            self._line_up(entry)
        elif not self._arrival:
            self._sole = entry.tenant
        elif entry.tenant != self._sole:
            for earlier in self._arrival:
                self._line_up(earlier)
            self._line_up(entry)
        self._arrival[entry] = None
        self.weight += entry.weight

    def peek(self) -> E | None:
        """The entry that `pop` would take; None when there is none."""
        while self._turns:
            _, number, tenant = self._turns[0]
            if self._turn.get(tenant) == number:
                return next(iter(self._lines[tenant]))
            heappop(self._turns)  # the tenant had withdrawn all it had
        return next(iter(self._arrival), None)

    def pop(self) -> E:
        """Take the entry whose turn it is.

        Raises:
            IndexError: there is none.
        """
        entry = self.peek()
        if entry is None:
            raise IndexError("the queue is empty")
        if not self._lines:
            self._remove(entry)
            return entry
        turn, _, tenant = heappop(self._turns)
        self._now = max(self._now, turn)
        self._served[tenant] = self._now + entry.weight
        self._remove(entry)
        if tenant in self._lines:
            self._call(tenant)
        if len(self._served) > _REMEMBERED:
            self._served = {name: time for name, time in self._served.items() if time > self._now or name in self._turn}
        return entry

    def take(self, most: float) -> list[E]:
        """Take entries in turn as long as they weigh no more than this together; at least one, if there is one."""
        taken: list[E] = []
        weight = 0.0
        if not self._lines:
            arrival = self._arrival
            while arrival:
                entry = next(iter(arrival))
                weight += entry.weight
                if weight > most and taken:
                    break
                del arrival[entry]
                self.weight -= entry.weight
                taken.append(entry)
            if not arrival:
                self.weight = 0.0
            return taken
        while (head := self.peek()) is not None and (not taken or weight + head.weight <= most):
            weight += head.weight
            taken.append(self.pop())
        return taken

    def discard(self, entry: E) -> bool:
        """Withdraw an entry; whether it was there."""
        if entry not in self._arrival:
            return False
        self._remove(entry)
        return True

    def _line_up(self, entry: E) -> None:
        tenant = entry.tenant
        line = self._lines.get(tenant)
        if line is None:
            line = self._lines[tenant] = OrderedDict()
            self._served[tenant] = max(self._served.get(tenant, 0.0), self._now)
            self._call(tenant)
        line[entry] = None

    def _call(self, tenant: Hashable) -> None:
        self._turns_given += 1  # breaks ties: tenants need not be comparable
        self._turn[tenant] = self._turns_given
        heappush(self._turns, (self._served[tenant], self._turns_given, tenant))

    def _remove(self, entry: E) -> None:
        del self._arrival[entry]
        self.weight = self.weight - entry.weight if self._arrival else 0.0
        if not self._lines:
            return
        line = self._lines[entry.tenant]
        del line[entry]
        if not line:
            del self._lines[entry.tenant]
            del self._turn[entry.tenant]
        if not self._arrival:
            self._turns.clear()
