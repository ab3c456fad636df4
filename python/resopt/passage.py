"""How one caller reads a stream: a live one, shared with others, or a stored answer event by event.

Every caller leaves one record in the ledger when their own reading ends; the first to reach the end accounts for the
call upstream.
"""

from __future__ import annotations

from _thread import start_new_thread
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

from resopt.flight.relay import Deserted, EndOfRelay
from resopt.types import Outcome, Response, Step, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from resopt.optimizer import AsyncOptimizer
    from resopt.types import Request


class Piece:
    """One event of a live stream: its JSON, and the client library's object, which one reader may have.

    Args:
        data: the event as JSON.
        made: the object that the client library made of it.
    """

    __slots__ = ("_made", "data")

    def __init__(self, data: bytes, made: Any) -> None:
        self.data = data
        self._made = [made]

    def __len__(self) -> int:
        return len(self.data)

    def take(self) -> Any:
        """The object, for the first who asks; None for everyone else."""
        try:
            return self._made.pop()
        except IndexError:
            return None


class Replay:
    """A stored answer, event by event: an iterator over their JSON."""

    __slots__ = ("_events", "trace")

    def __init__(self, events: Sequence[bytes], trace: Trace) -> None:
        self._events = iter(events)
        self.trace = trace

    def __iter__(self) -> Iterator[bytes]:
        return self._events

    def next(self) -> bytes | None:
        """The next event; None after the last."""
        return next(self._events, None)

    def leave(self) -> None:
        """Read no more."""
        self._events = iter(())


class Passage:
    """One caller's reading of a live stream.

    Attributes:
        trace: how the answer came about; complete once the reading has ended.
    """

    def __init__(self, pipeline: AsyncOptimizer, request: Request, reader: Any, started: float, boarded: Step) -> None:
        self.trace = Trace(key=reader.relay.finish.plan.key, steps=(boarded,))
        self._pipeline, self._request, self._reader, self._started = pipeline, request, reader, started
        self._boarded = boarded
        self._first_event: float | None = None
        self._over = False
        self._open_books = [True]

    @property
    def source(self) -> Any:
        """What the client library returned for the stream upstream."""
        return self._reader.relay.source

    def next(self) -> Piece | None:
        """The next event; None after the last. Blocks."""
        if self._over:
            return None
        try:
            return self._seen(self._reader.next())
        except Deserted:  # another thread closed this very stream
            self.leave()
        except EndOfRelay:
            self._end()
        except BaseException as error:
            self._fail(error)
            raise
        return None

    async def anext(self) -> Piece | None:
        """The next event; None after the last.

        Raises:
            RuntimeError: another task is reading this very stream.
        """
        if self._over:
            return None
        if self._reader.place is not None:
            raise RuntimeError("this stream is being read by another task already")
        try:
            return self._seen(await self._reader.next())
        except Deserted:
            self.leave()
        except EndOfRelay:
            self._end()
        except Exception as error:
            self._fail(error)
            raise
        return None

    def leave(self) -> None:
        """Read no more. When the stream has ended for others, or by its last word, it counts as read."""
        if self._over:
            return
        try:
            self._reader.leave()
        finally:
            self._left()

    async def aleave(self) -> None:
        """The same for a stream of tasks; the last to leave waits until the stream upstream is closed."""
        if self._over:
            return
        try:
            await self._reader.close()
        finally:
            self._left()

    def __del__(self) -> None:
        if not self._over:
            # The collector may run anywhere, under any lock; what leaving needs is taken in a thread that holds none.
            with suppress(RuntimeError):  # the interpreter is shutting down
                start_new_thread(self.leave, ())

    def _left(self) -> None:
        if self._reader.relay.finish.response is not None:
            self._end()
        else:
            self._fail(GeneratorExit())

    def _seen(self, piece: Piece) -> Piece:
        if self._first_event is None:
            self._first_event = perf_counter() - self._started
            self._reader.relay.finish.begun()
        return piece

    def _steps(self, *more: Step) -> tuple[Step, ...]:
        first = Step("stream", "first event", "", self._first_event)
        return (self._boarded, first, *more)

    def _closes_books(self) -> bool:
        """Whether the caller is to write the record: True once, whatever happens in how many threads."""
        self._over = True
        try:
            return self._open_books.pop()
        except IndexError:
            return False

    def _end(self) -> None:
        if not self._closes_books():
            return
        relay = self._reader.relay
        landing = relay.finish
        outcome: Outcome = "bypass" if landing.plan.key is None else "miss"
        if not relay.claim():
            outcome = "coalesced"
        self._reader.leave()
        response = landing.response
        self.trace = self._pipeline.accounts.record(
            self._request,
            Response(text="", model=self._request.model) if response is None else response,
            self._started,
            outcome=outcome,
            mechanism="coalesced" if outcome == "coalesced" else None,
            key=landing.plan.key,
            steps=self._steps(*landing.steps),
        ).trace

    def _fail(self, error: BaseException) -> None:
        if not self._closes_books():
            return
        self._reader.leave()
        self._pipeline.accounts.failure(error, self._started, self._request)
