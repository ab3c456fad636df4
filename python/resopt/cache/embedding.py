"""A user's own embedding function, made safe: asked once per text, in batches, never waited for beyond a deadline.

The call may be slow, wrong or hang; then the question is a miss, and that is all. Texts that come while a batch is
under way make the next one. Each event loop has its batches to itself, because an async client belongs to its loop;
threads share theirs.
"""

from __future__ import annotations

import inspect
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from resopt.cache.checks import count, seconds
from resopt.cache.memory import Cache
from resopt.errors import ConfigurationError
from resopt.flight.errand import outcome, send
from resopt.flight.places import ThreadPlace, task_place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resopt.flight.places import Place

    EmbeddingFunction: TypeAlias = Callable[[list[str]], Any]

_ABANDONED = 10
"""A batch is given up after so many deadlines; its texts have been misses long before."""

_MOST_WAITING = 1_000
"""Texts that may wait for one event loop's batches; more are misses at once."""


class _Wanted:
    """One text on its way, and who waits for it."""

    __slots__ = ("places", "text", "vector")

    def __init__(self, text: str) -> None:
        self.text = text
        self.places: list[Place] = []
        self.vector: Any = None


class Embedder:
    """Vectors of texts by a function of the user's own.

    Args:
        function: `function(texts) -> array` of shape (texts, dimensions), plain or async. Whatever numpy makes an array
            of will do. A plain function runs in a thread.
        name: stands for the function in keys: questions embedded by another are never compared. By default the
            function's module and name.
        deadline: seconds a question waits for its vector.
        remembered: vectors kept, the least recently used go first.
        batch: texts in one call at most.

    Raises:
        ConfigurationError: an argument is of the wrong type or outside its range.
    """

    def __init__(
        self,
        function: EmbeddingFunction,
        *,
        name: str | None = None,
        deadline: float = 0.1,
        remembered: int = 10_000,
        batch: int = 64,
    ) -> None:
        if not callable(function):
            raise ConfigurationError(f"embedder must be a callable list[str] -> array, not {type(function).__name__}")
        owner = inspect.unwrap(function) if inspect.isroutine(function) else type(function)
        self.name = name or f"{getattr(owner, '__module__', '')}.{getattr(owner, '__qualname__', repr(owner))}"
        self.deadline = seconds("deadline", deadline)
        self.failures: dict[str, int] = {}
        self._function = function
        self._batch = count("batch", batch)
        self._memory = Cache(max_entries=remembered)
        self._lock = threading.Lock()
        self._dimensions: int | None = None
        self._wanted: dict[Any, dict[str, _Wanted]] = {}
        self._queues: dict[Any, deque[_Wanted]] = {}

    @property
    def dimensions(self) -> int | None:
        """Numbers in a vector; None before the first."""
        return self._dimensions

    def known(self, text: str) -> Any:
        """The vector of a text that was embedded before, else None."""
        return self._memory.get(text)

    async def vector(self, text: str, *, blocking: bool) -> Any:
        """The vector of a text, f32 of shape (dimensions,); None when none came in time, and then `failures` says why.

        Args:
            text: what to embed.
            blocking: the caller has no event loop: this blocks instead of suspending.
        """
        vector = self.known(text)
        if vector is not None:
            return vector
        place = ThreadPlace() if blocking else task_place()
        wanted = self._join(text, place)
        if wanted is None:
            self._fail("too many texts are waiting")
            return None
        woken: Any = place.wait(self.deadline)
        if not (await woken if inspect.isawaitable(woken) else woken):
            self._fail("deadline")
        return wanted.vector

    def _join(self, text: str, place: Place) -> _Wanted | None:
        """Wait for a text's vector at `place`; whoever is the first of an event loop starts its batches."""
        home = place.home
        with self._lock:
            waiting = self._wanted.setdefault(home, {})
            wanted = waiting.get(text)
            if wanted is None:
                if len(waiting) >= _MOST_WAITING:
                    return None
                wanted = waiting[text] = _Wanted(text)
                first = home not in self._queues
                self._queues.setdefault(home, deque()).append(wanted)
            else:
                first = False
            wanted.places.append(place)
        if first:
            try:
                send(self._serve, home, blocking=home is None)
            except BaseException:
                self._close(home)
                raise
        return wanted

    async def _serve(self, home: Any) -> None:
        """Embed what waits for one event loop, batch by batch, until nothing does."""
        import anyio

        try:
            while True:
                await anyio.lowlevel.checkpoint()  # who asks in the same tick shares the batch
                with self._lock:
                    queue = self._queues[home]
                    wanted = [queue.popleft() for _ in range(min(len(queue), self._batch))]
                    if not wanted:
                        del self._queues[home]
                        self._wanted.pop(home, None)
                        return
                await self._embed(home, wanted)
        except BaseException:
            self._close(home)
            raise

    async def _embed(self, home: Any, wanted: list[_Wanted]) -> None:
        import anyio

        rows: Sequence[Any] = [None] * len(wanted)
        try:
            with anyio.fail_after(self.deadline * _ABANDONED):
                made = await outcome(self._function, [each.text for each in wanted])
            rows = self._checked(made, len(wanted))
        except Exception as error:  # noqa: BLE001 - a question without a vector is a miss
            self._fail(str(error) if isinstance(error, _UnusableVectorsError) else type(error).__name__)
        for each, row in zip(wanted, rows, strict=True):
            if row is not None:
                each.vector = row
                self._memory.set(each.text, row)
            self._deliver(home, each)

    def _checked(self, made: Any, count: int) -> list[Any]:
        """The rows of what the function returned, f32 each; None for a row that is no direction.

        Raises:
            _UnusableVectorsError: it has not one row for each text.
        """
        import numpy as np

        vectors = np.asarray(made, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[0] != count or vectors.shape[1] == 0:
            raise _UnusableVectorsError("wrong shape")
        if self._dimensions not in (None, vectors.shape[1]):
            raise _UnusableVectorsError("dimensions changed")
        self._dimensions = vectors.shape[1]
        usable = np.isfinite(vectors).all(axis=1) & (np.abs(vectors).max(axis=1) > 0)
        if not usable.all():
            self._fail("not finite, or zero")
        return [row.copy() if good else None for row, good in zip(vectors, usable, strict=True)]

    def _deliver(self, home: Any, wanted: _Wanted) -> None:
        with self._lock:
            self._wanted.get(home, {}).pop(wanted.text, None)
            places, wanted.places = wanted.places, []
        for place in places:
            place.wake()

    def _close(self, home: Any) -> None:
        """Let go of all who wait for an event loop whose batches have ended."""
        with self._lock:
            waiting = self._wanted.pop(home, {})
            self._queues.pop(home, None)
        for wanted in list(waiting.values()):
            for place in wanted.places:
                place.wake()

    def _fail(self, why: str) -> None:
        with self._lock:
            self.failures[why] = self.failures.get(why, 0) + 1


class _UnusableVectorsError(Exception):
    """What an embedding function returned is not a vector for each text."""
