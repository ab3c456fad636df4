"""Admission: which answers are good enough to keep, for whom and for how long.

A truncated, filtered, empty or interrupted answer that is stored is served again and again; so only what said all it
had to say is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from resopt._core import Digest
from resopt.cache.freshness import GENERIC, Decision
from resopt.cache.memory import Fill
from resopt.key import state_of
from resopt.types import COMPLETE, Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from resopt.cache.memory import Cache
    from resopt.cache.response import ResponseCache
    from resopt.types import Request, Response

# Tags of our own begin with NUL, which `request.tags` cannot: they never meet.
MODEL: Final = "\0model:"
USER: Final = "\0user:"


class Plan(msgspec.Struct, frozen=True):
    """What may be done with the answer to a request.

    Attributes:
        key: under which it may be shared and stored; None when it is for this caller alone.
        decision: what the freshness rules say of the question.
        ttl: seconds it may be served; None for the cache's own.
        steps: the reasons, for the trace.
    """

    key: bytes | None
    decision: Decision = GENERIC
    ttl: float | None = None
    steps: tuple[Step, ...] = ()


class _Choices(msgspec.Struct):
    choices: list[msgspec.Raw] = []


_choices = msgspec.json.Decoder(_Choices)


def planned(cache: ResponseCache, request: Request, key: bytes | None) -> Plan:
    """What `ResponseCache.plan` returns."""
    if request.cache == "bypass":
        return Plan(None, steps=(Step("cache", "bypass", "asked for by the caller"),))
    state = state_of(request)
    if state:
        return Plan(None, steps=(Step("cache", "bypass", state),))
    key = cache.key(request) if key is None else key
    question = request.question
    decision = GENERIC if question is None else cache.freshness.classify(question)
    if decision is GENERIC:
        return Plan(key, ttl=request.ttl)
    action = decision.action_for(request.scope.user)
    steps = (Step("freshness", action, f"{decision.rule}: {decision.matched}"),)
    if action == "bypass":
        return Plan(None, decision, steps=steps)
    key = cache.key(request, personal=True) if decision.personal else key
    ttl = request.ttl
    if decision.ttl is not None:  # the rule shortens the cache's own time, and never lengthens it
        ttl = shorter(cache.ttl if ttl is None else ttl, decision.ttl)
    return Plan(key, decision, ttl, steps)


def unfit(response: Response, *, refusals: bool = False) -> str:
    """Why an answer must not be stored; empty when it may. `refusals`: what a model declined may be."""
    if response.finish_reason is None:
        return "no finish reason: it may have been interrupted"
    if response.finish_reason not in COMPLETE and not (refusals and response.finish_reason == "refusal"):
        return f"ended by {response.finish_reason}"
    if not response.text.strip() and not response.tool_calls:
        return "empty"
    return ""


def incomplete(request: Request, response: Response) -> str:
    """Why a reply is less than was asked for: fewer choices than `n`; empty when it is not, or has none at all."""
    wanted = request.body.get("n")
    if not isinstance(wanted, int) or wanted < 2 or not response.body:
        return ""
    try:
        count = len(_choices.decode(response.body).choices)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return "a choice is missing" if 0 < count < wanted else ""


def shorter(one: float | None, other: float | None) -> float | None:
    """The smaller of two times to live, where None sets no limit."""
    known = [ttl for ttl in (one, other) if ttl is not None]
    return min(known) if known else None


def own_tags(request: Request, response: Response | None, user: str | None) -> list[str]:
    """Tags of our own: the models asked for and served, and the user whose own the answer is."""
    models = {request.model} if response is None else {request.model, response.model}
    return [MODEL + model for model in sorted(models)] + ([] if user is None else [USER + user])


class Filling:
    """One answer in the making; what is invalidated before it lands is not stored.

    It carries the tags known when it began; the served model is known only when it ends.
    """

    __slots__ = ("_admit", "_fill", "_store")

    def __init__(
        self,
        store: Cache,
        plan: Plan,
        tags: tuple[str, ...],
        admit: Callable[[Response], Step],
        detach: Callable[[], None] | None,
    ) -> None:
        self._store, self._admit = store, admit
        self._fill = None if plan.key is None else Fill(store, Digest(plan.key), tags=tags, detach=detach)

    def __enter__(self) -> Self:
        if self._fill is not None:
            self._fill.begin()
        return self

    def __exit__(self, *_: object) -> None:
        if self._fill is not None:
            self._fill.end()

    def admit(self, response: Response) -> Step:
        """Keep the answer, unless its key or a tag was invalidated since this began."""
        fill = self._fill
        if fill is None:
            return self._admit(response)
        step = self._admit(response) if fill.valid else None
        if fill.valid and step is not None:
            return step
        if step is not None:  # another thread invalidated it between the question and the storing
            self._store.remove(fill.digest)
        return Step("admit", "refused", "invalidated while it was being made")
