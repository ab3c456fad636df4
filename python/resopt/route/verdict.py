"""How good an answer is, by the cheapest means that can tell: checks, then a fitted scorer, then a judge."""

from __future__ import annotations

import inspect as python_inspect
import logging
import math
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.errors import ConfigurationError
from resopt.route.checks import Fault, inspect
from resopt.types import Billed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from resopt.route.answers import AnswerScorer
    from resopt.route.asking import Upstream
    from resopt.route.checks import Check
    from resopt.stage import Gate
    from resopt.types import Request, Response


LATE = object()
"""What a judge says who did not answer in time."""


class Verdict(msgspec.Struct, frozen=True):
    """How good an answer is.

    Attributes:
        quality: 1 (nothing against it) to 0 (unusable).
        by: what said so: `checks`, `scorer` or `judge`.
        faults: what the checks found.
        reason: the judge's, where it gave one.
        cost: picodollars that judging cost; None when it is unknown.
        billed: the judge's calls to a model, each with its usage.
    """

    quality: float
    by: str
    faults: tuple[Fault, ...] = ()
    reason: str = ""
    cost: int | None = 0
    billed: tuple[Billed, ...] = ()

    def __str__(self) -> str:
        found = "; ".join(fault.why for fault in self.faults) or self.reason
        return f"quality {self.quality:.2f} by {self.by}" + (f": {found}" if found else "")


class Examiner:
    """Judges answers, and asks the dearer means only what the cheaper ones let pass.

    Args:
        checks: in the order of what they cost.
        scorer: an `AnswerScorer`; its word replaces what the checks merely took off.
        judge: a `resopt.Judge`, or takes (question, answer, context) and returns a number from 0 to 1, a pair of it
            and a reason, or something with `score`, `reason` and `cost` (picodollars); None and NaN are no verdict.
            May be async.
        threshold: quality from which an answer will do.
        upstream: whose gates the calls of a `Judge` pass, and whose prices say what they cost.

    Attributes:
        failures: how often the judge raised, was cut off, or said what is no score.

    Raises:
        ConfigurationError: the scorer or the judge cannot be used.
    """

    def __init__(
        self,
        checks: Sequence[Check],
        scorer: AnswerScorer | None,
        judge: Callable[..., Any] | None,
        threshold: float,
        upstream: Upstream,
    ) -> None:
        if scorer is not None and not callable(getattr(scorer, "score", None)):
            raise ConfigurationError(f"scorer must be an AnswerScorer or None, not {type(scorer).__name__}")
        if judge is not None and not callable(judge) and not callable(getattr(judge, "score", None)):
            raise ConfigurationError(f"judge must be a Judge, callable or None, not {type(judge).__name__}")
        _check_signature(judge)
        self._upstream, self.failures = upstream, 0
        self._checks, self._scorer, self._judge, self._threshold = tuple(checks), scorer, judge, threshold

    def cheaply(self, request: Request, response: Response) -> Verdict:
        """What checks and scorer say; asks nobody."""
        quality, faults = inspect(self._checks, request, response)
        if quality <= 0.0 or self._scorer is None or not response.text:
            return Verdict(quality, "checks", faults)
        return Verdict(self._scorer.score(request.question or "", response.text), "scorer", faults)

    async def fully(
        self,
        request: Request,
        response: Response,
        *,
        blocking: bool,
        gates: Sequence[Gate] | None = None,
        left: float | None = None,
    ) -> Verdict:
        """What they say, and the judge where they have nothing against the answer.

        Args:
            request: what was asked.
            response: what came.
            blocking: whether the caller blocks.
            gates: what the judge's calls pass in a pipeline, which writes them down too; outside of one, the router's.
            left: seconds that a judge may take, who is cut off then; one that blocks cannot be. None for no limit.

        Raises:
            ConfigurationError: the judge is async and the caller blocks.
        """
        verdict = self.cheaply(request, response)
        if self._judge is None or verdict.quality < self._threshold or not response.text:
            return verdict
        if left is not None and left <= 0:
            return msgspec.structs.replace(verdict, reason="no time was left for the judge")
        judge = _bench(self._judge, self._upstream.gates(blocking=blocking), gates, request, blocking=blocking)
        try:
            said = judge(request.question or "", response.text, None)
            if python_inspect.isawaitable(said):
                if blocking:
                    close = getattr(said, "close", None)
                    if close is not None:
                        close()
                    raise ConfigurationError("the judge is async: use the async face of the router")  # noqa: TRY301
                said = await _within(left, said)
        except ConfigurationError:
            raise
        except Exception as error:
            self._count_failure(error)
            raise
        if said is LATE:
            self._count_failure(TimeoutError(f"the judge took more than the {left or 0:.3g} s left"))
            late = "the judge did not answer within the deadline"
            return msgspec.structs.replace(verdict, reason=late, cost=None)  # what was cut off may be billed
        try:
            return self._judged(verdict, said)
        except ValueError as error:
            self._count_failure(error)
            return msgspec.structs.replace(verdict, reason=f"the judge had no verdict: {error}")

    def _count_failure(self, error: Exception) -> None:
        """Count a judge that failed; the first failure is logged in full."""
        self.failures += 1
        if self.failures == 1:
            logging.getLogger("resopt").error("the judge of a cascade failed and has no say", exc_info=error)

    def _judged(self, verdict: Verdict, said: Any) -> Verdict:
        billed: tuple[Billed, ...] = getattr(said, "calls", ())
        cost = getattr(said, "cost", 0)
        for call in billed:
            own = self._upstream.price(call.model, call.usage)
            cost = None if cost is None or own is None else cost + own
        return msgspec.structs.replace(_read(verdict, said), cost=cost, billed=billed)


async def _within(left: float | None, said: Awaitable[Any]) -> Any:
    """What a judge comes to say, or `LATE`."""
    if left is None:
        return await said
    import anyio

    with anyio.move_on_after(left):
        return await said
    return LATE


def _check_signature(judge: Any) -> None:
    """Refuse a judge that cannot be called as judges are, as far as that can be told."""
    if judge is None:
        return
    function = judge if callable(judge) else judge.score
    try:
        signature = python_inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind("question", "answer", None)
    except TypeError as error:
        raise ConfigurationError(f"judge must take (question, answer, context): {error}") from None


def _bench(
    judge: Any, own: Sequence[Gate], gates: Sequence[Gate] | None, request: Request, *, blocking: bool
) -> Callable[..., Any]:
    """The function that judges; of a `Judge` one whose calls pass the gates, blocking for who blocks."""
    owner = judge if callable(getattr(judge, "score", None)) else getattr(judge, "__self__", None)
    within = getattr(owner, "within", None)
    if not callable(within):
        function: Callable[..., Any] = judge if callable(judge) else judge.score
        return function
    held = within(own if gates is None else gates, request, bills=gates is None)
    scoring: Callable[..., Any] = (held.blocking() if blocking else held).score
    return scoring


def _read(verdict: Verdict, said: Any) -> Verdict:
    reason = getattr(said, "reason", "")
    score = getattr(said, "score", said)
    if isinstance(score, tuple) and len(score) == 2:
        score, reason = score
    if isinstance(score, bool):
        score = float(score)
    if not isinstance(score, int | float) or math.isnan(score):
        return msgspec.structs.replace(verdict, reason=f"the judge had no verdict{reason and f': {reason}'}")
    if not 0 <= score <= 1:
        raise ValueError(f"{score!r} does not lie between 0 and 1")
    return Verdict(float(score), "judge", verdict.faults, str(reason or ""))
