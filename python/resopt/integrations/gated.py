"""A stream that an integration opens by itself: past the gates of a pipeline, and into its books."""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from resopt.gates import Passes
from resopt.types import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resopt.cache.admission import Plan
    from resopt.optimizer import AsyncOptimizer
    from resopt.types import Outcome, Request


async def let_in(pipeline: AsyncOptimizer, request: Request, started: float) -> tuple[Plan, Passes, Response | None]:
    """What may be done with the answer, the tickets of the call, and what is served in its place, if anything is.

    Raises:
        ResoptError: a gate is closed to this request, and nothing stale may be served; the ledger has counted it.
    """
    plan = None
    try:
        plan = pipeline.plan(request)
        return plan, await pipeline.stages.enter(request), None
    except BaseException as error:
        stale = pipeline.trials.instead(request, plan, error)
        if stale is None or plan is None:
            pipeline.accounts.failure(error, started, request)
            raise
        return plan, Passes(pipeline.accounts.skip), pipeline.accounts.hit(request, stale, started)


class End:
    """How a stream ended; as long as nobody says so, it was left half way."""

    outcome: Outcome = "cancelled"
    answer = Response(text="", model="")
    problem: Exception | None = None
    opened = False


@contextmanager
def told(pipeline: AsyncOptimizer, request: Request, passes: Passes, started: float) -> Iterator[End]:
    """Let the gates and the ledger know how the stream ended."""
    end = End()
    try:
        yield end
    except Exception as error:
        end.outcome, end.problem = "error", error
        raise
    finally:
        # What was left half way has a usage that is not yet all of it; whose fault it was says nothing of its cost.
        passes.settle(end.answer if end.outcome in ("miss", "bypass") else None, None if end.opened else end.problem)
        pipeline.ledger.record(
            outcome=end.outcome,
            model=request.model,
            latency=perf_counter() - started,
            scope=request.scope,
            served_model=end.answer.model,
            usage=end.answer.usage,
            error=end.problem,
        )
