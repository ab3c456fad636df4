"""Indexes of vectors behind one small protocol: the core's flat index, and `hnswlib` for millions of entries.

The flat index (`resopt._core.VectorIndex`) is the right one up to a million entries: exact, and entries come and go in
microseconds. A graph answers faster beyond that, but takes milliseconds for each change and overlooks a neighbour now
and then; a semantic cache that needs it says `index="hnsw"`.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, Protocol

from resopt._core import VectorIndex
from resopt.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Buffer

KINDS = ("flat", "exact", "hnsw")
"""What `index=` may say: sign codes, a proven bound, a graph."""
_IDS = 2**64
_DICTIONARIES = 220
"""Octets of an entry in the two dictionaries, measured with CPython 3.11 to 3.13."""


class VectorStore(Protocol):
    """Vectors under ids of the caller's, found again by cosine.

    A bad vector (other dimensions, a number that is not finite, zeros only) is a `ConfigurationError`; nothing changes.
    """

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""

    @property
    def bytes(self) -> int:
        """Octets held now."""

    @property
    def bytes_per_entry(self) -> int:
        """Octets that one more entry takes in the long run: its share of a byte budget."""

    def insert(self, entry: int, vector: Buffer | Sequence[float], /) -> bool:
        """Keep a vector in place of what was under that id; whether the id is new."""

    def remove(self, entry: int, /) -> bool:
        """Forget an id; whether it was there."""

    def search(
        self, vector: Buffer | Sequence[float], /, k: int = 1, floor: float | None = None
    ) -> list[tuple[int, float]]:
        """The `k` nearest ids with their cosines, none below `floor`, the nearest first; equal ones by id."""

    def clear(self) -> None:
        """Forget all entries."""

    def __len__(self) -> int: ...
    def __contains__(self, entry: object, /) -> bool: ...


def open_index(kind: str, dimensions: int) -> VectorStore:
    """An empty index of a kind: `"flat"`, `"exact"` (flat, every miss ruled out) or `"hnsw"` (needs `hnswlib`).

    Raises:
        ConfigurationError: there is no such kind, or the dimensions are out of range.
        MissingExtraError: `hnswlib` is not installed.
    """
    if kind == "hnsw":
        return HNSWIndex(dimensions)
    if kind in KINDS:
        return VectorIndex(dimensions, exact=kind == "exact")
    raise ConfigurationError(f"index must be one of {', '.join(KINDS)}, not {kind!r}")


class HNSWIndex:
    """`hnswlib` behind the protocol: room that grows, places used again, any ids, errors instead of surprises.

    A graph is approximate: a search may overlook a neighbour, the more so the smaller `ef`. Each insert gets a label of
    its own, because `hnswlib` keeps the old links of a label that is written to twice. One lock serves all, since its
    inserts and searches must not meet.

    Args:
        dimensions: numbers in a vector, from 1 to 65,536.
        links: of an entry to others in the graph (`M`).
        ef_construction: how many entries an insert looks at.
        ef: how many entries a search looks at, at least.

    Raises:
        ConfigurationError: an option is out of range.
        MissingExtraError: `hnswlib` is not installed.
    """

    def __init__(self, dimensions: int, *, links: int = 16, ef_construction: int = 200, ef: int = 64) -> None:
        options: tuple[tuple[str, object, int], ...] = (
            ("dimensions", dimensions, 65_536),
            ("links", links, 1_000),
            ("ef_construction", ef_construction, 100_000),
            ("ef", ef, 100_000),
        )
        for name, value, most in options:
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise ConfigurationError(f"{name} must be a whole number from 1 to {most:,}, not {value!r}")
        self._dimensions = dimensions
        self._options = {"M": max(links, 2), "ef_construction": ef_construction}
        self._ef = ef
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        try:
            import hnswlib
        except ImportError as error:
            raise MissingExtraError("index='hnsw' needs: pip install 'resopt[hnsw]'") from error
        self._graph: Any = hnswlib.Index(space="cosine", dim=self._dimensions)
        self._graph.init_index(max_elements=1_024, allow_replace_deleted=True, **self._options)
        self._labels: dict[int, int] = {}
        self._entries: dict[int, int] = {}
        self._next = 0

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return self._dimensions

    @property
    def bytes(self) -> int:
        """Octets held now: room in the graph, used or not, and the dictionaries of labels."""
        with self._lock:
            return int(self._graph.get_max_elements()) * self._graph_entry + len(self._labels) * _DICTIONARIES

    @property
    def bytes_per_entry(self) -> int:
        """Octets that one more entry takes in the long run; room grows by half."""
        return self._graph_entry * 5 // 4 + _DICTIONARIES

    @property
    def _graph_entry(self) -> int:
        # Twice as many links on the lowest level, a label, the vector; the levels above add about as much as one level.
        return self._dimensions * 4 + 8 + self._options["M"] * 2 * 4 + 4 + self._options["M"] * 4 // 8 + 24

    def insert(self, entry: int, vector: Buffer | Sequence[float], /) -> bool:
        """Keep a vector in place of what was under that id; whether the id is new."""
        number, row = _number(entry), self._row(vector)
        with self._lock:
            old = self._labels.get(number)
            if old is not None:
                self._drop(number, old)
            if len(self._labels) == self._graph.get_max_elements():
                self._graph.resize_index(len(self._labels) * 3 // 2)
            label, self._next = self._next, self._next + 1
            self._graph.add_items(row, [label], num_threads=1, replace_deleted=True)
            self._labels[number] = label
            self._entries[label] = number
        return old is None

    def _drop(self, number: int, label: int) -> None:
        self._graph.mark_deleted(label)
        del self._labels[number], self._entries[label]

    def remove(self, entry: int, /) -> bool:
        """Forget an id; whether it was there."""
        number = _number(entry)
        with self._lock:
            label = self._labels.get(number)
            if label is not None:
                self._drop(number, label)
        return label is not None

    def search(
        self, vector: Buffer | Sequence[float], /, k: int = 1, floor: float | None = None
    ) -> list[tuple[int, float]]:
        """The `k` nearest ids that the graph leads to, none below `floor`, the nearest first."""
        if k < 1:
            raise ConfigurationError("k must be at least 1")
        if floor is not None and math.isnan(floor):
            raise ConfigurationError("floor must be a number")
        row = self._row(vector)
        with self._lock:
            labels, distances = self._query(row, min(k, len(self._labels)))
            found = [
                (self._entries[label], max(-1.0, min(1.0, 1.0 - distance)))
                for label, distance in zip(labels, distances, strict=True)
            ]
        found.sort(key=lambda pair: (-pair[1], pair[0]))
        return [pair for pair in found if floor is None or pair[1] >= floor]

    def _query(self, row: NDArray[np.float32], k: int) -> tuple[list[int], list[float]]:
        """Labels and distances; fewer than asked for where the graph does not lead to enough of them."""
        while k:
            self._graph.set_ef(max(self._ef, k))
            try:
                labels, distances = self._graph.knn_query(row, k=k, num_threads=1)
            except RuntimeError:  # it has no other way to say that it found fewer than k
                k //= 2
                continue
            return labels[0].tolist(), distances[0].tolist()
        return [], []

    def clear(self) -> None:
        """Forget all entries and give their memory back."""
        with self._lock:
            self._begin()

    def __len__(self) -> int:
        return len(self._labels)

    def __contains__(self, entry: object, /) -> bool:
        return entry in self._labels

    def _row(self, vector: Buffer | Sequence[float]) -> NDArray[np.float32]:
        """The vector as one row, of length 1."""
        import numpy as np

        if isinstance(vector, (str, bytes, bytearray)) or not hasattr(vector, "__len__"):
            raise ConfigurationError(
                f"a vector is an array of floats or a list of numbers, not {type(vector).__name__}"
            )
        try:
            row = np.asarray(vector, np.float64)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"a vector is an array of floats or a list of numbers: {error}") from error
        if row.ndim != 1:
            raise ConfigurationError(f"a vector has one axis, this array has {row.ndim}: pass its rows one by one")
        if row.size != self._dimensions:
            raise ConfigurationError(f"the index holds vectors of {self._dimensions} numbers, this one has {row.size}")
        length = float(np.linalg.norm(row.astype(np.float32).astype(np.float64)))
        if not math.isfinite(length):
            raise ConfigurationError("a vector's numbers must be finite; this one has a NaN or an infinity")
        if length == 0.0:
            raise ConfigurationError("a vector of zeros has no direction")
        return np.asarray(row / length, np.float32)[np.newaxis]


def _number(entry: object) -> int:
    if not isinstance(entry, int) or isinstance(entry, bool) or not 0 <= entry < _IDS:
        raise ConfigurationError("an id is a whole number from 0 to 2**64 - 1")
    return entry
