"""The line before one model: who may call now, who next, and who never will in time.

Interactive calls go before bulk, which leaves them a reserve of the allowance and of the places in the air, and gets
one turn in so many however busy they are. Within a lane tenants take turns. Callers may be tasks of any event loop and
plain threads at once: each waits in a place of its own, and only the one whose turn is next looks at the clock.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from resopt.batch.bucket import Bucket
from resopt.batch.concurrency import Concurrency
from resopt.batch.fairness import FairQueue
from resopt.batch.headers import read_limits
from resopt.errors import DeadlineError, QueueFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from resopt.batch.limits import Settings
    from resopt.terms import Terms

_BULK_TURN = 10
"""Bulk gets one turn in so many while interactive calls wait."""

_SEEN = 60.0
"""Seconds after an interactive call in which bulk leaves places in the air for the next."""

_NEVER = float("inf")
_FIRST_CLOSURE = 1.0
_LONGEST_CLOSURE = 60.0


class Waiter:
    """One call in line, or in the air."""

    __slots__ = ("bulk", "ends", "epoch", "granted", "place", "tenant", "tokens", "weight")

    def __init__(self, terms: Terms, tenant: Hashable, tokens: float) -> None:
        self.bulk = terms.lane == "bulk"
        self.ends = terms.ends
        self.tenant = tenant
        self.tokens = tokens
        self.weight = 1.0 + tokens / 1_000
        self.granted = False
        self.epoch = 0
        self.place: Any = None


class Channel:
    """Limits and line of one model. Thread-safe.

    Args:
        settings: the options.
        model: for messages.
    """

    def __init__(self, settings: Settings, model: str) -> None:
        self._model = model
        self._settings = settings
        now = time.monotonic()
        window = settings.window
        self.buckets = {
            "requests": Bucket(settings.requests_per_minute, window, now),
            "tokens": Bucket(settings.tokens_per_minute, window, now),
            "input_tokens": Bucket(None, window, now),
            "output_tokens": Bucket(None, window, now),
        }
        self.concurrency = Concurrency(settings.start, 1, settings.max_concurrency)
        self._lock = threading.Lock()
        self._urgent: FairQueue[Waiter] = FairQueue()
        self._bulk: FairQueue[Waiter] = FairQueue()
        self._timed: Waiter | None = None
        self._timed_until = _NEVER
        self._since_bulk = 0
        self._interactive_at = -_SEEN
        self._closed_until = 0.0
        self._closures = 0
        self._flying_tokens = 0.0

    @property
    def waiting(self) -> int:
        """Calls in line."""
        return len(self._urgent) + len(self._bulk)

    async def enter(self, waiter: Waiter, make_place: Callable[[], Any], *, blocking: bool) -> float:
        """Wait for leave to make a call; the seconds waited.

        Raises:
            DeadlineError: it cannot be had before the waiter's deadline.
            QueueFullError: too many wait.
        """
        began = now = time.monotonic()
        with self._lock:
            if self._join(waiter, now):
                return 0.0
            waiter.place = make_place()
            pause, woken = self._pause(waiter, now)
        _wake(woken)
        try:
            while True:
                if blocking:
                    waiter.place.wait(pause)
                else:
                    await waiter.place.wait(pause)
                with self._lock:
                    now = time.monotonic()
                    woken = self._advance(now)
                    if not waiter.granted:
                        if now >= waiter.ends:
                            self._drop(waiter)
                            raise self._too_late(waiter, 0.0)  # noqa: TRY301 - the line is told below
                        waiter.place = make_place()
                        pause, more = self._pause(waiter, now)
                        woken += more
                _wake(woken)
                if waiter.granted:
                    return now - began
        except BaseException:
            with self._lock:
                if waiter.granted:
                    self._release(waiter, unused=True)
                else:
                    self._drop(waiter)
                woken = self._advance(time.monotonic())
            _wake(woken)
            raise

    def leave(self, waiter: Waiter, *, unused: bool = False) -> None:
        """A call is over, or (`unused`) was never sent."""
        with self._lock:
            self._release(waiter, unused=unused)
            woken = self._advance(time.monotonic())
        _wake(woken)

    def used(self, waiter: Waiter, tokens: float) -> None:
        """A call took so many tokens, rather than the estimate."""
        with self._lock:
            bucket = self.buckets["tokens"]
            if not bucket.known or bucket.told:
                return
            bucket.give_back(waiter.tokens - tokens)
            woken = self._advance(time.monotonic())
        _wake(woken)

    def ended(
        self, waiter: Waiter, status: int | None, headers: Mapping[str, str], wait: float | None, *, timed_out: bool
    ) -> None:
        """Learn from how an attempt ended; the call is no longer in the air."""
        told = read_limits(headers) if headers else {}
        with self._lock:
            now = time.monotonic()
            flying = self.concurrency.flying
            self._release(waiter)
            for name, each in told.items():
                bucket = self.buckets[name]
                bucket.refill(now)
                bucket.learn(each, self.concurrency.flying if name == "requests" else self._flying_tokens, now)
            if timed_out or status in (429, 529, 503):
                spent = any(each.remaining is not None and each.remaining < 1 for each in told.values())
                if not (status == 429 and spent):  # an allowance that is used up says nothing about concurrency
                    self.concurrency.lost(waiter.epoch)
                if status is not None:
                    self._close(wait, now)
            elif status is not None and status < 400:
                self.concurrency.succeeded(flying)
                self._closures = 0
            woken = self._advance(now)
        _wake(woken)

    def first_chunk(self, seconds: float) -> None:
        """The first chunk of a call came after so long."""
        with self._lock:
            self.concurrency.first_chunk(seconds, self.concurrency.flying)

    def _close(self, wait: float | None, now: float) -> None:
        """The provider asks for a pause: nobody calls before it is over."""
        if wait is None:
            wait = min(_FIRST_CLOSURE * 2.0**self._closures, _LONGEST_CLOSURE) if now >= self._closed_until else 0.0
            self._closures += wait > 0
        self._closed_until = max(self._closed_until, now + wait)

    def _join(self, waiter: Waiter, now: float) -> bool:
        """Get into line; True when it is the waiter's turn at once."""
        if not waiter.bulk:
            self._interactive_at = now
        for bucket in self.buckets.values():
            bucket.refill(now)
        ahead = len(self._urgent) + (len(self._bulk) if waiter.bulk else 0)
        if not ahead and self._seconds_until(waiter, now) <= 0 and self._has_place(waiter, now):
            self._grant(waiter)
            return True
        seconds = self._seconds_until(waiter, now, ahead)
        if now + seconds > waiter.ends:
            raise self._too_late(waiter, seconds)
        if self.waiting >= self._settings.max_queue:
            raise QueueFullError(f"{self.waiting} calls to {self._model or 'the provider'} wait already; slow down")
        (self._bulk if waiter.bulk else self._urgent).push(waiter)
        return False

    def _advance(self, now: float) -> list[Waiter]:
        """Grant all whose turn has come; those to be woken. The lock is held."""
        woken: list[Waiter] = []
        for bucket in self.buckets.values():
            bucket.refill(now)
        while (head := self._next()) is not None:
            if self._seconds_until(head, now) > 0 or not self._has_place(head, now):
                break
            (self._bulk if head.bulk else self._urgent).pop()
            self._since_bulk = 0 if head.bulk else self._since_bulk + 1
            self._grant(head)
            woken.append(head)
        if head is not None and (head is not self._timed or self._due(head, now) < self._timed_until):
            woken.append(head)  # it sleeps too long: let it look at the clock again
        self._timed = head
        return woken

    def _due(self, head: Waiter, now: float) -> float:
        """The moment when the next in line may go; infinite while it waits for a place in the air."""
        seconds = self._seconds_until(head, now)
        return now + seconds if seconds > 0 else _NEVER

    def _next(self) -> Waiter | None:
        if self._bulk and (not self._urgent or self._since_bulk >= _BULK_TURN):
            return self._bulk.peek()
        return self._urgent.peek()

    def _pause(self, waiter: Waiter, now: float) -> tuple[float | None, list[Waiter]]:
        """How long a waiter may sleep: only the next in line sleeps by the clock. And who is to be woken."""
        head = self._next()
        woken = []
        if head is not self._timed:
            self._timed = head
            if head is not None and head is not waiter:
                woken.append(head)
        pause = waiter.ends - now
        if head is waiter:
            pause = min(pause, self._due(waiter, now) - now + 1e-4)
            self._timed_until = now + pause
        return (None if pause == _NEVER else max(pause, 0.0)), woken

    def _seconds_until(self, waiter: Waiter, now: float, ahead: int = 0) -> float:
        """Seconds until the allowance permits this call, behind so many others; 0 when it does now."""
        reserve = self._settings.reserve if waiter.bulk else 0.0
        longest = max(0.0, self._closed_until - now)
        for name, bucket in self.buckets.items():
            if bucket.known:
                need = 1.0 + ahead if name == "requests" else waiter.tokens
                if name == "output_tokens":
                    need = 0.0
                wanted = need + reserve * bucket.limit
                longest = max(longest, bucket.seconds_until(wanted, now) if not ahead else _line(bucket, wanted, now))
        return longest

    def _has_place(self, waiter: Waiter, now: float) -> bool:
        """Whether one more may be in the air."""
        limit = self.concurrency.limit
        if waiter.bulk and limit >= 8 and now - self._interactive_at < _SEEN:
            limit -= max(1, limit // 16)
        return self.concurrency.flying < limit

    def _grant(self, waiter: Waiter) -> None:
        waiter.granted = True
        waiter.epoch = self.concurrency.losses
        self.concurrency.flying += 1
        self._flying_tokens += waiter.tokens
        self.buckets["requests"].use(1.0)
        self.buckets["tokens"].use(waiter.tokens)
        self.buckets["input_tokens"].use(waiter.tokens)

    def _release(self, waiter: Waiter, *, unused: bool = False) -> None:
        if not waiter.granted:
            return
        waiter.granted = False
        self.concurrency.flying -= 1
        self._flying_tokens = self._flying_tokens - waiter.tokens if self.concurrency.flying else 0.0
        if unused:
            self.buckets["requests"].give_back(1.0)
            self.buckets["tokens"].give_back(waiter.tokens)
            self.buckets["input_tokens"].give_back(waiter.tokens)

    def _drop(self, waiter: Waiter) -> None:
        (self._bulk if waiter.bulk else self._urgent).discard(waiter)

    def _too_late(self, waiter: Waiter, seconds: float) -> DeadlineError:
        left = max(0.0, waiter.ends - time.monotonic())
        why = f"its turn comes in {seconds:.3g} s, its deadline in {left:.3g} s" if seconds else "its deadline is over"
        return DeadlineError(
            f"a call to {self._model or 'the provider'} was not sent: {why}; raise the deadline, or ask for less"
        )


def _line(bucket: Bucket, amount: float, now: float) -> float:
    """Seconds until the last of a line has its turn, though the bucket never holds so much at once."""
    if amount <= bucket.limit:
        return bucket.seconds_until(amount, now)
    rest = (amount - bucket.limit) / bucket.limit
    return bucket.seconds_until(bucket.limit, now) + rest * bucket.window


def _wake(waiters: list[Waiter]) -> None:
    """After the lock is released: waking runs code of event loops."""
    for waiter in waiters:
        if waiter.place is not None:
            waiter.place.wake()
