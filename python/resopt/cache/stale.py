"""Answers past their time, kept for the day on which no call may be made.

Each is a second entry of the same store with the same tags, so that whatever invalidates the answer drops both. What a
rule of freshness has spoken of (the news, a user's own data) is never kept beyond its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from resopt._core import Digest, KeySpace
from resopt.cache.freshness import GENERIC
from resopt.errors import ConfigurationError
from resopt.types import Response, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from resopt.cache.admission import Plan
    from resopt.cache.kept import Stored
    from resopt.cache.memory import Cache

_TWIN: Final = KeySpace("resopt stale answer").key
_STALE: Final = (Step("cache", "stale", "no call may be made, so the last answer has to do"),)


class Stale:
    """The second entries of a store.

    Args:
        store: of the answers.
        seconds: how long past its time an answer may be served.
        ttl: the store's own time to live.

    Raises:
        ConfigurationError: it is no number of seconds above 0.
    """

    def __init__(self, store: Cache, seconds: Any, ttl: float | None) -> None:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
            raise ConfigurationError(f"stale_seconds must be a number of seconds above 0 or None, not {seconds!r}")
        self._store, self._seconds, self._ttl = store, seconds, ttl

    def keep(self, plan: Plan, stored: Stored, tags: Iterable[str]) -> None:
        """Keep an answer that was just stored, for longer."""
        ttl = self._ttl if plan.ttl is None else plan.ttl
        if plan.key is not None and plan.decision is GENERIC and ttl is not None:
            twin = Digest(_TWIN(plan.key))
            self._store.set(twin, stored, ttl=ttl + self._seconds, tags=tags, weight=stored.weight)

    def find(self, plan: Plan) -> Stored | None:
        """The answer, in its time or past it; None when there is none. Counts as no lookup."""
        if plan.key is None or plan.decision is not GENERIC:
            return None
        found: Stored | None = self._store.peek(Digest(_TWIN(plan.key)))
        return found

    def drop(self, key: bytes) -> None:
        """Forget the answer of a key."""
        self._store.remove(Digest(_TWIN(key)))


def past_its_time(answer: Response) -> Response:
    """The answer, with a trace that says that it may be past its time."""
    return answer.traced(msgspec.structs.replace(answer.trace, mechanism="stale", steps=_STALE))
