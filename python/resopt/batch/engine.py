"""Groups what many callers submit into batches: the machine behind `BatchProcessor`, `AdaptiveBatcher` and the rest.

One task per event loop, the runner, starts batches while there is something to do and ends when there is not: an idle
engine has no task, and needs none to be closed. A caller waits in a place of its own, so one that leaves takes only its
own item along; the batch it was in goes on for the others, and is cancelled when the last of them has left.
"""

from __future__ import annotations

import contextvars
import time
from typing import TYPE_CHECKING, Any

import anyio

from resopt.batch.fairness import FairQueue
from resopt.batch.figures import Tally
from resopt.batch.room import Entry, WaitingRoom
from resopt.batch.running import Running
from resopt.errors import ClosedError, ConfigurationError, QueueFullError, ResoptError
from resopt.flight.places import task_place
from resopt.terms import forget_terms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

    from resopt.batch.figures import BatchFigures
    from resopt.batch.sizes import Size
    from resopt.flight.places import TaskPlace

_UNREADY = float("inf")


class Engine:
    """Collects entries by group, and runs them in batches.

    Args:
        process: does the work of a batch: a list of items in, one result each out, an exception for one that failed.
        size: how large a batch may be now, told how each one went.
        wait: seconds that an item may wait for company while other batches run.
        eager: start a batch that is not full as soon as no other runs.
        concurrency: batches that run at once.
        max_queue: items that may wait.
        reject: raise when the queue is full, rather than wait for room.
        key: what an item may be in one batch with; None for any other.
        weigh: what an item counts for in the size of a batch; 1 when None.
        tenant_of: whose item it is; all are one's when None.
        isolate: when a batch fails as a whole, find the items at fault by halving it.
    """

    def __init__(
        self,
        process: Callable[[list[Any]], Awaitable[Sequence[Any]]],
        size: Size,
        *,
        wait: float,
        eager: bool,
        concurrency: int,
        max_queue: int,
        reject: bool,
        key: Callable[[Any], Hashable] | None,
        weigh: Callable[[Any], float] | None,
        tenant_of: Callable[[Any], Hashable] | None,
        isolate: bool,
    ) -> None:
        self.process, self.size, self.isolate = process, size, isolate
        self._wait, self._eager, self._concurrency = wait, eager, concurrency
        self._key, self._weigh, self._tenant_of = key, weigh, tenant_of
        self._plain = key is None and weigh is None and tenant_of is None
        self._groups: dict[Hashable, FairQueue[Entry]] = {}
        self._room = WaitingRoom(max_queue, reject=reject, counting=not self._plain)
        self._running: set[Running] = set()
        self._runner: TaskPlace | None = None
        self._bell = anyio.Event()
        self._closed = False
        self._drained: list[TaskPlace] = []
        self._tally = Tally()

    async def submit(self, item: Any) -> Any:
        """The item's result, when its batch has run.

        Raises:
            QueueFullError: there is no room, and the engine is to reject.
            ClosedError: the engine is closed.
        """
        if self._closed:
            raise ClosedError("this batcher is closed: make a new one")
        entry = self._entry(item)
        self._tally.submitted += 1
        if self._room.crowded:
            await self._ask_for_room(entry)
        self._enqueue(entry)
        try:
            await entry.place.woken()
        except BaseException:
            self._leave(entry)
            raise
        if entry.error is not None:
            raise entry.error
        assert entry.outcome is not None  # noqa: S101 - woken with one or the other
        return entry.outcome[0]

    async def close(self) -> None:
        """Take nothing more, run what waits without waiting for company, return when all has ended."""
        self._closed = True
        self._bell.set()
        while self._room.inside or self._running or self._room.outside:
            place = task_place()
            self._drained.append(place)
            await place.wait(None)

    def figures(self) -> BatchFigures:
        """What has been done so far."""
        return self._tally.figures(queued=self._room.inside, running=len(self._running), size=self.size.now)

    def _entry(self, item: Any) -> Entry:
        if self._plain:
            return Entry(item, None, None, 1.0, task_place())
        group = None if self._key is None else self._key(item)
        tenant = None if self._tenant_of is None else self._tenant_of(item)
        weight: object = 1.0 if self._weigh is None else self._weigh(item)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < _UNREADY:
            raise ConfigurationError(f"the weight of an item must be a number above 0, not {weight!r}")
        try:
            hash((group, tenant))
        except TypeError as error:
            raise ConfigurationError(f"key and tenant must give something hashable: {error}") from None
        return Entry(item, group, tenant, weight, task_place())

    async def _ask_for_room(self, entry: Entry) -> None:
        try:
            await self._room.ask(entry)
        except QueueFullError:
            self._tally.rejected += 1
            raise
        except BaseException:
            self._tally.cancelled += 1
            raise

    def _enqueue(self, entry: Entry) -> None:
        queue = self._groups.get(entry.group)
        if queue is None:
            queue = self._groups[entry.group] = FairQueue()
        queue.push(entry)
        self._room.enter(entry)
        if self._runner is None:
            self._start_runner()
        elif len(queue) == 1 or queue.weight >= self.size.now:
            self._bell.set()

    def _leave(self, entry: Entry) -> None:
        """The caller goes: out of the queue, or out of the batch."""
        if entry.outcome is not None or entry.error is not None:
            return
        entry.left = True
        self._tally.cancelled += 1
        if entry.running is not None:
            entry.running.left(entry)
            return
        queue = self._groups[entry.group]
        queue.discard(entry)
        if not queue:
            del self._groups[entry.group]
        self._room.leave([entry])
        self._room.call_in()
        self._bell.set()  # the runner may have nothing left to do

    def _start_runner(self) -> None:
        place = self._runner = task_place()

        def lost() -> None:
            if self._runner is place:  # its loop was shut down under it
                self._runner = None
                self._abandon()

        place.spawn(self._run(), contextvars.copy_context(), lost)

    async def _run(self) -> None:
        forget_terms()  # of whoever happened to come first
        async with anyio.create_task_group() as group:
            while self._room.inside or self._running or self._room.outside:
                self._bell = anyio.Event()
                pause = self._start_ready(group)
                if pause == _UNREADY:
                    await self._bell.wait()
                    continue
                with anyio.move_on_after(pause):
                    await self._bell.wait()
            self._runner = None
        self._tell_drained()

    def _tell_drained(self) -> None:
        drained, self._drained = self._drained, []
        for place in drained:
            place.wake()

    def _start_ready(self, group: Any) -> float:
        """Start all batches that may go now; seconds until the next one may, if nothing else happens."""
        while self._room.inside and len(self._running) < self._concurrency:
            now = time.monotonic()
            name, due = self._most_due()
            if due > now:
                return due - now
            running = self._take(name, now)
            self._running.add(running)
            group.start_soon(self._run_batch, running)
        return _UNREADY

    def _most_due(self) -> tuple[Hashable, float]:
        """The group to go next, and the moment when it may: full ones first, then who has waited longest."""
        idle = self._eager and not self._running
        best, best_due = None, _UNREADY
        for name, queue in self._groups.items():
            oldest = queue.oldest
            assert oldest is not None  # noqa: S101 - empty groups are deleted
            if queue.weight >= self.size.now:
                due = oldest.queued_at - _FULL_FIRST
            else:
                due = oldest.queued_at if idle or self._closed else oldest.queued_at + self._wait
            if due < best_due:
                best, best_due = name, due
                if len(self._groups) == 1:
                    break
        return best, best_due

    def _take(self, name: Hashable, now: float) -> Running:
        """The next batch of a group: at least one entry, and as many as fit."""
        queue = self._groups[name]
        demand = self._room.inside
        before = queue.weight
        entries = queue.take(self.size.now)
        weight = before - queue.weight
        self._room.leave(entries)
        if not queue:
            del self._groups[name]
        running = Running(self, entries, weight, demand)
        add = self._tally.wait.add
        for entry in entries:
            add(now - entry.queued_at)
            entry.running = running
        self._room.call_in()
        return running

    async def _run_batch(self, running: Running) -> None:
        started = time.monotonic()
        try:
            await running.run()
        finally:
            self._running.discard(running)
            running.abandon(ClosedError("the event loop ended before the batch did"))
            self.size.learn(len(running.entries), running.weight, running.demand, time.monotonic() - started)
            self._tally.batch(len(running.entries))
            self._bell.set()

    def settle(self, entry: Entry, outcome: tuple[Any] | None, error: BaseException | None) -> None:
        """Give an entry its end, once, and wake its caller."""
        if entry.outcome is not None or entry.error is not None or entry.left:
            return
        entry.outcome, entry.error = outcome, error
        if error is None:
            self._tally.done += 1
        else:
            self._tally.failed += 1
        entry.place.wake()

    def settle_all(self, entries: list[Entry], results: list[Any]) -> None:
        """Give entries what came back for each: its result, or its error."""
        home = None if self._runner is None else self._runner.home
        done = 0
        for entry, result in zip(entries, results, strict=True):
            if isinstance(result, Exception):
                self.settle(entry, None, result)
            elif entry.outcome is None and entry.error is None and not entry.left:
                entry.outcome = (result,)
                done += 1
                if entry.place.home is home:
                    entry.place.wake_here()
                else:
                    entry.place.wake()
        self._tally.done += done

    def _abandon(self) -> None:
        """The loop has gone: whoever still waits is told, so that nothing hangs."""
        error: ResoptError = ClosedError("the event loop ended before the batch did")
        for queue in list(self._groups.values()):
            for entry in queue.entries():
                self.settle(entry, None, error)
        self._groups.clear()
        self._room.clear()
        self._room.call_in(everyone=True)
        self._running.clear()
        self._tell_drained()


_FULL_FIRST = 1e6
"""Seconds by which a full batch is taken to have waited longer than any that is not."""
