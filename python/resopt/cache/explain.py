"""Why a question would be served from memory or not, as data and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from resopt.cache.kept import Stored  # noqa: TC001 - for those who read the annotations

if TYPE_CHECKING:
    from resopt.cache.meaning import Meaning
    from resopt.cache.response import ResponseCache
    from resopt.types import Request


class Reason(msgspec.Struct, frozen=True):
    """A guard's refusal: its name, and what of the asked and of the stored question contradict each other."""

    guard: str
    asked: str
    stored: str


class Near(msgspec.Struct, frozen=True, kw_only=True):
    """A stored question near the one that was asked.

    Attributes:
        question: the stored question.
        similarity: cosine of the two.
        reasons: why guards refuse it.
        barred: whether a report keeps the two apart.
        verifier: the verifier's probability that one answer serves both; None without one.
        probability: the calibrated probability; None when nothing says so.
    """

    question: str
    similarity: float
    reasons: tuple[Reason, ...]
    barred: bool
    verifier: float | None
    probability: float | None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done with a question.

    Attributes:
        question: what is asked.
        decision: `exact` or `folded` (its own answer is stored), `semantic`, `rewrite`, or `miss`.
        why: the reason in words.
        standing: `cold`, `warm`, `drifted` or `overspent`; empty where nothing is near.
        floor: the probability needed when warm.
        candidates: stored questions near it, the nearest first.
    """

    question: str
    decision: str
    why: str
    standing: str = ""
    floor: float | None = None
    candidates: tuple[Near, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.question}", f"  {self.decision}: {self.why}"]
        if self.standing:
            needed = f", {self.floor:.3f} needed" if self.standing == "warm" and self.floor is not None else ""
            lines.append(f"  {self.standing}{needed}")
        for near in self.candidates:
            figures = [f"cosine {near.similarity:.3f}"]
            figures += [f"verifier {near.verifier:.3f}"] if near.verifier is not None else []
            figures += [f"probability {near.probability:.3f}"] if near.probability is not None else []
            lines.append(f"  - {near.question}  ({', '.join(figures)})")
            lines += [f"      {each.guard}: {each.asked or '-'} / {each.stored or '-'}" for each in near.reasons]
            lines += ["      barred by a report"] if near.barred else []
        return "\n".join(lines)


def explain(cache: ResponseCache, meaning: Meaning, request: Request) -> Explanation:
    """What `SemanticCache.explain` returns."""
    text = request.question or ""
    plan = cache.plan(request)
    entry = None if plan.key is None else cache.held(plan.key)
    if entry is not None:
        stored: Stored = entry.value
        mechanism = "exact" if stored.question == text else "folded"
        if stored.origin is not None:
            mechanism = stored.origin.mechanism
        return Explanation(question=text, decision=mechanism, why=f"answered before: {stored.question}")
    if plan.key is None:
        return Explanation(question=text, decision="miss", why="; ".join(step.reason for step in plan.steps))
    question = meaning.question(cache, request)
    if isinstance(question, str):
        return Explanation(question=text, decision="miss", why=question)
    space = meaning.space_of(cache, question)
    vector = None if meaning.embedder is None else meaning.embedder.known(text)
    if space is None or not space or (meaning.embedder is not None and vector is None):
        why = "its vector is not known" if space and vector is None else "nothing was posted in its scope"
        return Explanation(question=text, decision="miss", why=why)
    decision = space.decide(text, vector, record=False)
    near = []
    for candidate in decision.candidates:
        source = space.source(candidate["id"])
        near.append(
            Near(
                question="" if source is None else source.question,
                similarity=candidate["cosine"],
                reasons=tuple(Reason(*reason) for reason in candidate["reasons"]),
                barred=candidate["barred"],
                verifier=candidate["verified"],
                probability=candidate["probability"],
            )
        )
    return Explanation(
        question=text,
        decision={"serve": "semantic"}.get(decision.verdict, decision.verdict),
        why=_why(decision, near),
        standing=decision.standing,
        floor=decision.floor,
        candidates=tuple(near),
    )


def _why(decision: object, near: list[Near]) -> str:
    verdict = getattr(decision, "verdict", "miss")
    if not near:
        return "nothing is near"
    if verdict == "miss":
        if all(each.reasons or each.barred for each in near):
            return "every candidate is refused"
        return "no candidate is probable enough"
    probability = getattr(decision, "probability", None)
    return f"the answer fits with a probability of {probability:.3f}"
