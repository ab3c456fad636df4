"""The bounded queue's door: who may come in, who waits outside, who is turned away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from resopt.batch.fairness import FairQueue
from resopt.errors import QueueFullError
from resopt.flight.places import task_place

if TYPE_CHECKING:
    from collections.abc import Hashable

    from resopt.batch.running import Running
    from resopt.flight.places import TaskPlace


class Entry:
    """An item on its way.

    Attributes:
        outcome: its result in a tuple, once it is there.
        error: what it ended in instead.
        running: the batch it is in; None while it waits.
        left: its caller has gone.
    """

    __slots__ = ("error", "group", "item", "left", "outcome", "place", "queued_at", "running", "tenant", "weight")

    def __init__(self, item: Any, group: Hashable, tenant: Hashable, weight: float, place: TaskPlace) -> None:
        self.item, self.group, self.tenant, self.weight, self.place = item, group, tenant, weight, place
        self.queued_at = time.monotonic()
        self.outcome: tuple[Any] | None = None
        self.error: BaseException | None = None
        self.running: Running | None = None
        self.left = False


class WaitingRoom:
    """Counts who waits, and lets in as many as there is room for: `most`, and beyond it tenants with little in here.

    A tenant with less than its fair share of the room is let in when it is full, up to twice as many in all: so a flood
    of one cannot lock the others out.

    Args:
        most: entries that may wait.
        reject: turn away rather than let wait outside.
        counting: whether entries are of several tenants.

    Attributes:
        inside: entries that wait.
        outside: those that wait for room, in turns of their tenants.
    """

    def __init__(self, most: int, *, reject: bool, counting: bool) -> None:
        self._most, self._reject, self._counting = most, reject, counting
        self.inside = 0
        self.outside: FairQueue[Entry] = FairQueue()
        self._called = 0
        self._by_tenant: dict[Hashable, int] = {}

    @property
    def crowded(self) -> bool:
        """Whether who comes must ask first."""
        return self.inside >= self._most or bool(self.outside) or self._called > 0

    async def ask(self, entry: Entry) -> None:
        """Wait until there is room.

        Raises:
            QueueFullError: there is none, and none is waited for.
        """
        if self._has_room(entry.tenant) and (self._reject or not self.outside):
            return
        if self._reject:
            raise QueueFullError(f"{self.inside} items wait already; slow down, or raise max_queue")
        self.outside.push(entry)
        try:
            await entry.place.wait(None)
        except BaseException:
            if not self.outside.discard(entry):
                self._called -= 1
                self.call_in()  # the room that it was called into is another's
            raise
        self._called -= 1
        entry.place = task_place()

    def enter(self, entry: Entry) -> None:
        """One more waits."""
        self.inside += 1
        if self._counting:
            self._by_tenant[entry.tenant] = self._by_tenant.get(entry.tenant, 0) + 1

    def leave(self, entries: list[Entry]) -> None:
        """These wait no longer."""
        self.inside -= len(entries)
        for entry in entries if self._counting else ():
            left = self._by_tenant[entry.tenant] - 1
            if left:
                self._by_tenant[entry.tenant] = left
            else:
                del self._by_tenant[entry.tenant]

    def call_in(self, *, everyone: bool = False) -> None:
        """Let in who waits outside, as far as there is room."""
        while self.outside and (everyone or self.inside + self._called < self._most):
            self._called += 1
            self.outside.pop().place.wake()

    def clear(self) -> None:
        """Nobody waits inside any more."""
        self._by_tenant.clear()
        self.inside = 0

    def _has_room(self, tenant: Hashable) -> bool:
        if self.inside + self._called < self._most:
            return True
        own = self._by_tenant.get(tenant, 0)
        share = self._most // (len(self._by_tenant) + (own == 0)) if self._counting else 0
        return own < share and self.inside < 2 * self._most
