"""Money set aside for deferred work: from the moment it is accepted until its answer is there, over restarts.

What is held is not written down: it follows from the rows that are, and whoever opens their file holds it again. A
process counts the rows that it submitted, found in the file or drove; each process has a budget of its own.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from resopt.batch.deferred_rows import StoredEnd
from resopt.errors import BudgetExceededError
from resopt.gates import hold
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


class Money:
    """What is held for the rows of one file; nothing where no gate keeps accounts of money.

    Args:
        store: the file. What is open in it is held at once.
        gates: of which those that keep accounts are asked.
    """

    def __init__(self, store: Store, gates: Iterable[Gate]) -> None:
        self._store = store
        self._gates = tuple(gate for gate in gates if isinstance(gate, Holding))
        self._place = os.path.realpath(store.path)
        self._held: dict[str, dict[int, Passes]] = {}
        self._ended: dict[str, int] = {}
        self._lock = threading.Lock()
        if self._gates:
            self.count(store.rows("new"))
            self.count(store.rows("sent"))

    @contextmanager
    def accepting(self, handle: str, deadline: float) -> Iterator[Callable[[int, Request], StoredEnd | None]]:
        """Accept a submission; what was held for it is given back if it cannot be kept.

        Yields:
            What to call with the position and request of each row that will be sent: it returns the end of one that
            does not fit.
        """
        held: dict[int, Passes] = {}

        def take(position: int, request: Request) -> StoredEnd | None:
            try:
                if self._gates:
                    held[position] = self._hold(handle, position, request, deadline)
            except BudgetExceededError as error:
                return StoredEnd(error=type(error).__name__, problem=str(error), free=True)
            return None

        try:
            yield take
        except BaseException:
            for passes in held.values():
                passes.give_back()
            raise
        if held:
            with self._lock:
                self._held.setdefault(handle, {}).update(held)

    def count(self, rows: Iterable[StoredRow]) -> None:
        """Hold for rows that others accepted, or this process before it was restarted: they count, fit or not."""
        if not self._gates:
            return
        deadlines: dict[str, float] = {}
        with self._lock:
            for row in rows:
                held = self._held.setdefault(row.handle, {})
                if row.position not in held:
                    if row.handle not in deadlines:
                        deadlines[row.handle] = self._store.deadline_of(row)
                    due = deadlines[row.handle]
                    held[row.position] = self._hold(row.handle, row.position, row.request, due, placed=True)

    def direct(self, rows: Iterable[StoredRow]) -> None:
        """These rows are asked for in another way now, which sees to its own money; what was sent may yet be billed."""
        with self._lock:
            for row in rows:
                passes = self._held.get(row.handle, {}).pop(row.position, None)
                if passes is not None and row.state == "sent":
                    passes.settle(None, None)
                elif passes is not None:
                    passes.give_back()

    def settle(self) -> None:
        """Settle for all rows that have ended, whoever saw to it."""
        with self._lock:
            for handle, held in list(self._held.items()):
                self._settle_all(handle, held)
                if not held:
                    del self._held[handle]
                    self._ended.pop(handle, None)

    def _settle_all(self, handle: str, held: dict[int, Passes]) -> None:
        if self._store.work(handle) is None:  # another process has seen it end, and forgotten it
            for passes in held.values():
                passes.settle(None, None)
            held.clear()
        counts = self._store.counts(handle)
        ended = counts.get("answered", 0) + counts.get("failed", 0)
        if held and ended != self._ended.get(handle):
            self._ended[handle] = ended
            for position, end, via in self._store.ended(handle, held):
                _settle(held.pop(position), end, via)

    def _hold(self, handle: str, position: int, request: Request, deadline: float, *, placed: bool = False) -> Passes:
        order = Order(
            key=f"{self._place}:{handle}:{position}",
            seconds=max(0.0, deadline - time.time()),
            discount=DISCOUNT,
            placed=placed,
        )
        return hold(self._gates, request, order)


def _settle(passes: Passes, end: StoredEnd, via: str) -> None:
    """Settle with what a row ended in; what nobody is sure of is charged in full."""
    if end.free:
        passes.give_back()
    else:
        passes.settle(end.response if via == "batch" else None, None)
