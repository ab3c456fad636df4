"""Answers kept by request: who may get a stored one, what may be stored, and for how long.

A hit must be right before it is fast. The key covers the whole request (`resopt.key`), freshness rules keep out what
depends on who or when, and only complete answers are admitted. A hit needs no rule: what was found under a key that
belongs to everyone was judged when it was stored, by the same rules, from the same folded text.
"""

from __future__ import annotations

import threading
import time
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from resopt._core import Digest, ManualClock
from resopt.cache.admission import MODEL, USER, Filling, Plan, incomplete, own_tags, planned, unfit
from resopt.cache.checks import exactly_one, not_a
from resopt.cache.freshness import Freshness
from resopt.cache.kept import AGE_BANDS, CacheStats, Counts, Stored, by_age, immutable, unbilled
from resopt.cache.memory import Cache
from resopt.cache.stale import Stale, past_its_time
from resopt.errors import ConfigurationError
from resopt.key import Matching, RequestKey
from resopt.types import Request, Response, Step, Trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from resopt._core import Entry
    from resopt.cache.meaning import Meaning

__all__ = ["AGE_BANDS", "CacheStats", "ResponseCache", "Stored"]

_BLIND: Final = frozenset({"bypass", "refresh"})
_KEPT: Final = Step("admit", "kept")
_EXACT: Final = (Step("cache", "hit", "the same request was answered before"),)
_FOLDED: Final = (Step("cache", "hit", "the same question in another spelling was answered before"),)


