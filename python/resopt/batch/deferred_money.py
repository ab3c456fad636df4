"""Money set aside for deferred work: from the moment it is accepted until its answer is there, over restarts.

What is held follows from the rows in the file, and whoever opens that holds it again; a budget that was saved and
loaded knows by name what it held, and is settled for what has ended meanwhile. A process counts the rows that it
submitted, found in the file or drove; each process has a budget of its own.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from resopt.batch.deferred_rows import StoredEnd
from resopt.errors import BudgetExceededError
from resopt.gates import held, hold
from resopt.stage import Holding, Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from resopt.batch.deferred_rows import StoredRow
    from resopt.batch.deferred_store import Store
    from resopt.gates import Passes
    from resopt.stage import Gate
    from resopt.types import Request

DISCOUNT: Final = 50
"""Per cent that both providers take off what can wait."""


class _Work(NamedTuple):
    """A submission; a handle may be forgotten and used again, so it is told by its time too."""

    handle: str
    created: float


class Money:
    """What is held for the rows of one file; nothing where no gate keeps accounts of money.

    Args:
        store: the file. What is open in it is held at once, and what was held before and has ended is settled.
        gates: of which those that keep accounts are asked.
    """

    def __init__(self, store: Store, gates: Iterable[Gate]) -> None:
        self._store = store
        self._gates = tuple(gate for gate in gates if isinstance(gate, Holding))
        self._place = os.path.realpath(store.path)
        self._held: dict[_Work, dict[int, Passes]] = {}
        self._ended: dict[_Work, int] = {}
        self._lock = threading.RLock()
        if self._gates:
            self._find()
            self.count(store.rows("new"))
            self.count(store.rows("sent"))
            self.settle()

    @contextmanager
    def accepting(
        self, handle: str, created: float, deadline: float
    ) -> Iterator[Callable[[int, Request], StoredEnd | None]]:
        """Accept a submission; what was held for it is given back if it cannot be kept.

        Yields:
            What to call with the position and request of each row that will be sent: it returns the end of one that
            does not fit.
        """
        self.settle()
        work, taken = _Work(handle, created), dict[int, "Passes"]()

        def take(position: int, request: Request) -> StoredEnd | None:
            try:
                if self._gates:
                    taken[position] = self._hold(work, position, request, deadline)
            except BudgetExceededError as error:
                return StoredEnd(error=type(error).__name__, problem=str(error), free=True)
            return None

        try:
            yield take
        except BaseException:
            for passes in taken.values():
                passes.give_back()
            raise
        if taken:
            with self._lock:
                self._held.setdefault(work, {}).update(taken)

    def count(self, rows: Iterable[StoredRow]) -> None:
        """Hold for rows that others accepted, or this process before it was restarted: they count, fit or not."""
        if not self._gates:
            return
        works: dict[str, tuple[float, float]] = {}
        with self._lock:
            for row in rows:
                created, deadline = works.get(row.handle) or works.setdefault(row.handle, self._store.dates(row.handle))
                work = _Work(row.handle, created)
                here = self._held.setdefault(work, {})
                if row.position not in here:
                    here[row.position] = self._hold(work, row.position, row.request, deadline, placed=True)

    def direct(self, row: StoredRow) -> None:
        """A row has been, or is to be, asked for in another way, which sees to its own money.

        What was held is given back where the row is in no batch; else it may be billed there yet.
        """
        with self._lock:
            work = _Work(row.handle, self._store.dates(row.handle)[0])
            passes = self._held.get(work, {}).pop(row.position, None)
        # What a crash cut short while it was asked for directly may be in a batch as well.
        if passes is not None and (row.state == "sent" or (row.state == "sync" and row.attempts)):
            passes.settle(None, None)
        elif passes is not None:
            passes.give_back()

    def settle(self) -> None:
        """Settle for all rows that have ended, whoever saw to it."""
        with self._lock:
            for work, here in list(self._held.items()):
                self._settle_all(work, here)
                if not here:
                    del self._held[work]
                    self._ended.pop(work, None)

    def _settle_all(self, work: _Work, here: dict[int, Passes]) -> None:
        if self._store.dates(work.handle)[0] != work.created:  # another process has seen it end, and forgotten it
            for passes in here.values():
                passes.settle(None, None)
            here.clear()
        counts = self._store.counts(work.handle) if here else {}
        ended = counts.get("answered", 0) + counts.get("failed", 0)
        if ended and ended != self._ended.get(work):
            self._ended[work] = ended
            for position, end, via in self._store.ended(work.handle, here):
                _settle(here.pop(position), end, via)

    def _find(self) -> None:
        """Take up what the gates hold for rows of this file: they know it from before a restart."""
        for handle, created, position in self._store.places():
            work = _Work(handle, created)
            passes = held(self._gates, self._key(work, position))
            if passes is not None:
                self._held.setdefault(work, {})[position] = passes

    def _key(self, work: _Work, position: int) -> str:
        return f"{self._place}:{work.handle}:{work.created!r}:{position}"

    def _hold(self, work: _Work, position: int, request: Request, deadline: float, *, placed: bool = False) -> Passes:
        seconds = max(0.0, deadline - time.time())
        order = Order(key=self._key(work, position), seconds=seconds, discount=DISCOUNT, placed=placed)
        return hold(self._gates, request, order)


def _settle(passes: Passes, end: StoredEnd, via: str) -> None:
    """Settle with what a row ended in; what nobody is sure of is charged in full."""
    if end.free:
        passes.give_back()
    else:  # what another process asked for directly has an answer too, at its full price
        passes.settle(end.response if via in ("batch", "direct") else None, None)
