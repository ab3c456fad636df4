"""What the response cache keeps, and its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from resopt.types import NO_TRACE, Response, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from resopt._core import Stats

AGE_BANDS: Final = (
    ("< 1 min", 60.0),
    ("1-10 min", 600.0),
    ("10-60 min", 3600.0),
    ("1-6 h", 21600.0),
    ("6-24 h", 86400.0),
)
"""Labels of `age_distribution` with the age in seconds that each stays below; older entries are `> 24 h`."""

_OLDEST: Final = "> 24 h"
_INFINITY: Final = float("inf")


class Origin(msgspec.Struct, frozen=True):
    """Where an answer comes from that was first given to another question.

    Attributes:
        mechanism: how it came from there: `semantic` (as it was) or `rewrite` (adapted).
        key: under which the first answer was stored.
        question: the question that it was given to.
    """

    mechanism: str
    key: bytes
    question: str

    @property
    def step(self) -> Step:
        """The decision that it rests on, for the trace."""
        return Step("semantic", self.mechanism, f"from the answer to: {self.question}")


class Stored(msgspec.Struct, frozen=True):
    """An answer as it is kept: with the question it was given to, when, and the user when it is theirs alone.

    Attributes:
        response: the answer.
        question: what was asked.
        stored_at: Unix time at which it was stored; of an answer that comes from another's, at which that was.
        user: whose own it is; None when it is everyone's.
        posting: by which the question is found by its meaning; when the last holder lets go of it, it no longer is.
        origin: the answer it comes from; None when it was given to this very question.
    """

    response: Response
    question: str | None
    stored_at: float
    user: str | None
    posting: Any = None
    origin: Origin | None = None

    @property
    def weight(self) -> int:
        """Bytes held: the answer's own, the question's, which may be the longer of the two, and the posting's."""
        question = self.question or ""
        posting = 0 if self.posting is None else self.posting.nbytes
        return self.response.weight + len(question.encode("utf-8", "surrogatepass")) + posting


class Counts:
    """What the store does not count; one of all caches that share a store."""

    def __init__(self) -> None:
        self.second_looks = 0
        self.not_admitted: dict[str, int] = {}


class CacheStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters and sums of a `ResponseCache`, all but `not_admitted` of the same moment."""

    hits: int
    misses: int
    evictions: int
    expirations: int
    refused: int
    entries: int
    bytes: int
    not_admitted: dict[str, int]

    @classmethod
    def of(cls, stats: Stats, second_looks: int, not_admitted: dict[str, int]) -> CacheStats:
        """The counters of the store, in which a second look for the same request counts as a miss."""
        return cls(
            hits=stats.hits,
            misses=stats.misses - second_looks,
            evictions=stats.evictions,
            expirations=stats.expirations,
            refused=stats.refused,
            entries=stats.entries,
            bytes=stats.bytes,
            not_admitted=not_admitted,
        )

    @property
    def hit_rate(self) -> float:
        """Hits in all lookups; 0.0 before the first."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else 0.0


def immutable(response: Response, seconds: float = 0.0) -> Response:
    """The answer with nothing in it that a provider or caller still holds and could change, and without a trace.

    `seconds` is what the call took, for a provider that does not say so, or talks nonsense.
    """
    return msgspec.structs.replace(
        response,
        trace=NO_TRACE,
        tool_calls=tuple(response.tool_calls),
        body=bytes(response.body),
        events=None if response.events is None else tuple(map(bytes, response.events)),
        latency=response.latency if 0.0 < response.latency < _INFINITY else seconds,
    )


def unbilled(response: Response) -> Response:
    """The answer without the further calls billed when it was made: who gets it later does not pay for them."""
    detour = response.detour
    if detour is None or not detour.also:
        return response
    return msgspec.structs.replace(response, detour=msgspec.structs.replace(detour, also=()))


def by_age(ages: Iterable[float]) -> dict[str, int]:
    """How many of these ages, in seconds, fall into each band of `AGE_BANDS`."""
    counts = dict.fromkeys([label for label, _ in AGE_BANDS] + [_OLDEST], 0)
    for age in ages:
        counts[next((label for label, below in AGE_BANDS if age < below), _OLDEST)] += 1
    return counts


def snapshot(body: dict[str, Any]) -> dict[str, Any]:
    """A copy of a keyed body that the caller cannot change: what is sent must be what was keyed.

    Dicts, lists and byte arrays are copied; everything else that callers change in place is left to them.
    """
    return {name: _copied(value) for name, value in body.items()}


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {name: _copied(inner) for name, inner in value.items()}
    if kind is list:
        return [_copied(inner) for inner in value]
    if kind is tuple:
        return tuple(_copied(inner) for inner in value)
    return bytes(value) if kind is bytearray else value
