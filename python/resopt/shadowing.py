"""The part of the pipeline that answers some questions both ways, behind the caller's back, and has the two compared.

As audits do, it runs in a task or a thread of its own, passes the gates, and leaves what it cost in the ledger: second
answers under the mechanism `shadow`, the judge's calls under `judge`. What goes wrong there is counted, no more.
"""

from __future__ import annotations

import inspect
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resopt.errors import ConfigurationError
from resopt.flight.errand import Errands
from resopt.gates import TURNED_AWAY
from resopt.types import Billed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from resopt.optimizer import AsyncOptimizer
    from resopt.rollout.shadow import Shadow
    from resopt.types import Request, Response

PATIENCE: Final = 30.0
"""Seconds that closing waits at most for comparisons under way."""

MOST: Final = 64
"""Comparisons under way at once; answers that come meanwhile are not compared."""

_OF_STREAMS: Final = ("stream", "stream_options")


class Shadowing:
    """The shadows of one pipeline.

    Args:
        pipeline: whose answers are compared.
        shadows: each with a stage and a judge.

    Attributes:
        blocking: whether callers have no event loop.

    Raises:
        ConfigurationError: a shadow is not for a pipeline, or not for a stage of this one.
    """

    def __init__(self, pipeline: AsyncOptimizer, shadows: tuple[Shadow, ...]) -> None:
        self.blocking = False
        self._pipeline, self._shadows, self._errands = pipeline, shadows, Errands()
        names = {stage.name for stage in pipeline.stages.stages}
        for shadow in shadows:
            if shadow.stage not in names:
                stages = ", ".join(sorted(names)) or "there is none"
                raise ConfigurationError(f"shadow {shadow.name!r} needs a judge and a stage of the pipeline: {stages}")

    @property
    def under_way(self) -> int:
        """Comparisons that have not ended."""
        return len(self._errands)

    def answered(self, request: Request, response: Response) -> None:
        """An answer came from the provider: have it compared when it is one of the share."""
        for shadow in self._shadows:
            try:
                # Tools that were called are no text to compare, and what piles up would hurt the host.
                if not is_text(response) or len(self._errands) >= MOST or not shadow.samples(request, response):
                    continue
                treated = self._pipeline.trials.enabled(str(shadow.stage), request)
                self._errands.send(self._compare, shadow, request, response, treated, blocking=self.blocking)
            except Exception as error:  # noqa: BLE001 - invariant 8
                self._pipeline.accounts.skip("shadow", error)

    async def drained(self, close: Callable[[], Awaitable[None]]) -> None:
        """Wait for what is under way, though not for ever, and `close()` what it needed."""
        try:
            if self._shadows:
                await self._errands.drained(PATIENCE, blocking=self.blocking)
        finally:
            await close()

    async def _compare(self, shadow: Shadow, request: Request, response: Response, treated: bool) -> None:  # noqa: FBT001
        pipeline, stage = self._pipeline, str(shadow.stage)
        try:
            other = await self._other(stage, request, on=not treated)
            candidate, baseline = (response, other) if treated else (other, response)
            score = None
            if is_text(other):
                score = await self._judged(shadow.judge, request, candidate.text, baseline.text)
        except TURNED_AWAY:  # that there is no money or no room says nothing of what is tried out
            shadow.pair(None, None)
        except Exception as error:  # noqa: BLE001 - what happens in the shadow hurts nobody
            pipeline.accounts.skip("shadow", error)
            shadow.failed()
        else:
            shadow.pair(score, None if score is None else 1 - score)

    async def _other(self, stage: str, request: Request, *, on: bool) -> Response:
        """The answer with the stage switched the other way, whole and kept nowhere."""
        pipeline, began = self._pipeline, perf_counter()
        body = {name: value for name, value in request.body.items() if name not in _OF_STREAMS}
        asked = msgspec.structs.replace(request, body=body, cache="bypass")
        other = await pipeline.stages.switched(stage, on=on).call(asked, pipeline.provider.complete)
        seconds = perf_counter() - began
        pipeline.ledger.background("shadow", other.model, other.usage, latency=seconds, scope=request.scope)
        for call in () if other.detour is None else other.detour.also:  # attempts that would not do, and their judge
            pipeline.accounts.background(Billed("shadow", call.model, call.usage), request.scope)
        return other

    async def _judged(self, judge: Any, request: Request, candidate: str, baseline: str) -> float | None:
        """What the candidate is worth against the baseline; a `Judge`'s calls pass the gates and are written down."""
        within = getattr(judge, "within", None)
        if callable(within):
            judge = within(self._pipeline.stages.gates, request, bills=False)
            judge = judge.blocking() if self.blocking and judge.asks_model else judge
        said = judge.compare(request.question or "", candidate, baseline)
        verdict = await said if inspect.isawaitable(said) else said
        for call in getattr(verdict, "calls", ()):
            self._pipeline.accounts.background(call, request.scope)
        score: float | None = verdict.score
        return score


def is_text(response: Response) -> bool:
    """Whether an answer is text that can be compared."""
    return bool(response.text) and not response.tool_calls
