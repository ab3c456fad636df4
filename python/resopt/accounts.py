"""What the pipeline writes down: one record per request, stages that failed, calls that were cut off.

An answer is worth more than its record: a ledger that fails is skipped like any other stage, and counted.
"""

from __future__ import annotations

import threading
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.types import EVERYONE, Billed, Outcome, Request, Response, Scope, Step, Trace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from resopt.metrics.ledger import Ledger
    from resopt.metrics.record import Record
    from resopt.types import Usage


class Accounts:
    """The books of one optimizer.

    Args:
        ledger: where records go.

    Attributes:
        skipped: how often each stage failed unexpectedly and was skipped.
        cut_off: calls upstream that were cancelled because nobody waited any more.
    """

    marks: Callable[[Request], tuple[Step, ...]] | None = None
    """Steps that mark a request's records, such as the arm of an experiment that it is in."""

    watch: Callable[[Request, Record], Any] | None = None
    """Called with each record."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.skipped: dict[str, int] = {}
        self.cut_off = 0
        self._lock = threading.Lock()

    def hit(self, request: Request, hit: Response, started: float) -> Response:
        """Write down an answer from memory."""
        found = hit.trace
        if self.marks is not None or hit.detour is not None:
            return self.record(
                request,
                hit,
                started,
                outcome="hit",
                mechanism=found.mechanism,
                key=found.key,
                age=found.age,
                steps=found.steps,
            )
        try:
            record = self.ledger.hit(request, hit, perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - invariant 8, as below
            return hit.traced(msgspec.structs.replace(found, steps=(*found.steps, self.skip("record", error))))
        if self.watch is not None:
            self._watched(request, record)
        return hit.traced(_trace(record, found.mechanism))

    def record(
        self,
        request: Request,
        response: Response,
        started: float,
        *,
        outcome: Outcome,
        steps: tuple[Step, ...],
        mechanism: str | None = None,
        key: bytes | None = None,
        age: float | None = None,
        spared: Usage | None = None,
    ) -> Response:
        """Write down how a request ended; the answer with its trace. `started` is the `perf_counter` it came at."""
        detour = response.detour
        if detour is not None and detour.also and outcome == "coalesced":  # it was billed to the first
            detour = msgspec.structs.replace(detour, also=())
        if self.marks is not None:
            steps = (*self._marked(request), *steps)
        try:
            record = self.ledger.record(
                outcome=outcome,
                mechanism=mechanism,
                model=request.model,
                served_model=response.model,
                usage=response.usage,
                spared=spared,
                latency=perf_counter() - started,
                upstream_latency=response.latency,
                scope=request.scope,
                stages=steps,
                age=age,
                detour=detour,
                key=key,
            )
        except Exception as error:  # noqa: BLE001 - invariant 8: an answer is worth more than its record
            steps = (*steps, self.skip("record", error))
            return response.traced(Trace(outcome=outcome, mechanism=mechanism, key=key, age=age, steps=steps))
        if self.watch is not None:
            self._watched(request, record)
        return response.traced(_trace(record, mechanism))

    def failure(self, error: BaseException, started: float, request: Request | None = None) -> None:
        """Write down a request that ended without an answer; None is one that was none."""
        try:
            record = self.ledger.record(
                outcome="error" if isinstance(error, Exception) else "cancelled",
                model="" if request is None else request.model,
                latency=perf_counter() - started,
                scope=EVERYONE if request is None else request.scope,
                stages=() if request is None or self.marks is None else self._marked(request),
                error=error,
            )
            if request is not None and self.watch is not None:
                self._watched(request, record)
        except Exception as failure:  # noqa: BLE001 - the caller is to see what went wrong first
            self.skip("record", failure)

    def unclaimed(self, _: object, landed: tuple[Any, ...]) -> None:
        """An answer came, but all who wanted it had left: it was billed all the same.

        What landed begins with the request and its response.
        """
        request, response, *_ = landed
        if response.trace.outcome == "hit":  # another call's, which has a record of its own
            return
        self.ledger.record(
            outcome="cancelled",
            model=request.model,
            served_model=response.model,
            usage=response.usage,
            latency=response.latency,
            upstream_latency=response.latency,
            scope=request.scope,
            stages=response.trace.steps,
            detour=response.detour,
        )

    def _marked(self, request: Request) -> tuple[Step, ...]:
        try:
            return () if self.marks is None else self.marks(request)
        except Exception as error:  # noqa: BLE001 - invariant 8
            return (self.skip("marks", error),)

    def _watched(self, request: Request, record: Record) -> None:
        try:
            if self.watch is not None:
                self.watch(request, record)
        except Exception as error:  # noqa: BLE001 - invariant 8
            self.skip("watch", error)

    def background(self, call: Billed, scope: Scope) -> None:
        """Write down a call of our own that came to nothing."""
        try:
            self.ledger.background(call.mechanism, call.model, call.usage, scope=scope)
        except Exception as error:  # noqa: BLE001 - invariant 8
            self.skip("record", error)

    async def upstream(self, made: Awaitable[Response]) -> Response:
        """What a call upstream comes to; one that is cut off is counted."""
        try:
            return await made
        except BaseException as error:
            if not isinstance(error, Exception):
                self.cancelled_upstream()
            raise

    def cancelled_upstream(self) -> None:
        """Count a call cut off: it may be billed all the same, and nobody can say how much."""
        with self._lock:
            self.cut_off += 1

    def skip(self, stage: str, error: Exception) -> Step:
        """Count a stage that failed and go on without it; the first failure of each is logged in full."""
        with self._lock:
            count = self.skipped[stage] = self.skipped.get(stage, 0) + 1
        if count == 1:
            import logging

            logging.getLogger("resopt").error("stage %s failed and is skipped", stage, exc_info=error)
        return Step(stage, "skipped", f"{type(error).__name__}: {error}")


def _trace(record: Record, mechanism: str | None) -> Trace:
    """What the caller is told of a record; the mechanism is what found the answer, not where its money went."""
    return Trace(
        id=record.id,
        outcome=record.outcome,
        mechanism=mechanism,
        key=record.key,
        age=record.age,
        steps=record.stages,
        usage=record.usage,
        cost=record.cost,
        baseline_cost=record.baseline_cost,
        latency=record.latency,
        baseline_latency=record.baseline_latency,
    )
