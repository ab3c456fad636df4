"""One step of deferred work: hand in what is new, find what a crash left, look at what is done, save what is late.

Only what the provider says it did not do is sent again: rows of a batch that expired or was cancelled, and rows that it
failed with an error of its own. A row that was answered in a way that nobody can read, or of which nothing is said,
may be billed already: it ends in an error, and is not sent again.
"""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio
import msgspec

from resopt.batch.deferred_ends import failure, missing, too_late
from resopt.batch.deferred_money import DISCOUNT
from resopt.batch.deferred_rows import StoredEnd, StoredPart, StoredRow
from resopt.errors import BadRequestError, BudgetExceededError, ProviderError, ResoptError
from resopt.gates import unbilled
from resopt.terms import on_terms
from resopt.types import Detour

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from resopt.batch.books import Books
    from resopt.batch.deferred_money import Money
    from resopt.batch.deferred_store import Store
    from resopt.types import Request, Response

_HALF = Detour(discount=DISCOUNT)
_PATIENCE = 60.0
"""Seconds until a budget that refused to ask for a late row directly is asked again."""

_COMMIT = 500
"""Rows that are written at once."""

_DIRECT = "direct"
_BATCH = "batch"


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How deferred work is driven; see `Deferred`."""

    margin: float
    attempts: int
    concurrency: int
    most_rows: int | None


class Driver:
    """Does the steps; whoever calls them holds the right to drive."""

    def __init__(
        self,
        store: Store,
        apis: dict[str, Any],
        books: Books,
        complete: Callable[[Request], Awaitable[Response]] | None,
        pace: Pace,
        money: Money,
    ) -> None:
        self._store, self._apis, self._books, self._complete, self._pace = store, apis, books, complete, pace
        self._money = money
        self._not_before: dict[str, float] = {}
        self._refused: dict[int, float] = {}

    async def step(self) -> None:
        """Everything that can be done now."""
        for part in self._store.parts():
            await self._look_after(part)
        await self._save_the_late()
        await self._hand_in()
        await self._tell()

    def seconds_to_sleep(self, wanted: float) -> float:
        """How long to do nothing: until the next look, but not past the moment when a deadline is near."""
        soonest = self._store.soonest_deadline()
        if soonest is None:
            return wanted
        until = soonest - self._pace.margin - time.time()
        return min(wanted, until) if until > 0 else min(wanted, 1.0)

    # ---- handing in

    async def _hand_in(self) -> None:
        for rows in await anyio.to_thread.run_sync(self._groups):
            for part, numbers, encoded in await anyio.to_thread.run_sync(list, self._packed(rows)):
                await anyio.to_thread.run_sync(self._store.pack, part, numbers)
                await self._make(part, encoded)

    def _groups(self) -> list[list[StoredRow]]:
        """New rows that go into one batch: of one API, model and deadline."""
        groups: dict[tuple[str, str, str], list[StoredRow]] = {}
        rows = self._store.rows("new")
        self._money.count(rows)
        for row in rows:
            if row.request.api in self._apis:
                groups.setdefault((row.request.api, row.request.model, row.handle), []).append(row)
        return list(groups.values())

    def _packed(self, rows: list[StoredRow]) -> Iterator[tuple[StoredPart, list[int], list[bytes]]]:
        """Rows as batches that the provider takes: neither too many nor too large."""
        api = self._apis[rows[0].request.api]
        most = min(api.most_rows, self._pace.most_rows or api.most_rows)
        deadline = self._store.deadline_of(rows[0])

        def part() -> StoredPart:
            return StoredPart(tag, api.api, None, "making", time.time(), len(numbers), deadline)

        tag, size = uuid4().hex, 0
        numbers: list[int] = []
        encoded: list[bytes] = []
        for row in rows:
            line = api.encode(f"{tag}-{row.number}", row.request)
            if numbers and (len(numbers) >= most or size + len(line) + 1 > api.most_bytes):
                yield part(), numbers, encoded
                tag, numbers, encoded, size = uuid4().hex, [], [], 0
                line = api.encode(f"{tag}-{row.number}", row.request)
            numbers.append(row.number)
            encoded.append(line)
            size += len(line) + 1
        if numbers:
            yield part(), numbers, encoded

    async def _make(self, part: StoredPart, encoded: list[bytes]) -> None:
        try:
            made = await self._apis[part.api].create(part.tag, encoded)
        except BadRequestError as error:
            self._fail_part(part, error, free=True)
        except ProviderError:
            self._wait_for(part)  # it may exist all the same: the next step looks for it
        else:
            self._store.mark(part.tag, "sent", made.id)

    def _fail_part(self, part: StoredPart, error: ProviderError, *, free: bool) -> None:
        rows = self._store.rows_of(part.tag)
        end = StoredEnd(error=type(error).__name__, problem=str(error), status=error.status, free=free)
        self._store.end([(row.number, end) for row in rows], _BATCH)
        self._store.mark(part.tag, "collected")

    # ---- looking after batches

    async def _look_after(self, part: StoredPart) -> None:
        api = self._apis.get(part.api)
        if api is None or time.monotonic() < self._not_before.get(part.tag, 0.0):
            return
        try:
            if part.remote is None:
                await self._find(api, part)
                return
            batch = await api.get(part.remote)
            if batch.state == "running":
                if self._is_late(part.deadline) and part.state != "stopping":
                    self._store.mark(part.tag, "stopping")
                    batch = await api.cancel(part.remote)
                if batch.state == "running":
                    return
            await self._collect(api, part, batch)
        except ProviderError as error:
            if error.status == 404 and part.remote is not None:
                self._fail_part(part, error, free=False)
            else:
                self._wait_for(part)

    async def _find(self, api: Any, part: StoredPart) -> None:
        """A batch of which it is not known whether it was made: adopt it, or make it."""
        found, unsure = await api.find(part.tag, part.created, part.rows)
        if found is not None:
            self._store.mark(part.tag, "sent", found.id)
        elif not unsure:
            rows = self._store.rows_of(part.tag)
            if not rows:
                self._store.mark(part.tag, "collected")
                return
            await self._make(part, [api.encode(f"{part.tag}-{row.number}", row.request) for row in rows])

    async def _collect(self, api: Any, part: StoredPart, batch: Any) -> None:
        """Take what has become of each row; rows of which nothing is said end by what became of the batch."""
        open_rows = await anyio.to_thread.run_sync(self._store.rows_of, part.tag)
        self._money.count(open_rows)
        rows = {f"{part.tag}-{row.number}": row for row in open_rows}
        created = time.time()
        ends: list[tuple[int, StoredEnd]] = []
        undone: list[int] = []
        unreadable = 0
        async with aclosing(api.results(batch)) as results:
            async for row_end in results:
                row = rows.pop(row_end.name, None)
                if row is None:
                    unreadable += row_end.state == "unreadable"
                elif row_end.state == "answered":
                    ends.append((row.number, StoredEnd(response=_at_half_price(row_end.response, part, created))))
                elif row_end.state in ("undone", "again") and self._may_try_again(row, part):
                    undone.append(row.number)
                else:
                    ends.append((row.number, failure(row_end)))
                if len(ends) >= _COMMIT:
                    await anyio.to_thread.run_sync(self._store.end, ends, _BATCH)
                    ends = []
        for row in rows.values():
            if batch.state in ("expired", "cancelled") and self._may_try_again(row, part):
                undone.append(row.number)
            else:
                ends.append((row.number, missing(batch, unreadable)))
        await anyio.to_thread.run_sync(self._store.end, ends, _BATCH)
        self._store.set_state(undone, "new", "sent")
        self._store.mark(part.tag, "collected")

    def _may_try_again(self, row: StoredRow, part: StoredPart) -> bool:
        """Whether what was not done is tried again: in another batch, or directly where the deadline is near."""
        direct = self._complete is not None and self._is_late(part.deadline)
        return direct or row.attempts < self._pace.attempts

    def _wait_for(self, part: StoredPart) -> None:
        """The provider fails: leave this batch alone for a moment."""
        self._not_before[part.tag] = time.monotonic() + 1.0

    # ---- deadlines

    def _is_late(self, deadline: float) -> bool:
        return time.time() >= deadline - self._pace.margin

    async def _save_the_late(self) -> None:
        """Ask directly for what no batch will bring in time, and for what a crash cut short."""
        deadlines: dict[str, float] = {}
        late = list(self._store.rows("sync"))
        for row in self._store.rows("new"):
            if row.handle not in deadlines:
                deadlines[row.handle] = self._store.deadline_of(row)
            if self._is_late(deadlines[row.handle]):
                late.append(row)
        for part in self._store.parts():
            # What the provider neither finishes nor stops is asked for all the same, when half of the margin is gone.
            if time.time() >= part.deadline - self._pace.margin / 2:
                now = time.monotonic()
                late += [row for row in self._store.rows_of(part.tag) if now >= self._refused.get(row.number, 0.0)]
        if not late:
            return
        if self._complete is None:
            self._store.end([(row.number, too_late(row)) for row in late], _DIRECT)
            return
        for state in ("new", "sent"):
            self._store.set_state([row.number for row in late if row.state == state], "sync", state)
        limiter = anyio.CapacityLimiter(self._pace.concurrency)
        async with anyio.create_task_group() as group:
            for row in late:
                group.start_soon(self._ask, row, limiter)

    async def _ask(self, row: StoredRow, limiter: anyio.CapacityLimiter) -> None:
        assert self._complete is not None  # noqa: S101 - checked by who calls
        async with limiter:
            if row.state != "sent":  # what is at the provider may be billed: that stays set aside
                self._money.direct(row)
            try:
                with on_terms(idempotency_key=f"resopt-{row.handle}-{row.number}"):
                    end = StoredEnd(response=await self._complete(row.request))
            except BudgetExceededError as error:
                if row.state == "sent":  # there is hope yet: the batch may bring it
                    self._refused[row.number] = time.monotonic() + _PATIENCE
                    self._store.set_state([row.number], "sent", "sync")
                    return
                end = StoredEnd(error=type(error).__name__, problem=str(error), free=True)
            except ResoptError as error:
                status = getattr(error, "status", None)
                free = unbilled(error) and row.state == "new"
                end = StoredEnd(error=type(error).__name__, problem=str(error), status=status, free=free)
            if row.state == "sent":
                self._money.direct(row)
            self._store.end([(row.number, end)], _DIRECT)

    # ---- telling

    async def _tell(self) -> None:
        """Let the cache and the ledger know, once, what has come."""
        from resopt.batch.deferred import opened

        while untold := await anyio.to_thread.run_sync(self._store.untold):
            for row, end, via in untold:
                if via == _DIRECT:  # the pipeline has accounted for it itself
                    continue
                response = end.response
                if response is None:
                    error = opened(end)
                    assert isinstance(error, Exception)  # noqa: S101 - there is no answer
                    self._books.failed(row.request, error)
                elif via == "cache":
                    self._books.cached(row.request, response)
                elif via == "repeat":
                    self._books.repeated(row.request, response)
                else:
                    self._books.answered(row.request, response)


def _at_half_price(response: Any, part: StoredPart, now: float) -> Response:
    changed: Response = msgspec.structs.replace(
        response, detour=_HALF, created_at=now, latency=max(now - part.created, 1e-6)
    )
    return changed
