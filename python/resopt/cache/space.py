"""The questions that may meet: one space per scope, with what was posted in it.

What is posted is held by whoever holds the posting (the stored answer), so that an answer which is evicted, expires or
is invalidated takes its posting along in the same step.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from resopt._core import embed

if TYPE_CHECKING:
    from collections.abc import Callable

    from resopt._core import Decision, Partition
    from resopt.cache.vectors import VectorStore

_MOST = 10_000
"""Spaces held; of more, the empty ones that were used least recently are forgotten with what they had learnt."""


_NEIGHBOURS = 8
_FLOOR = 0.5
"""What a graph is asked for; the partition's own index looks for as many, from about the same cosine."""


class Source(NamedTuple):
    """What a candidate stands for: the key of the stored answer and the question it was given to."""

    key: bytes
    question: str


class Posting:
    """A question that can be found by its meaning, for as long as this is held.

    Attributes:
        id: by which its space knows it.
        nbytes: octets that it takes.
    """

    __slots__ = ("_space", "id", "nbytes")

    def __init__(self, space: Space, number: int, nbytes: int) -> None:
        self._space, self.id, self.nbytes = space, number, nbytes

    def __del__(self) -> None:
        self._space.drop(self.id)


class Space:
    """The questions of one scope.

    Args:
        partition: finds and judges them.
        name: of the namespace and tenant, for figures.
        graph: an index that finds them in the partition's place; None for its own.

    Attributes:
        partition: as given.
        name: as given.
    """

    __slots__ = ("_graph", "_numbers", "_sources", "name", "partition")

    def __init__(self, partition: Partition, name: str, graph: VectorStore | None = None) -> None:
        self.partition = partition
        self.name = name
        self._graph = graph
        self._numbers = itertools.count(1)
        self._sources: dict[int, Source] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def post(self, key: bytes, question: str, vector: Any, answer: int | None) -> Posting | None:
        """Make a question findable; None when it has no direction."""
        number = next(self._numbers)
        if not self.partition.insert(number, question, vector, answer=answer):
            return None
        size = self.partition.bytes_of(number) or 0
        if self._graph is not None:
            found: Any = embed(question) if vector is None else vector
            self._graph.insert(number, found)
            size += self._graph.bytes_per_entry
        self._sources[number] = Source(key, question)
        return Posting(self, number, size)

    def decide(self, question: str, vector: Any, *, record: bool = True) -> Decision:
        """What to do with a question; see `Partition.decide`."""
        return self.partition.decide(question, vector, record=record, near=self._near(question, vector))

    def nominate(self, question: str, vector: Any) -> Decision:
        """What is near a question; see `Partition.nominate`."""
        return self.partition.nominate(question, vector, near=self._near(question, vector))

    def _near(self, question: str, vector: Any) -> list[tuple[int, float]] | None:
        """What the graph finds; None where the partition is to look for itself."""
        if self._graph is None:
            return None
        vector = embed(question) if vector is None else vector
        return [] if vector is None else self._graph.search(vector, k=_NEIGHBOURS, floor=_FLOOR)

    def source(self, number: int) -> Source | None:
        """What a posting stands for; None when it is gone."""
        return self._sources.get(number)

    def number(self, key: bytes) -> int | None:
        """The posting of a stored answer, by its key; None when it is gone. Looks at every posting."""
        return next((number for number, source in list(self._sources.items()) if source.key == key), None)

    def drop(self, number: int) -> None:
        """Forget a posting."""
        self._sources.pop(number, None)
        self.partition.remove(number)
        if self._graph is not None:
            self._graph.remove(number)


class Spaces:
    """All spaces of one cache, by the key of their scope.

    Args:
        make: makes the partition of a new space, and its graph if it has one.
    """

    def __init__(self, make: Callable[[], tuple[Partition, VectorStore | None]]) -> None:
        self._make = make
        self._spaces: dict[bytes, Space] = {}
        self._kept: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def find(self, key: bytes) -> Space | None:
        """The space of a scope; None when nothing was posted there."""
        return self._spaces.get(key)

    def obtain(self, key: bytes, name: str) -> Space:
        """The space of a scope, made when there is none."""
        space = self._spaces.get(key)
        if space is not None:
            return space
        partition, graph = self._make()
        made = Space(partition, name, graph)
        with self._lock:
            space = self._spaces.setdefault(key, made)
            kept = self._kept.pop(key, None) if space is made else None
            if len(self._spaces) > _MOST:
                self._sweep(key)
        if kept is not None:
            space.partition.restore(kept)
        return space

    def __iter__(self) -> Any:
        with self._lock:
            return iter(list(self._spaces.values()))

    def learnt(self) -> dict[bytes, bytes]:
        """By scope what was learnt there, and what is barred; for `restore`."""
        with self._lock:
            spaces = dict(self._spaces)
            kept = dict(self._kept)
        return kept | {key: space.partition.to_bytes() for key, space in spaces.items()}

    def restore(self, learnt: dict[bytes, bytes]) -> None:
        """Take over what `learnt` gave, now or when a scope is used again."""
        with self._lock:
            present = {key: self._spaces[key] for key in learnt if key in self._spaces}
            self._kept.update({key: data for key, data in learnt.items() if key not in present})
        for key, space in present.items():
            space.partition.restore(learnt[key])

    def _sweep(self, but: bytes) -> None:
        """Forget a tenth of the empty spaces, oldest first. The lock is held."""
        empty = (key for key, space in self._spaces.items() if not space and key != but)
        for key in list(itertools.islice(empty, _MOST // 10)):
            del self._spaces[key]
