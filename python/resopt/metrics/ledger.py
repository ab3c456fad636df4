"""One record per request: what it cost and took, what it would have, and what avoided the difference.

Writing a record takes no lock, so that a cache hit never waits for a report: it is appended to a queue (atomic in
CPython), and readers, or now and then a writer that finds the lock free, move the queue into the sums.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from resopt.errors import ConfigurationError
from resopt.metrics.amounts import of_hit, price, spent
from resopt.metrics.detour import detoured, used
from resopt.metrics.export import lines_of
from resopt.metrics.prices import PriceBook
from resopt.metrics.record import MONEY, Money, Record, ids, refused
from resopt.metrics.report import CacheFigures, Report, summarise
from resopt.metrics.scopes import Scopes
from resopt.metrics.totals import Totals
from resopt.types import EVERYONE, NO_USAGE, Detour, Outcome, Scope, Step, Usage

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from resopt.metrics.prices import Amount, Price
    from resopt.types import Request, Response

_QUEUED = 128
"""Records that may wait for a reader before writers begin to move them: few, so that they are still in the processor's
cache, and more than one, because moving many at a time costs a third less each."""

_MOVED = 64
"""Records a writer moves at once: it bounds what one request in so many pays (about 0.1 ms)."""

_INFINITY = float("inf")


class Ledger:
    """Records what every request cost and took, and sums it up against the same traffic without resopt.

    The sums are exact for ever; of single records only the last `keep` are held. Safe to use from many threads.

    Args:
        prices: a `PriceBook`, or what one is made of. Without prices every cost is unknown.
        clock: Unix time in seconds.
        keep: how many single records to hold.
        cache: figures of the cache for the report, see `attach`.
        scope_key: key (up to 64 bytes) of the digests that stand for scopes; random when None. Give the same one to
            several processes to compare their records.

    Raises:
        ConfigurationError: an option makes no sense.
    """

    def __init__(
        self,
        prices: PriceBook | Mapping[str, Price | Mapping[str, Any] | tuple[Amount, Amount]] | None = None,
        *,
        clock: Callable[[], float] = time.time,
        keep: int = 10_000,
        cache: Callable[[], CacheFigures | Mapping[str, Any]] | None = None,
        scope_key: bytes | None = None,
    ) -> None:
        if type(keep) is not int or keep < 0:
            raise ConfigurationError(f"keep must be a number of records from 0 up, not {keep!r}")
        self.prices = prices if isinstance(prices, PriceBook) else PriceBook(prices)
        self._clock = clock
        self._cache = cache
        self._quality: Callable[[], Any] = lambda: None
        self._work: Callable[[], Any] = lambda: None
        self._scopes = Scopes(scope_key)
        self._queue: deque[Record] = deque()
        self._lock = threading.Lock()  # guards the sums and the recent records, never the queue
        self._totals = Totals()
        self._recent: deque[Record] = deque(maxlen=keep)
        self._exporting = threading.Lock()
        self._moved = 0  # records since the last export

    def record(
        self,
        *,
        outcome: Outcome,
        model: str,
        latency: float,
        mechanism: str | None = None,
        served_model: str | None = None,
        usage: Usage | None = None,
        spared: Usage | None = None,
        upstream_latency: float | None = None,
        scope: Scope = EVERYONE,
        stages: tuple[Step, ...] = (),
        age: float | None = None,
        error: BaseException | str | None = None,
        id: str | None = None,  # noqa: A002  # the record's own word for it
        ts: float | None = None,
        detour: Detour | None = None,
        key: bytes | None = None,
    ) -> Record:
        """Write down one request; never waits.

        Args:
            outcome: how it ended.
            model: the model asked for.
            latency: seconds from call to answer.
            mechanism: what avoided money; a hit or coalesced request without one is put down to its outcome.
            served_model: the model that answered, as the provider names it.
            usage: tokens the answer took when it was made (on a hit: as stored); None when the provider did not say.
                For an error or a cancelled request only what was billed all the same.
            spared: tokens of that part of the answer that was not asked for upstream, when only a part was.
            upstream_latency: seconds the call upstream took (on a hit: as stored); None when not measured.
            scope: whose request it was.
            stages: the decisions taken.
            age: seconds since the served answer was stored.
            error: what went wrong, or the name of its type.
            id: the request's id; made here when None.
            ts: Unix time; the clock's when None.
            detour: how the call that made the answer differed from what was asked for. What it lists as `also` billed
                is added to the cost, on a hit too: leave out what was billed when the stored answer was made.
            key: under which the answer is stored, for feedback on it.

        Raises:
            ConfigurationError: the outcome is not one, or a latency is negative or not a number.
        """
        money = MONEY.get(outcome)
        baseline_latency = upstream_latency or latency
        if money is None or not (0.0 <= latency < _INFINITY and 0.0 <= baseline_latency < _INFINITY):
            raise refused(outcome, latency, upstream_latency)
        billed = avoided_usage = NO_USAGE
        cost: int | None
        parts: tuple[tuple[str, int], ...] = ()
        if detour is not None:
            mechanism = mechanism or (outcome if money is Money.SAVED else detour.mechanism)
            priced = partial(price, self.prices)
            cost, baseline, parts = detoured(
                priced, money is Money.SAVED, mechanism, model, served_model, usage, detour
            )
            avoided = None if cost is None or baseline is None else baseline - cost
            billed, avoided_usage = used(money is Money.SAVED, usage, detour)
            mechanism = mechanism or (parts[0][0] if parts else None)
        elif money is Money.SAVED:
            mechanism = mechanism or outcome
            baseline = avoided = price(self.prices, model, served_model, usage)
            cost = 0
            avoided_usage = usage or NO_USAGE
        else:
            cost, baseline = spent(self.prices, money, mechanism, model, served_model, usage)
            avoided = None if cost is None or baseline is None else baseline - cost
            billed = usage or NO_USAGE
            if spared is not None:
                avoided_usage = spared
                avoided = price(self.prices, model, served_model, spared)
                baseline = None if cost is None or avoided is None else cost + avoided
        record = Record(
            self._clock() if ts is None else ts,
            id or ids.next(),
            outcome,
            mechanism,
            model,
            served_model,
            billed,
            avoided_usage,
            cost,
            baseline,
            avoided,
            latency,
            baseline_latency,
            stages,
            "" if scope is EVERYONE else self._scopes.digest(scope),
            age,
            error if error is None or isinstance(error, str) else type(error).__name__,
            parts,
            key,
        )
        return self._queued(record)

    def hit(self, request: Request, found: Response, latency: float) -> Record:
        """Write down an answer from memory, made without a detour, as `record` would, in half the time."""
        return self._queued(of_hit(self.prices, self._scopes, self._clock(), request, found, latency))

    def background(
        self, mechanism: str, model: str, usage: Usage | None, *, latency: float = 0.0, scope: Scope = EVERYONE
    ) -> Record:
        """Write down a call that resopt made of its own accord (`audit`, `judge`, `prefetch`, …): no request, all cost.

        Args:
            mechanism: what made it; what it cost is taken off what that mechanism avoided.
            model: the model called.
            usage: the tokens it took; None when the provider did not say.
            latency: seconds it took.
            scope: on whose behalf it was.
        """
        cost = price(self.prices, model, None, usage)
        return self._queued(
            Record(
                self._clock(),
                ids.next(),
                "background",
                mechanism,
                model,
                model,
                usage or NO_USAGE,
                NO_USAGE,
                cost,
                0,
                None if cost is None else -cost,
                latency,
                latency,
                (),
                "" if scope is EVERYONE else self._scopes.digest(scope),
            )
        )

    def _queued(self, record: Record) -> Record:
        self._queue.append(record)
        if len(self._queue) > _QUEUED and self._lock.acquire(blocking=False):
            try:
                self._move(_MOVED)
            finally:
                self._lock.release()
        return record

    def summary(self) -> Report:
        """Everything recorded so far, as data."""
        cache = None if self._cache is None else CacheFigures.of(self._cache())
        quality, work = self._quality(), self._work()
        with self._lock:
            self._move()
            return summarise(self._totals, cache, quality, work)

    def report(self, file: TextIO | None = None) -> Report:
        """Print the report (to standard output, or `file`) and return it as data."""
        report = self.summary()
        (file or sys.stdout).write(f"{report}\n")
        return report

    def attach(
        self,
        cache: Callable[[], CacheFigures | Mapping[str, Any]] | None = None,
        *,
        quality: Callable[[], Any] | None = None,
        work: Callable[[], Any] | None = None,
    ) -> None:
        """Let reports show more: `cache()` gives `CacheFigures` or its fields, `quality()` a text, `work()` batches."""
        self._cache, self._quality, self._work = cache or self._cache, quality or self._quality, work or self._work

    def export(self, path: str | os.PathLike[str]) -> int:
        """Append the records since the last export, of the last `keep`, to a file, a line of JSON each; how many."""
        from pathlib import Path

        with self._exporting:
            with self._lock:
                self._move()
                fresh = min(self._moved, len(self._recent))
                records = list(self._recent)[len(self._recent) - fresh :]
                counted = self._moved
            with Path(path).open("ab") as file:
                file.write(lines_of(records))
            self._moved -= counted
        return len(records)

    def find(self, id: str) -> tuple[Record, Scope | None] | None:  # noqa: A002
        """One of the last records by its id, and whose it was, if that is remembered; None without one."""
        record = next((record for record in reversed(self.records) if record.id == id), None)
        return None if record is None else (record, self._scopes.find(record.scope))

    def merge(self, other: Ledger) -> None:
        """Count everything that `other` has counted, which stays as it is; single records are not copied.

        Raises:
            ConfigurationError: `other` is this ledger; its requests would count twice.
        """
        if other is self:
            raise ConfigurationError("a ledger cannot be merged into itself")
        copy = Totals()
        with other._lock:  # the two locks are never held together
            other._move()
            copy.merge(other._totals)
        with self._lock:
            self._totals.merge(copy)

    def reset(self) -> None:
        """Forget everything recorded so far."""
        with self._lock:
            self._queue.clear()
            self._totals = Totals()
            self._recent.clear()
            self._moved = 0

    @property
    def hit_rate(self) -> float:
        """Share of all requests that were served from the cache; 0.0 before the first."""
        with self._lock:
            self._move()
            requests = self._totals.requests()
            return self._totals.requests("hit") / requests if requests else 0.0

    @property
    def records(self) -> list[Record]:
        """The last records, oldest first."""
        with self._lock:
            self._move()
            return list(self._recent)

    def _move(self, limit: int | None = None) -> None:
        """Move records from the queue into the sums, at most as many as wait now. The lock is held."""
        waiting = len(self._queue)
        for _ in range(waiting if limit is None else min(limit, waiting)):
            record = self._queue.popleft()  # only the holder of the lock takes from the queue
            self._recent.append(record)
            self._totals.count(record)
        self._moved += waiting if limit is None else min(limit, waiting)
