"""What is near a question, in whose opinion it may be served, and how that reads in a trace."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

from resopt.cache.second import LLMVerifier, Opinion
from resopt.errors import ConfigurationError
from resopt.flight.errand import within

if TYPE_CHECKING:
    from resopt._core import Decision
    from resopt.cache.response import ResponseCache
    from resopt.cache.second import Upstream
    from resopt.cache.space import Source, Space
    from resopt.types import Request


class Matter(NamedTuple):
    """A question and what was decided about it.

    Attributes:
        question: the user's words.
        space: where it was looked for.
        vector: its vector by the user's own embedder; None with the bundled one.
        decision: candidates and verdict.
        said: what a model said of the best candidate; None when none was asked.
    """

    question: str
    space: Space
    vector: Any
    decision: Decision
    said: bool | None = None

    @property
    def source(self) -> Source | None:
        """What the decision fell on; None when that is nothing, or gone."""
        best = self.decision.best
        return None if best is None else self.space.source(best)


class Opinions:
    """Who says whether an answer fits: the bundled network, a user's own function, a cheap model in the grey zone.

    Args:
        verifier: `"bundled"`; a callable `verifier(question, other_question, other_answer) -> probability`, plain or
            async; an `LLMVerifier`, which is asked where the bundled network will not say yes; None for nobody: then a
            plain cosine decides.
        deadline: seconds to wait for a callable.

    Attributes:
        own: the user's own function.
        model: the cheap model.
        wait: whether an opinion has to be waited for.
        failures: how often the user's own function failed or was late.

    Raises:
        ConfigurationError: the verifier is none of these.
    """

    def __init__(self, verifier: Any, deadline: float) -> None:
        own = callable(verifier) and not isinstance(verifier, LLMVerifier)
        if not own and not (verifier in ("bundled", None) or isinstance(verifier, LLMVerifier)):
            raise ConfigurationError(
                f"verifier must be 'bundled', a callable, an LLMVerifier or None, not {type(verifier).__name__}"
            )
        self.own = verifier if own else None
        self.model = verifier if isinstance(verifier, LLMVerifier) else None
        self.kind = "own" if own else "none" if verifier is None else "bundled"
        self.wait = own
        self.failures = 0
        self._deadline = deadline

    async def heard(
        self, cache: ResponseCache, question: str, space: Space, nominated: Decision, upstream: Upstream
    ) -> list[float | None]:
        """The user's own opinion of each candidate that no guard refuses; None where there is none in time."""
        opinions: list[float | None] = []
        for candidate in nominated.candidates:
            source = space.source(candidate["id"])
            entry = None if source is None else cache.held(source.key)
            if candidate["reasons"] or candidate["barred"] or source is None or entry is None:
                opinions.append(None)
                continue
            opinions.append(await self._heard(question, source.question, entry.value.response.text, upstream))
        return opinions

    async def _heard(self, question: str, other: str, answer: str, upstream: Upstream) -> float | None:
        try:
            said = await within(self._deadline, self._ask_own, question, other, answer, blocking=upstream.blocking)
            probability = float(said)
        except Exception:  # noqa: BLE001 - no opinion is a miss
            self.failures += 1
            return None
        if 0 <= probability <= 1:
            return probability
        self.failures += 1
        return None

    async def _ask_own(self, question: str, other: str, answer: str) -> Any:
        """A user's function may be plain: it is short, or has a thread of its own to be long in."""
        said = self.own(question, other, answer) if self.own is not None else None
        return await said if inspect.isawaitable(said) else said

    async def ask(
        self, cache: ResponseCache, request: Request, matter: Matter, upstream: Upstream
    ) -> tuple[bool, Opinion]:
        """A cheap model's word on the best candidate, where the rest would not say yes."""
        probability, source = matter.decision.probability, matter.source
        retreated = matter.decision.standing in ("drifted", "overspent")
        if self.model is None or source is None or probability is None or retreated or probability < self.model.low:
            return False, Opinion("", None)
        entry = cache.held(source.key)
        if entry is None:
            return False, Opinion("", None)
        answer = entry.value.response.text
        return await self.model.fits(request.api, source.question, answer, matter.question, upstream)


def described(matter: Matter) -> str:
    """The decision in a line: what it fell on, or why not."""
    decision = matter.decision
    if not decision.candidates:
        return "nothing is near"
    source = matter.source
    if decision.best is not None and source is not None and decision.probability is not None:
        needed = f" of {decision.floor:.3f} needed" if decision.standing == "warm" else ""
        standing = "" if decision.standing in ("cold", "warm") else f" ({decision.standing}: nothing is served)"
        return f"{decision.probability:.3f}{needed} that the answer fits to: {source.question}{standing}"
    nearest = decision.candidates[0]
    other = matter.space.source(nearest["id"])
    named = "" if other is None else f" ({other.question})"
    if nearest["barred"]:
        return f"barred by a report: cosine {nearest['cosine']:.3f}{named}"
    reasons = ", ".join(f"{name}: {left or '-'} / {right or '-'}" for name, left, right in nearest["reasons"])
    return f"refused by {reasons or 'the profile'}{named}"