class ResponseCache:
    """Level 1 of everything: answers found again by request, in memory.

    Args:
        ttl_seconds: how long an answer may be served; None for ever.
        max_size: how many answers at most; the least recently used goes first.
        max_bytes: sum of their weights at most, as an int or a str such as "256MB"; None for no limit.
        matching: `folded` takes plain questions that differ in case, blanks and closing marks for the same one;
            `exact` only the same text.
        freshness: rules for what depends on who or when; True for the English ones, False for none.
        refusals: whether the refusals of models are kept, in the fields that they have for those.
        namespace: separates the keys of this cache from every other's.
        secret: bytes without which nobody can compute or test a key.
        policy: versions of the route and prompt policies; answers made under other versions are not found.
        stale_seconds: how long past its time an answer may be served when a budget forbids the call; None for never.
        clock: a `ManualClock`, for tests and replays.
        wall_clock: Unix time in seconds, for the timestamps of entries.

    Raises:
        ConfigurationError: an option is of the wrong type or outside its range.
    """

    meaning: Meaning | None = None
    """What finds answers to questions in other words; None when nothing does (see `SemanticCache`)."""

    allowed: Callable[[str, Request], bool] | None = None
    """Whether a request may be answered by `semantic` or `rewrite`; always when None."""

    def __init__(
        self,
        ttl_seconds: float | None = 3600,
        max_size: int | None = 1000,
        max_bytes: int | str | None = None,
        matching: Matching = "folded",
        *,
        freshness: Freshness | bool = True,
        refusals: bool = False,
        namespace: str = "",
        secret: bytes | None = None,
        policy: str | tuple[str, ...] = (),
        stale_seconds: float | None = None,
        clock: ManualClock | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if not isinstance(freshness, Freshness | bool):
            raise ConfigurationError(f"freshness must be a Freshness or a bool, not {type(freshness).__name__}")
        if not isinstance(refusals, bool):
            raise ConfigurationError(f"refusals must be a bool, not {type(refusals).__name__}")
        if not callable(wall_clock):
            raise ConfigurationError(f"wall_clock must be callable, not {type(wall_clock).__name__}")
        self.matching = matching
        self.freshness = (Freshness() if freshness else Freshness.off()) if isinstance(freshness, bool) else freshness
        self.key = RequestKey(namespace=namespace, secret=secret, policy=policy, matching=matching)
        try:
            self._store = Cache(max_entries=max_size, max_bytes=max_bytes, ttl=ttl_seconds, clock=clock)
        except ConfigurationError as error:  # in the words of this class
            message = str(error).replace("max_entries", "max_size").replace("ttl must", "ttl_seconds must")
            raise ConfigurationError(message) from None
        self.ttl = ttl_seconds
        self._stale = None if stale_seconds is None else Stale(self._store, stale_seconds, ttl_seconds)
        self._refusals = refusals
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._counts = Counts()

    def under(self, policy: tuple[str, ...], vary: Callable[[Request], tuple[str, ...]] | None = None) -> ResponseCache:
        """This very cache for requests under further policies, those of `vary` too: they share no answers."""
        twin = copy(self)
        twin.key = self.key.under(policy, vary)
        return twin

    def __len__(self) -> int:
        """Answers held."""
        return len(self._store)

    @property
    def stats(self) -> CacheStats:
        """Counters and sums; `not_admitted` counts, by reason, the answers that were not good enough to keep."""
        with self._lock:  # read before the store: each second look comes after the miss it is taken from
            second_looks, not_admitted = self._counts.second_looks, dict(self._counts.not_admitted)
        return CacheStats.of(self._store.stats, second_looks, not_admitted)

    def lookup(self, request: Request, key: bytes | None = None) -> Response | None:
        """The stored answer that fits, with its trace, or None. Synchronous, without a task.

        What belongs to everyone is found without a lock of Python's; what is one user's own is found by a second look.

        Args:
            request: what is asked; its cache modes `bypass` and `refresh` find nothing.
            key: `self.key(request)`, where the caller has it already.

        Raises:
            UnkeyableError: the body holds something that is not plain data; the message names the path to it.
        """
        if not isinstance(request, Request):
            raise not_a("request", Request, request)
        if request.cache in _BLIND:
            return None
        key = self.key(request) if key is None else key
        stored = self._store.get(Digest(key))
        if stored is None:
            own = self._personal_key(request)
            if own is not None:
                self._looked_again()
                key, stored = own, self._store.get(Digest(own))
            if stored is None:
                return None if self.meaning is None else self._find(self.meaning, request)
        return self._serve(request, key, stored)

    def plan(self, request: Request, key: bytes | None = None) -> Plan:
        """What may be done with the answer to a request that found none: share it under which key, keep it how long.

        A request that bypasses the cache, or builds on what the provider keeps, is not keyed, so its body may hold what
        no key can cover.
        """
        if not isinstance(request, Request):
            raise not_a("request", Request, request)
        return planned(self, request, key)

    def landed(self, request: Request, plan: Plan) -> Response | None:
        """The answer that was stored since `request` was looked up, or None; counts as no lookup."""
        if plan.key is None or request.cache != "default":
            return None
        stored = self._store.peek(Digest(plan.key))
        return None if stored is None else self._serve(request, plan.key, stored)

    def admit(self, request: Request, response: Response, plan: Plan | None = None) -> Step:
        """Keep a good answer; the step says whether it was kept, and why not.

        Only a complete answer is: not an error, not cut off, filtered, empty or interrupted.
        """
        if not isinstance(response, Response):
            raise not_a("response", Response, response)
        plan = self.plan(request) if plan is None else plan
        reason = ""
        if plan.key is not None:
            reason = unfit(response, refusals=self._refusals) or incomplete(request, response)
        if plan.key is None or reason:
            if reason:
                self._count_not_admitted(reason)
            return Step("admit", "refused", reason or "not to be shared")
        response = unbilled(immutable(response))
        stored = Stored(
            response,
            request.question,
            self._wall_clock(),
            request.scope.user if plan.decision.personal else None,
            None if self.meaning is None else self.meaning.post(self, request, response, plan.key),
        )
        tags = (*request.tags, *own_tags(request, response, stored.user))
        kept = self._store.set(Digest(plan.key), stored, ttl=plan.ttl, tags=tags, weight=stored.weight)
        if kept and self._stale is not None:
            self._stale.keep(plan, stored, tags)
        return _KEPT if kept else Step("admit", "refused", "heavier than max_bytes")

    def stale(self, request: Request, plan: Plan) -> Response | None:
        """The stored answer, past its time too, where `stale_seconds` allows it; for when no call may be made."""
        stored = None if self._stale is None else self._stale.find(plan)
        return None if stored is None or plan.key is None else past_its_time(self._serve(request, plan.key, stored))

    def filling(self, request: Request, plan: Plan, detach: Callable[[], None] | None = None) -> Filling:
        """Watch over an answer in the making: `admit` it through this, and an invalidation meanwhile is honoured.

        `detach` keeps newcomers from joining the call that makes it; called when it is invalidated, and when it ends.
        """
        user = request.scope.user if plan.decision.personal else None
        tags = (*request.tags, *own_tags(request, None, user))
        return Filling(self._store, plan, tags, partial(self.admit, request, plan=plan), detach)

    def get(self, prompt: str, **parameters: Any) -> str | None:
        """The stored answer to a prompt, or None; `parameters` as in `Request.chat`."""
        found = self.lookup(Request.chat(prompt, **parameters))
        return None if found is None else found.text

    def set(self, prompt: str, response: str | Response, **parameters: Any) -> bool:
        """Keep an answer to a prompt; whether it was kept. A str counts as a complete answer."""
        request = Request.chat(prompt, **parameters)
        if isinstance(response, str):
            response = Response(text=response, model=request.model, finish_reason="stop", created_at=self._wall_clock())
        return self.admit(request, response).action == "kept"

    def entry(self, request: Request) -> Stored | None:
        """The stored answer with its timestamp and user, or None; leaves no trace."""
        stored: Stored | None = self._store.peek(Digest(self.key(request)))
        if stored is None and (own := self._personal_key(request)) is not None:
            stored = self._store.peek(Digest(own))
        return stored

    def invalidate(
        self,
        *,
        tag: str | None = None,
        model: str | None = None,
        user: str | None = None,
        older_than: float | None = None,
        key: bytes | None = None,
    ) -> int:
        """Drop answers; how many there were.

        Those that carry a tag, are of a model (asked for or served), are one user's own, are older than so many
        seconds, or the one under a key (`trace.key`).

        Raises:
            ConfigurationError: not exactly one of them is given, or it is of the wrong type.
        """
        exactly_one("invalidate", tag=tag, model=model, user=user, older_than=older_than, key=key)
        if older_than is not None:
            return self._store.invalidate(older_than=older_than)
        if key is not None:
            if not isinstance(key, bytes):
                raise ConfigurationError(f"key must be 16 bytes, not {type(key).__name__}")
            if self._stale is not None:
                self._stale.drop(key)
            return int(self._store.remove(Digest(key)))
        for prefix, name, value in (("", "tag", tag), (MODEL, "model", model), (USER, "user", user)):
            if isinstance(value, str):
                return self._store.invalidate(tag=prefix + value)
            if value is not None:
                raise ConfigurationError(f"{name} must be a str, not {type(value).__name__}")
        return 0

    def clear(self) -> None:
        """Drop all answers; answers that are being made are not stored. The counters go on."""
        self._store.clear()

    def age_distribution(self) -> dict[str, int]:
        """How many answers are how old: label (see `AGE_BANDS`) to count. Looks at every entry."""
        return by_age(self._store.ages())

    def figures(self) -> dict[str, Any]:
        """Entries, bytes and ages, for the ledger's report."""
        stats = self._store.stats
        return {"entries": stats.entries, "bytes": stats.bytes, "ages": self.age_distribution()}

    def _serve(self, request: Request, key: bytes, stored: Stored) -> Response:
        answer = stored.response
        exact = stored.question == request.question
        mechanism = "exact" if exact else "folded"
        steps: tuple[Step, ...] = _EXACT if exact else _FOLDED
        if stored.origin is not None:
            mechanism, steps = stored.origin.mechanism, (*steps, stored.origin.step)
        age = max(0.0, self._wall_clock() - stored.stored_at)
        return answer.traced(Trace(outcome="hit", mechanism=mechanism, key=key, age=age, steps=steps))

    def held(self, key: bytes) -> Entry | None:
        """The entry under a key, its value a `Stored`; None when it is gone. Counts as no lookup."""
        return self._store.entry(Digest(key))

    def put(self, key: bytes, stored: Stored, *, ttl: float | None, tags: tuple[str, ...]) -> bool:
        """Keep an answer that was judged already; whether there was room."""
        return self._store.set(Digest(key), stored, ttl=ttl, tags=tags, weight=stored.weight)

    def derived(self, tag: str) -> int:
        """Drop the answers that carry one of our own tags; how many there were."""
        return self._store.invalidate(tag=tag)

    def now(self) -> float:
        """The Unix time of timestamps."""
        return self._wall_clock()

    def _find(self, meaning: Meaning, request: Request) -> Response | None:
        """The answer to another question that means the same: its use counts as a hit of that entry."""
        if self.allowed is not None and not self.allowed("semantic", request):
            return None
        found = meaning.find(self, request)
        if found is not None and found.trace.key is not None:
            self._looked_again()
            self._store.get(Digest(found.trace.key))
        return found

    def _looked_again(self) -> None:
        """Count a second look at the store for one lookup."""
        with self._lock:
            self._counts.second_looks += 1

    def _personal_key(self, request: Request) -> bytes | None:
        """The user's own key, when the answer is theirs alone and may be stored."""
        question = request.question
        if question is None or not request.scope.user:
            return None
        decision = self.freshness.classify(question)
        if not decision.personal or decision.action == "bypass":
            return None
        return self.key(request, personal=True)

    def _count_not_admitted(self, reason: str) -> None:
        with self._lock:
            self._counts.not_admitted[reason] = self._counts.not_admitted.get(reason, 0) + 1
