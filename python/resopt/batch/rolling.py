"""The engine of a batch: workers that take an item each, settle it, and take the next.

No worker waits for another: a slow item delays itself alone. Written once, as coroutines; with blocking locks nothing
in them suspends but `perform`, so threads drive them too.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from resopt.batch.items import own_copy
from resopt.errors import InvalidRequestError, ItemCancelledError, ResoptError
from resopt.terms import on_terms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from resopt.batch.checkpoint import Checkpoint

_REMEMBERED = 10_000
"""Results that a stream of unknown length remembers for equal items to come."""


class Failed(NamedTuple):
    """The error an item ended in; told apart from a result that is an exception."""

    error: Exception


class Work(NamedTuple):
    """What is done with an item.

    Attributes:
        convert: makes of what the source gave what is performed.
        perform: makes the result.
        identify: what the item is, by which equal items are found; None when it is to be on its own.
        again: the result for a further item equal to one that has it.
        checkpoint: results known from earlier runs; None when nothing is kept.
        cancelled: the exceptions by which a call is cancelled.
        leaving: whether such an exception is meant for the whole batch rather than for one item.
    """

    convert: Callable[[Any], Any]
    perform: Callable[[Any], Awaitable[Any]]
    identify: Callable[[Any], bytes | None]
    again: Callable[[Any, Any], Any]
    checkpoint: Checkpoint | None
    cancelled: type[BaseException] | tuple[type[BaseException], ...]
    leaving: Callable[[], bool]


class Source(NamedTuple):
    """Where items come from.

    Attributes:
        take: the next item; raises `StopAsyncIteration` at the end.
        taking: held while one is taken: iterators serve one at a time.
    """

    take: Callable[[], Awaitable[Any]]
    taking: AbstractAsyncContextManager[Any]


class _Shared:
    """One of several equal items is being performed: the others wait here without holding a worker."""

    __slots__ = ("followers", "outcome")

    def __init__(self) -> None:
        self.followers: list[tuple[int, Any]] = []
        self.outcome: tuple[Any] | None = None


class Rolling:
    """One run over a source.

    Args:
        source: where items come from.
        work: what is done with them.
        settled: told each item's position and outcome (a result, or `Failed`), once, in any order.
        bounded: forget all but the last results, since the source may never end.

    Attributes:
        taken: items taken from the source.
        done: items that have ended.
        sent: items that were performed: neither known from a checkpoint nor equal to another.
        restored: items known from the checkpoint.
        broken: the error of the source.
    """

    def __init__(
        self, source: Source, work: Work, settled: Callable[[int, Any], None], *, bounded: bool = False
    ) -> None:
        self.taken = self.done = self.sent = self.restored = 0
        self.broken: Exception | None = None
        self._source = source
        self._work = work
        self._settled = settled
        self._bounded = bounded
        self._ended = False
        self._shared: dict[bytes, _Shared] = {}
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Take no further item."""
        self._ended = True

    async def run(self, room: Callable[[], Awaitable[None]] | None = None) -> None:
        """One worker: until the source ends. `room` waits until one more item may be in memory."""
        while True:
            if room is not None:
                await room()
            async with self._source.taking:
                if self._ended:
                    return
                try:
                    item = await self._source.take()
                except StopAsyncIteration:
                    self._ended = True
                    return
                except Exception as error:  # noqa: BLE001 - told to the caller when all items taken have ended
                    self._ended = True
                    self.broken = error
                    return
                position = self.taken
                self.taken += 1
            await self._settle(position, item)

    async def _settle(self, position: int, item: Any) -> None:
        try:
            item = self._work.convert(item)
            name = self._work.identify(item)
        except Exception as error:  # noqa: BLE001 - identity=… is the caller's
            self._end(position, Failed(_told(error)))
            return
        shared = None if name is None else self._join(name, position, item)
        if shared is None and name is not None:
            return
        outcome = await self._outcome(name, item)
        followers = self._share(name, shared, outcome)
        self._end(position, outcome)
        for follower, other in followers:
            self._end(follower, self._again(other, outcome))

    def _join(self, name: bytes, position: int, item: Any) -> _Shared | None:
        """Lead the items of this name, or (None) leave this one to whoever leads them."""
        with self._lock:
            shared = self._shared.get(name)
            if shared is None:
                shared = self._shared[name] = _Shared()
                return shared
            if shared.outcome is None:
                shared.followers.append((position, item))
                return None
            outcome = shared.outcome[0]
        self._end(position, self._again(item, outcome))
        return None

    def _share(self, name: bytes | None, shared: _Shared | None, outcome: Any) -> list[tuple[int, Any]]:
        """Let equal items have the outcome; those that wait for it already."""
        if name is None or shared is None:
            return []
        with self._lock:
            shared.outcome = (outcome,)
            followers, shared.followers = shared.followers, []
            if self._bounded and len(self._shared) > _REMEMBERED:
                oldest = next(iter(self._shared))
                if self._shared[oldest].outcome is not None:
                    del self._shared[oldest]
        return followers

    def _again(self, item: Any, outcome: Any) -> Any:
        if isinstance(outcome, Failed):
            return outcome
        try:
            return self._work.again(item, outcome)
        except Exception as error:  # noqa: BLE001 - the item's own end, whatever it is
            return Failed(error)

    async def _outcome(self, name: bytes | None, item: Any) -> Any:
        checkpoint = self._work.checkpoint
        if checkpoint is None or name is None:
            return await self._perform(item)
        try:
            known = checkpoint.get(name)
            if known is not None:
                self._count("restored")
                return known[0]
            with on_terms(idempotency_key=checkpoint.idempotency_key(name)):
                outcome = await self._perform(item)
            if not isinstance(outcome, Failed):
                checkpoint.put(name, outcome)
        except ResoptError as error:
            return Failed(error)
        return outcome

    async def _perform(self, item: Any) -> Any:
        self._count("sent")
        try:
            return await self._work.perform(item)
        except self._work.cancelled as error:
            if self._work.leaving():
                raise
            failure = ItemCancelledError("the item's own work was cancelled; the rest of the batch was not")
            failure.__cause__ = error
            return Failed(failure)
        except Exception as error:  # noqa: BLE001 - an item's error is its outcome
            return Failed(error)

    def _count(self, what: str) -> None:
        with self._lock:
            setattr(self, what, getattr(self, what) + 1)

    def _end(self, position: int, outcome: Any) -> None:
        with self._lock:
            self.done += 1
        self._settled(position, outcome)


def _told(error: Exception) -> Exception:
    """Ours as it is; another's as one of ours that says where it comes from."""
    if isinstance(error, ResoptError):
        return error
    problem = InvalidRequestError(f"identity failed for an item: {type(error).__name__}: {error}")
    problem.__cause__ = error
    return problem


def shared_copy(_: Any, result: Any) -> Any:
    """The result for a further equal item, where nothing else is to be done about it."""
    return own_copy(result)
