"""How the semantic tier learns whether it is right: labels from audits and misses, and reports of wrong answers.

A random share of hits is audited: the real answer is fetched in the background and compared. A share of the misses that
had a candidate is compared for nothing more than the judge, because the real answer is there anyway. The tosses are
made with the decision, so that the bound on the wrong share holds whatever is served.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgspec

from resopt.cache.judging import similar_answers
from resopt.cache.meaning import FROM, SEMANTIC, Meaning, matter_of
from resopt.errors import ConfigurationError
from resopt.types import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from resopt.cache.meaning import Considered
    from resopt.cache.response import ResponseCache
    from resopt.cache.verdicts import Matter
    from resopt.types import Request

    Judge: TypeAlias = Callable[[str, str, str, str], Any]

_REMEMBERED: Final = 10_000
_VERSION: Final = 1


class Due(NamedTuple):
    """A hit that is to be audited."""

    request: Request
    response: Response
    matter: Matter


class _Given(NamedTuple):
    """A semantic hit that may be reported: what was asked, whose answer was given, and where that is kept too."""

    request: Request
    key: bytes
    own_key: bytes | None
    matter: Matter | None


class SpaceFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One scope's figures.

    Attributes:
        name: its namespace and tenant.
        questions: how many can be found.
        standing: `cold` (the profile's point), `warm` (local labels), `drifted` or `overspent` (exact matching only).
        floor: the probability needed, when warm.
        labels: labels since the last retreat.
        retreats: how often it fell back to exact matching.
        barred: pairs that were reported.
        hits: semantic hits served.
        audited: of these the ones whose real answer was compared.
        wrong: of these the wrong ones.
        wrong_share: the estimated share of wrong hits; None before the first audit.
        wrong_at_most: a share that the wrong hits do not exceed, with 95 % confidence at every moment.
        bytes: what it holds.
    """

    name: str
    questions: int
    standing: str
    floor: float
    labels: int
    retreats: int
    barred: int
    hits: int
    audited: int
    wrong: int
    wrong_share: float | None
    wrong_at_most: float
    bytes: int


class SemanticFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The semantic tier as a whole.

    Attributes:
        spaces: scopes whose questions may meet, the largest first.
        hits: semantic hits served.
        reported: hits that were reported as wrong.
        embedder_failures: why vectors were missing, and how often.
        verifier_failures: opinions that did not come.
        model_asked: how often a model was asked in the grey zone.
        model_agreed: how often audits agreed with it.
        model_disagreed: how often they did not.
    """

    spaces: tuple[SpaceFigures, ...]
    hits: int
    reported: int
    embedder_failures: dict[str, int]
    verifier_failures: int
    model_asked: int
    model_agreed: int
    model_disagreed: int


class _Learnt(msgspec.Struct, array_like=True):
    """What `Audit.to_bytes` writes."""

    version: int
    policy: str
    spaces: dict[bytes, bytes]


class Audit:
    """The labels of one cache's semantic tier.

    Args:
        meaning: the tier.
        judge: says whether two answers are the same; `similar_answers` when None.

    Raises:
        ConfigurationError: the judge cannot be called.

    Attributes:
        judge: as given.
        slow: whether the judge is a user's own, and may take its time.
    """

    def __init__(self, meaning: Meaning, judge: Judge | None = None) -> None:
        if judge is not None and not callable(judge):
            raise ConfigurationError(f"judge must be a callable or None, not {type(judge).__name__}")
        self.judge: Judge = similar_answers if judge is None else judge
        self.slow = not getattr(self.judge, "__module__", "").startswith("resopt.cache.judging")
        self.reported = 0
        self._meaning = meaning
        self._given: OrderedDict[str, _Given] = OrderedDict()
        self._lock = threading.Lock()

    def given(self, cache: ResponseCache, request: Request, response: Response) -> Due | None:
        """Remember a semantic hit, so that it can be reported; what is to be audited, when it is."""
        matter, key = matter_of(response), response.trace.key
        if key is None:
            return None
        if matter is not None and matter.source is not None:
            given = _Given(request, matter.source.key, cache.plan(request).key, matter)
        else:
            entry = cache.held(key)
            origin = None if entry is None else entry.value.origin
            if origin is None:
                return None
            given = _Given(request, origin.key, key, None)
        with self._lock:
            self._given[response.trace.id] = given
            while len(self._given) > _REMEMBERED:
                self._given.popitem(last=False)
        return None if matter is None or not matter.decision.audited else Due(request, response, matter)

    async def settle(self, cache: ResponseCache, due: Due, real: Response | None) -> bool | None:
        """Compare a served answer with the real one, and learn; whether it was right. An audit that failed is wrong."""
        matter, source = due.matter, due.matter.source
        best = matter.decision.best
        if source is None or best is None:
            return None
        right = real is not None and await self._same(matter.question, real.text, source.question, due.response.text)
        self._learn(matter, best, right=right)
        if real is not None and not right:
            self.report(cache, due.response)
            cache.admit(due.request, real)
        return right if real is not None else None

    async def missed(self, cache: ResponseCache, considered: Considered, response: Response, key: bytes | None) -> None:
        """Compare the answer to a miss with those of its candidates, when the toss says so."""
        matter = considered.matter
        if matter is None or not matter.decision.audited:
            return
        entry = None if key is None else cache.held(key)
        posting = None if entry is None else entry.value.posting
        for candidate in matter.decision.candidates:
            source = matter.space.source(candidate["id"])
            stored = None if source is None else cache.held(source.key)
            if source is None or stored is None or candidate["reasons"] or candidate["barred"]:
                continue
            right = await self._same(matter.question, response.text, source.question, stored.value.response.text)
            self._learn(matter, candidate["id"], right=right, entry=None if posting is None else posting.id)

    def report(self, cache: ResponseCache, which: Response | str) -> int:
        """As `SemanticCache.report_bad_hit`."""
        if not isinstance(which, Response | str):
            raise ConfigurationError(f"report a Response or the id of its trace, not {type(which).__name__}")
        name = which if isinstance(which, str) else which.trace.id
        with self._lock:
            given = self._given.pop(name, None)
        if given is None:
            if isinstance(which, str) or which.trace.key is None or which.trace.mechanism in SEMANTIC:
                raise ConfigurationError(f"no hit {name!r} is known: only the last {_REMEMBERED:,} semantic hits are")
            return self._evict(cache, which.trace.key)
        self.reported += 1
        self._bar(cache, given)
        dropped = 0 if given.own_key is None else cache.invalidate(key=given.own_key)
        return dropped + self._evict(cache, given.key)

    def figures(self) -> SemanticFigures:
        """As `SemanticCache.semantic`."""
        spaces = sorted((_figures(space) for space in self._meaning.spaces), key=lambda each: -each.questions)
        model, embedder = self._meaning.opinions.model, self._meaning.embedder
        return SemanticFigures(
            spaces=tuple(spaces),
            hits=sum(space.hits for space in spaces),
            reported=self.reported,
            embedder_failures={} if embedder is None else dict(embedder.failures),
            verifier_failures=self._meaning.opinions.failures,
            model_asked=0 if model is None else model.asked,
            model_agreed=0 if model is None else model.agreed,
            model_disagreed=0 if model is None else model.disagreed,
        )

    def to_bytes(self) -> bytes:
        """As `SemanticCache.learnt`."""
        return msgspec.msgpack.encode(_Learnt(_VERSION, self._meaning.policy, self._meaning.spaces.learnt()))

    def restore(self, data: bytes) -> None:
        """As `SemanticCache.restore`."""
        try:
            learnt = msgspec.msgpack.decode(data, type=_Learnt)
        except (msgspec.MsgspecError, TypeError) as error:
            raise ConfigurationError(f"these bytes are not what learnt() gave: {error}") from None
        if learnt.version != _VERSION or learnt.policy != self._meaning.policy:
            raise ConfigurationError("these bytes come from a cache of another version, embedder, verifier or guards")
        self._meaning.spaces.restore(learnt.spaces)

    async def _same(self, question: str, answer: str, other: str, other_answer: str) -> bool:
        """The judge's word; one that fails, or cannot tell, has not said yes."""
        said: Any = self.judge(question, answer, other, other_answer)
        if isawaitable(said):
            said = await said
        return said is True or (isinstance(said, float) and said >= 0.5)

    def _learn(self, matter: Matter, candidate: int, *, right: bool, entry: int | None = None) -> None:
        decision, model = matter.decision, self._meaning.opinions.model
        matter.space.partition.learn(decision, candidate, right, sampled=True, entry=entry)
        if model is not None and matter.said is not None and candidate == decision.best:
            model.audited(matter.said, right)

    def _bar(self, cache: ResponseCache, given: _Given) -> None:
        """Keep the two questions apart from now on, and learn from what was decided, where that is still known."""
        question = self._meaning.question(cache, given.request)
        if isinstance(question, str):
            return
        space = self._meaning.space_of(cache, question)
        number = None if space is None else space.number(given.key)
        if space is None or number is None:
            return
        embedder = self._meaning.embedder
        vector = None if embedder is None else embedder.known(question.question)
        if embedder is None or vector is not None:
            space.partition.bar(question.question, number, vector)
        if given.matter is not None and given.matter.decision.best is not None:
            best = given.matter.decision.best
            space.partition.learn(given.matter.decision, best, False, sampled=False)  # noqa: FBT003

    def _evict(self, cache: ResponseCache, key: bytes) -> int:
        """Drop an answer and all that came from it."""
        return cache.invalidate(key=key) + cache.derived(FROM + key.hex())


def _figures(space: Any) -> SpaceFigures:
    figures = space.partition.figures()
    every = figures["all"]
    return SpaceFigures(
        name=space.name,
        questions=len(space),
        standing=figures["standing"],
        floor=figures["floor"],
        labels=figures["labels"],
        retreats=figures["retreats"],
        barred=figures["barred"],
        hits=every["hits"],
        audited=every["labelled"],
        wrong=every["wrong"],
        wrong_share=every["estimate"],
        wrong_at_most=every["upper"],
        bytes=space.partition.bytes,
    )
