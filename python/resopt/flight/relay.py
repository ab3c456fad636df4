"""Single-flight for streams: of all who ask for one stream at one time, one is opened and everybody gets every event.

Who joins late gets the events already seen, then the live ones. Any reader may leave without the others noticing; when
the last has left, the stream upstream is closed. Nothing is buffered on the way: an event is handed on when it comes.
Events are kept once, for all readers and for who joins, so a reader that stops reading holds nothing up and nothing of
its own. Beyond `LIMIT` bytes nobody can join any more, the past is forgotten as the slowest reader passes it, and a
reader that lags as much again behind the others gets `StreamLagError`.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from resopt.errors import ClosedError, StreamLagError
from resopt.flight.call import twin

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from resopt.flight.places import TaskPlace

LIMIT = 16 * 1024 * 1024
"""Bytes of events that are kept for all; far above any answer of today's models."""


class Event(Protocol):
    """What travels: anything that knows its size in bytes."""

    def __len__(self) -> int:
        """Bytes held."""
        ...


E = TypeVar("E", bound=Event)


class EndOfRelay(Exception):  # noqa: N818 - no error: the relay's StopIteration
    """There are no more events."""


class Deserted(Exception):  # noqa: N818 - no error: all went elsewhere
    """All readers left before the end, so the stream upstream was closed."""


class Relay(Generic[E]):
    """One stream in the air, and what has been seen of it.

    Args:
        finish: called once, as `finish(events, error)`, when the stream has ended: `events` are all of it, or None when
            they were too many to be kept; `error` is None after a clean end. It runs before any reader learns of the
            end and must not raise.
        retire: called when nobody may join any more.
        limit: bytes of events to keep.

    Attributes:
        changed: guards the fields and is notified when they change. Re-entrant: a reader that is garbage leaves
            wherever the collector runs.
        opened: the stream upstream is there.
        ended: it is over, for the reason in `error` (None: cleanly).
        source: the stream upstream.
        on_empty: called when the last reader has left before the end.
        fetching: a thread is fetching the next event.
        carrier: the place of the task that reads the stream, while there is one.
        paused: where the carrying task waits for a reader to catch up.
        closing: where those wait who left last, until the carrying task has closed the stream.
    """

    def __init__(
        self,
        finish: Callable[[list[E] | None, BaseException | None], None],
        retire: Callable[[], None],
        limit: int = LIMIT,
    ) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.opened = self.ended = self.fetching = False
        self.error: BaseException | None = None
        self.source: Any = None
        self.on_empty: Callable[[], None] = _nothing
        self.carrier: TaskPlace | None = None
        self.paused: TaskPlace | None = None
        self.closing: list[TaskPlace] = []
        self.finish, self._retire, self._limit = finish, retire, limit
        self._events: deque[E] = deque()  # from position `_start` on
        self._start = self._bytes = 0
        self._whole, self._ending, self._failed, self._claimed = True, False, False, False
        self._readers: set[Reading[E]] = set()

    def board(self, reader: Reading[E]) -> bool:
        """One more reader, from the first event on; False when it comes too late for that."""
        with self.changed:
            if self._failed or not self._whole or (self.carrier is not None and self.carrier.gone()):
                return False
            self._readers.add(reader)
        return True

    def open(self, source: Any) -> None:
        """The stream upstream is there."""
        with self.changed:
            self.source, self.opened = source, True
        self._wake()

    def put(self, event: E) -> None:
        """Hand on an event."""
        with self.changed:
            self._events.append(event)
            self._bytes += len(event)
            full = self._bytes > self._limit
            if full:
                self._whole = False
                self._forget()
        if full:
            self._retire()
        self._wake()

    def end(self, error: BaseException | None) -> None:
        """The stream is over; only the first end counts."""
        with self.changed:
            if not self._begin_end(error):
                return
        self._end(error)

    def _begin_end(self, error: BaseException | None) -> bool:
        """From now on nobody may join a stream that failed; `changed` is held. False when it is ending already."""
        if self._ending:
            return False
        self._ending, self._failed = True, error is not None
        return True

    def _end(self, error: BaseException | None) -> None:
        if error is not None:
            self._retire()
        # A clean stream can be joined until its answer is stored, so that nobody finds neither and asks again.
        with self.changed:
            events = list(self._events) if self._whole else None
        self.finish(events, error)
        with self.changed:
            self.error, self.ended = error, True
        self._retire()
        self._wake()

    def take(self, reader: Reading[E]) -> E | None:
        """The reader's next event; None when it has yet to come.

        Raises:
            EndOfRelay: there are no more.
            Deserted: the reader has left, by another hand than the one that reads.
            StreamLagError: the reader was too slow for an enormous stream.
            Exception: what ended the stream: itself for the first to see it, a copy for each other.
        """
        with self.changed:
            at = reader.position - self._start
            if 0 <= at < len(self._events):
                reader.position += 1
                return self._events[at]
            if at < 0:
                raise StreamLagError(f"this reader is more than {self._limit:,} bytes of events behind; read faster")
            if not self.ended:
                if reader not in self._readers:
                    raise Deserted
                return None
        if self.error is None:
            raise EndOfRelay
        raise self.error if self.claim() else twin(self.error)

    def claim(self) -> bool:
        """Whether the caller is the one to account for the call upstream: True once."""
        with self.changed:
            first, self._claimed = not self._claimed, True
        return first

    def leave(self, reader: Reading[E]) -> None:
        """The reader reads no more; after the last, the stream upstream is closed."""
        with self.changed:
            if reader not in self._readers:
                return
            self._readers.discard(reader)
            self.changed.notify_all()
            place = reader.place
            # In one breath, or who boards in between would be on a stream that is being closed.
            error = Deserted()
            last = not self._readers and self._begin_end(error)
        if place is not None:  # closed by one task while another waits
            place.wake()
        if last:
            try:
                self._end(error)
            finally:
                self.on_empty()

    @property
    def deserted(self) -> bool:
        """All readers left before the end."""
        return isinstance(self.error, Deserted)

    def landed(self) -> None:
        """The carrying task has ended, in whatever way."""
        self.end(lost())
        with self.changed:
            self.carrier = None
            closing, self.closing = self.closing, []
        for place in closing:
            place.wake()

    def is_ahead(self, reader: Reading[E]) -> bool:
        """Whether the reader has read all that has come."""
        with self.changed:
            return reader.position == self._start + len(self._events)

    def lead(self) -> int:
        """How many events nobody has read yet."""
        with self.changed:
            furthest = max((reader.position for reader in list(self._readers)), default=0)
            return self._start + len(self._events) - furthest

    def _forget(self) -> None:
        """Drop what all readers have passed; beyond twice the limit also what the slowest have not."""
        slowest = min((reader.position for reader in list(self._readers)), default=self._start)
        while len(self._events) > 1 and (self._start < slowest or self._bytes > 2 * self._limit):
            self._bytes -= len(self._events.popleft())
            self._start += 1

    def _wake(self) -> None:
        with self.changed:
            self.changed.notify_all()
            # Of a copy: a reader that is garbage leaves wherever the collector runs.
            places = [reader.place for reader in list(self._readers) if reader.place is not None]
        for place in places:
            place.wake()


