"""Answers to questions in other words: the way of a request through the semantic tier.

Without a network or a user's own function in the way, all of it happens in the lookup itself. What has to wait (a
user's embedder or verifier, a model's opinion, a rewrite) happens in `consider`, on the way to the provider, for all
callers of one key at once.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from resopt.cache.eligible import Asked, answers, asked
from resopt.cache.kept import Origin, Stored, unbilled
from resopt.cache.second import Opinion, Upstream, reworded
from resopt.cache.verdicts import Matter, Opinions, described
from resopt.key import key as digest
from resopt.types import Billed, Detour, Step, Trace

if TYPE_CHECKING:
    from resopt._core import Decision
    from resopt.cache.admission import Plan
    from resopt.cache.embedding import Embedder
    from resopt.cache.response import ResponseCache
    from resopt.cache.second import Rewriter
    from resopt.cache.space import Posting, Source, Space, Spaces
    from resopt.types import Request, Response

FROM: Final = "\0from:"
"""Begins the tag that names the answer from which another comes."""

SEMANTIC: Final = frozenset({"semantic", "rewrite"})
"""Mechanisms of hits that rest on what two questions mean."""

_matter: ContextVar[Matter | None] = ContextVar("resopt.matter", default=None)
"""What the last lookup of this context found near, for who comes after it with the same question."""


class Considered(NamedTuple):
    """What became of a request on its way to the provider.

    Attributes:
        response: the answer, when there is one after all.
        matter: the question with what is near it; None when it cannot be matched by meaning.
        steps: why there is none, for the trace.
        billed: calls that were made and came to nothing.
    """

    response: Response | None = None
    matter: Matter | None = None
    steps: tuple[Step, ...] = ()
    billed: tuple[Billed, ...] = ()


class Meaning:
    """The semantic tier of one cache.

    Args:
        spaces: the questions, by scope.
        embedder: a user's own; None for the bundled one.
        opinions: who verifies.
        rewriter: adapts answers that do not quite fit; None to take them for misses.
        policy: stands for all that decides which questions may meet, in the keys of scopes.

    Attributes:
        broad: probability (cosine, where nobody verifies) from which a miss is rewritten after all; None for never.
    """

    def __init__(
        self,
        spaces: Spaces,
        *,
        embedder: Embedder | None = None,
        opinions: Opinions,
        rewriter: Rewriter | None = None,
        policy: str = "",
    ) -> None:
        self.spaces = spaces
        self.embedder = embedder
        self.opinions = opinions
        self.rewriter = rewriter
        self.policy = policy
        self.broad: float | None = None

    def find(self, cache: ResponseCache, request: Request) -> Response | None:
        """The stored answer to a question that means the same, when that can be said at once."""
        question = self.question(cache, request)
        if isinstance(question, str):
            return None
        space = self.spaces.find(self._scope_key(cache, question))
        if space is None or not space or self.opinions.wait:
            return None
        vector = None
        if self.embedder is not None:
            vector = self.embedder.known(question.question)
            if vector is None:
                return None
        matter = Matter(question.question, space, vector, space.decide(question.question, vector))
        _matter.set(matter)
        return self.served(cache, request, matter) if matter.decision.verdict == "serve" else None

    async def consider(self, cache: ResponseCache, request: Request, plan: Plan, upstream: Upstream) -> Considered:
        """What the lookup could not say at once."""
        if plan.key is None or request.cache not in ("default", "only"):
            return Considered()
        question = self.question(cache, request)
        if isinstance(question, str):
            return Considered(steps=(Step("semantic", "passed", question),))
        matter = _matter.get()
        _matter.set(None)
        if matter is None or matter.question != question.question:
            matter = await self._weighed(cache, question, upstream)
        if matter is None:
            return Considered(steps=(Step("semantic", "miss", "nothing is near"),))
        verdict, opinion = matter.decision.verdict, Opinion("", None)
        if verdict == "miss":
            said, opinion = await self.opinions.ask(cache, request, matter, upstream)
            verdict = "serve" if said else verdict
            matter = matter._replace(said=said) if opinion.text else matter
        billed: tuple[Billed, ...] = () if opinion.billed is None else (opinion.billed,)
        if verdict == "serve":
            response = self.served(cache, request, matter, billed, opinion.text)
        elif self.rewriter is not None and (verdict == "rewrite" or self._is_broad(matter)):
            response, more = await self._rewritten(cache, request, matter, upstream)
            billed = (*billed, *more)
        else:
            response = None
        if response is not None:
            return Considered(response, matter)
        return Considered(None, matter, (Step("semantic", "miss", described(matter)),), billed)

    def post(self, cache: ResponseCache, request: Request, response: Response, key: bytes) -> Posting | None:
        """Make the question of an answer findable by its meaning; None when it may not be, or has no vector yet."""
        question = self.question(cache, request)
        if isinstance(question, str) or answers(response):
            return None
        vector = None
        if self.embedder is not None:
            vector = self.embedder.known(question.question)
            if vector is None:
                return None
        scope = request.scope
        name = "/".join(part for part in (scope.namespace, scope.tenant) if part)
        space = self.spaces.obtain(self._scope_key(cache, question), name)
        answer = int.from_bytes(digest(response.text)[:8], "little")
        return space.post(key, question.question, vector, answer)

    def question(self, cache: ResponseCache, request: Request) -> Asked | str:
        """The question of a request, or why it cannot be matched by meaning."""
        text = request.question
        if text is None:
            return "no question in text"
        return asked(request, cache.freshness.classify(text))

    def space_of(self, cache: ResponseCache, question: Asked) -> Space | None:
        """The space that a question would be looked for in."""
        return self.spaces.find(self._scope_key(cache, question))

    def served(
        self,
        cache: ResponseCache,
        request: Request,
        matter: Matter,
        billed: tuple[Billed, ...] = (),
        said: str = "",
    ) -> Response | None:
        """The answer of the best candidate, kept under the asker's own key too; None when it is gone meanwhile."""
        source = matter.source
        entry = None if source is None else cache.held(source.key)
        if source is None or entry is None:
            return None
        stored: Stored = entry.value
        reason = described(matter) + (f"; the verifier said {said}" if said else "")
        self.keep(cache, request, entry, Origin("semantic", source.key, source.question), stored.response)
        return _hit(cache, stored, "semantic", source, reason, billed)

    def keep(self, cache: ResponseCache, request: Request, entry: Any, origin: Origin, response: Response) -> None:
        """Keep an answer under the key of the question it was now given to, no longer than where it comes from.

        It carries the tags of its source, and goes when that is reported, invalidated or expires; it is never posted.
        """
        plan = cache.plan(request)
        if plan.key is None:
            return
        stored: Stored = entry.value
        user = request.scope.user if plan.decision.personal else None
        kept = Stored(unbilled(response), request.question, stored.stored_at, user, None, origin)
        tags = (*entry.tags, *request.tags, FROM + origin.key.hex())
        cache.put(plan.key, kept, ttl=entry.remaining, tags=tuple(dict.fromkeys(tags)))

    async def _weighed(self, cache: ResponseCache, question: Asked, upstream: Upstream) -> Matter | None:
        """The question with what is near it, once the user's own functions have been heard."""
        vector = None
        if self.embedder is not None:
            vector = await self.embedder.vector(question.question, blocking=upstream.blocking)
            if vector is None:
                return None
        space = self.spaces.find(self._scope_key(cache, question))
        if space is None or not space:
            return None
        decision: Decision
        if self.opinions.own is None:
            decision = space.decide(question.question, vector)
        else:
            nominated = space.nominate(question.question, vector)
            said = await self.opinions.heard(cache, question.question, space, nominated, upstream)
            decision = space.partition.settle(nominated, said)
        return Matter(question.question, space, vector, decision)

    def _is_broad(self, matter: Matter) -> bool:
        """Whether the best candidate is near enough to be rewritten; nothing is in a namespace that has retreated."""
        decision = matter.decision
        if self.broad is None or decision.best is None or decision.standing in ("drifted", "overspent"):
            return False
        (best,) = (candidate for candidate in decision.candidates if candidate["id"] == decision.best)
        if self.opinions.kind == "none":
            return bool(best["cosine"] >= self.broad)
        return best["probability"] is not None and best["probability"] >= self.broad

    async def _rewritten(
        self, cache: ResponseCache, request: Request, matter: Matter, upstream: Upstream
    ) -> tuple[Response | None, tuple[Billed, ...]]:
        source = matter.source
        entry = None if source is None else cache.held(source.key)
        if source is None or entry is None or self.rewriter is None:
            return None, ()
        if cache.allowed is not None and not cache.allowed("rewrite", request):
            return None, ()
        stored: Stored = entry.value
        if stored.origin is not None and stored.origin.mechanism == "rewrite":
            return None, ()  # never the source of another rewrite
        opinion = await self.rewriter.rewrite(
            request.api, source.question, stored.response.text, matter.question, upstream
        )
        billed = () if opinion.billed is None else (opinion.billed,)
        made = reworded(request.api, stored.response, opinion.text) if opinion.text else None
        if made is None:
            return None, billed
        self.keep(cache, request, entry, Origin("rewrite", source.key, source.question), made)
        reason = f"{described(matter)}; adapted by {self.rewriter.model}"
        fresh = msgspec.structs.replace(stored, response=made)
        return _hit(cache, fresh, "rewrite", source, reason, billed), billed

    def _scope_key(self, cache: ResponseCache, question: Asked) -> bytes:
        personal = cache.freshness.classify(question.question).personal
        return cache.key.scoped(question.scope, self.policy, personal=personal, of=question.request)


def take_matter() -> Matter | None:
    """What the last lookup of this context found near, once."""
    matter = _matter.get()
    _matter.set(None)
    return matter


def matter_of(response: Response) -> Matter | None:
    """What the hit that this context just got rests on; None when it was found under its own key."""
    matter = _matter.get()
    if matter is None or matter.source is None or matter.source.key != response.trace.key:
        return None
    _matter.set(None)
    return matter


def _hit(
    cache: ResponseCache, stored: Stored, mechanism: str, source: Source, reason: str, billed: tuple[Billed, ...]
) -> Response:
    """The stored answer with the trace of a semantic hit, and what it cost to come by."""
    age = max(0.0, cache.now() - stored.stored_at)
    trace = Trace(
        outcome="hit", mechanism=mechanism, key=source.key, age=age, steps=(Step("semantic", mechanism, reason),)
    )
    response = stored.response.traced(trace)
    if not billed:
        return response
    detour = response.detour or Detour()
    return msgspec.structs.replace(response, detour=msgspec.structs.replace(detour, also=billed))