class Reading(Generic[E]):
    """One reader's place in a stream, until it leaves."""

    __slots__ = ("__weakref__", "place", "position", "relay")

    def __init__(self, relay: Relay[E]) -> None:
        self.relay = relay
        self.position = 0
        self.place: TaskPlace | None = None

    def leave(self) -> None:
        """Read no more."""
        self.relay.leave(self)


R = TypeVar("R", bound=Reading[Any])


class Relays:
    """Streams in the air, by key. Safe to use from any number of threads and event loops at once."""

    _all: ClassVar[weakref.WeakSet[Relays]] = weakref.WeakSet()

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._table: dict[Hashable, Relay[Any]] = {}
        self._all.add(self)

    def __len__(self) -> int:
        """Streams that can be joined."""
        return len(self._table)

    def board(
        self,
        key: Hashable | None,
        reading: Callable[[Relay[Any]], R],
        make_finish: Callable[[Callable[[], None]], Callable[[list[Any] | None, BaseException | None], None] | None],
    ) -> tuple[R, bool] | None:
        """A reader of the stream of `key`, and whether it is the first, who has to open it.

        Args:
            key: with None the stream is never shared.
            reading: makes the reader.
            make_finish: makes the `finish` of a new stream, given a function after which nobody can join it any more;
                None when no stream is needed after all, and then the answer here is None too.
        """
        with self._lock:
            relay = None if key is None else self._table.get(key)
            if relay is not None:
                reader = reading(relay)
                if relay.board(reader):
                    return reader, False

            def retire() -> None:
                self._retire(key, opened)

            opened: Relay[Any] | None = None
            finish = make_finish(retire)
            if finish is None:
                return None
            opened = Relay(finish, retire)
            if key is not None:
                self._table[key] = opened
            reader = reading(opened)
            opened.board(reader)
        return reader, True

    def _retire(self, key: Hashable | None, relay: Relay[Any] | None) -> None:
        with self._lock:
            if key is not None and self._table.get(key) is relay:
                del self._table[key]

    @classmethod
    def _forget(cls) -> None:
        """In a forked child: who read the streams, and perhaps held a lock, exists only in the parent."""
        for relays in cls._all:
            relays._lock, relays._table = threading.RLock(), {}  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Relays._forget)  # noqa: SLF001  (there is no other caller)


def lost() -> ClosedError:
    """What readers get when that which carried their stream is gone."""
    return ClosedError("the event loop or thread that carried this stream has ended; ask again")


def _nothing() -> None:
    """Nobody carries the stream yet."""
