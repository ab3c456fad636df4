"""The pipeline for answers that come piece by piece: the same rooms, one event at a time.

A stream is recorded while it passes. When it has ended cleanly its events are put together, admitted like any other
answer and stored both ways, whole and as they came. Every caller leaves one record in the ledger when their own reading
ends; the first to reach the end accounts for the call upstream.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.auditing import NOTHING
from resopt.cache.kept import immutable, snapshot
from resopt.errors import CacheMissError, ConfigurationError
from resopt.flight.relay import Deserted, Relays
from resopt.gates import making
from resopt.passage import Passage, Piece, Replay
from resopt.providers.dialect import Dialect, UnusableReplyError, dialect_of
from resopt.types import Response, Step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from resopt.cache.admission import Plan
    from resopt.cache.meaning import Considered
    from resopt.flight.reading import TaskReading, ThreadReading
    from resopt.gates import Passes
    from resopt.optimizer import AsyncOptimizer
    from resopt.stages import Journey
    from resopt.types import Request

_USUAL = (("include_usage", "False"), ("include_usage", "None"))
"""Options of a stream that say what is so anyway."""

_OPENED = Step("flight", "asked", "the first to ask for this stream")
_JOINED = Step("flight", "joined", "another caller was already reading")


class Streams:
    """Streams of one optimizer.

    Args:
        pipeline: whose cache, ledger and rules apply.
        reading: how streams are read: `ThreadReading` or `TaskReading`.
        dialect: what knows the pieces that a request's stream is made of; that of the request's API when None.
    """

    def __init__(
        self,
        pipeline: AsyncOptimizer,
        reading: type[ThreadReading[Piece] | TaskReading[Piece]],
        dialect: Callable[[Request], Dialect] | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._reading = reading
        self._dialect = _dialect if dialect is None else dialect
        self._relays = Relays()

    def recall(self, request: Request, started: float, key: bytes | None = None) -> Replay | None:
        """The stored answer as the events of a stream, with its record in the ledger; None when nothing fits."""
        dialect = self._dialect(request)
        events: Sequence[bytes] | None = None

        def fits(stored: Response) -> bool:
            nonlocal events
            events = dialect.replay(stored, request.body)
            return events is not None

        hit = self._pipeline.recall(request, started, fits, key)
        return None if hit is None or events is None else Replay(events, hit.trace)

    async def open(
        self, request: Request, started: float, ask: Callable[[Request], Awaitable[Any]]
    ) -> Passage | Replay:
        """Join the stream that is in the air for `request`, or open it by `ask(request)`.

        Another thread's stream may have landed between the lookup and this: then its answer is replayed.

        Raises:
            CacheMissError: cache mode `only`.
            Exception: what `ask` raised.
        """
        pipeline, plan = self._pipeline, None
        try:
            plan = pipeline.plan(request)
            considered = await pipeline.auditing.consider(request, plan)
            found = considered.response
            events = None if found is None else self._dialect(request).replay(found, request.body)
            if found is not None and events is not None:
                hit = pipeline.accounts.hit(request, found, started)
                pipeline.auditing.served(request, hit)
                return Replay(events, hit.trace)
            if request.cache == "only":
                raise CacheMissError("no stored answer fits, and cache='only' forbids asking the provider")  # noqa: TRY301
            # What bypasses the cache may hold what no copy can be made of.
            body = {**request.body} if plan.key is None else snapshot(request.body)
            request = msgspec.structs.replace(request, body=body)
            key = None if plan.key is None else _flight_key(request, plan.key)
            landed: list[Replay] = []
            boarded: Any = self._relays.board(
                key, self._reading, partial(self._landing, request, plan, considered, started, landed)
            )
            if boarded is None:
                return landed[0]
            reader, first = boarded
            try:
                await reader.begin(partial(self._asked, ask, request, reader.relay.finish), first)
            except BaseException:
                reader.leave()
                raise
        except BaseException as error:
            stale = pipeline.trials.instead(request, plan, error)
            events = None if stale is None else self._dialect(request).replay(stale, request.body)
            if stale is not None and events is not None:
                return Replay(events, pipeline.accounts.hit(request, stale, started).trace)
            pipeline.accounts.failure(error, started, request)
            raise
        return Passage(pipeline, request, reader, started, _OPENED if first else _JOINED)

    async def _asked(self, ask: Callable[[Request], Awaitable[Any]], request: Request, landing: Landing) -> Any:
        """Ask upstream by way of all stages and gates; the landing settles what they want to know."""
        stages = self._pipeline.stages
        landing.journey = stages.prepare(request)
        landing.passes = await stages.enter(landing.journey.request)
        landing.sent_at = perf_counter()
        with making(stages.gates, landing.journey.request, self._pipeline.accounts.skip):
            return await ask(landing.journey.request)

    def _landing(
        self,
        request: Request,
        plan: Plan,
        considered: Considered,
        started: float,
        landed: list[Replay],
        retire: Callable[[], None],
    ) -> Landing | None:
        """What ends a new stream; None when its answer has been stored meanwhile, and then it is in `landed`."""
        dialect = self._dialect(request)
        stored = self._pipeline.cache.landed(request, plan)
        events = None if stored is None else dialect.replay(stored, request.body)
        if stored is None or events is None:
            return Landing(self._pipeline, request, plan, dialect, retire, considered)
        landed.append(Replay(events, self._pipeline.accounts.hit(request, stored, started).trace))
        return None


class Landing:
    """What becomes of one stream upstream: called once, when it has ended.

    Attributes:
        plan: what may be done with the answer.
        response: the answer that its events add up to; None when they add up to none.
        journey: what is sent for the request; None until it is known.
        passes: the gates passed; None until they are.
        sent_at: the `perf_counter` at which the call was let through; None before, and once its first event has come.
        steps: what was decided, for the trace.
    """

    def __init__(
        self,
        pipeline: AsyncOptimizer,
        request: Request,
        plan: Plan,
        dialect: Dialect,
        detach: Callable[[], None],
        considered: Considered = NOTHING,
    ) -> None:
        self.plan = plan
        self.response: Response | None = None
        self.journey: Journey | None = None
        self.passes: Passes | None = None
        self.sent_at: float | None = None
        self.steps: tuple[Step, ...] = (*plan.steps, *considered.steps)
        self._considered, self._request = considered, request
        self._pipeline, self._dialect = pipeline, dialect
        self._asked_at = perf_counter()
        self._filling = pipeline.cache.filling(request, plan, detach).__enter__()

    def __call__(self, events: list[Piece] | None, error: BaseException | None) -> None:
        """The stream has ended: keep what it amounts to, if that is good."""
        seconds = perf_counter() - self._asked_at
        journey = self.journey
        try:
            # Who leaves after the last word has had it all; whether it was the last, the dialect can tell.
            if events is None or not (error is None or isinstance(error, Deserted)):
                admitted = Step("admit", "refused", "too long to be kept" if events is None else "interrupted")
            else:
                self.response = self._put_together([piece.data for piece in events], seconds)
                if journey is not None:
                    self._pipeline.stages.ended(journey, self.response)
                    self.response = immutable(journey.arrived(self.response))
                admitted = self._filling.admit(self.response)
                self._pipeline.auditing.missed_soon(self._considered, self.response, self.plan)
                self._pipeline.shadowing.answered(self._request, self.response)
        except UnusableReplyError as reason:
            admitted = Step("admit", "refused", str(reason))
        except Exception as failure:  # noqa: BLE001 - invariant 8: the events have been delivered
            admitted = self._pipeline.accounts.skip("admit", failure)
        finally:
            self._filling.__exit__()
        if isinstance(error, Deserted) and self.response is None:
            self._pipeline.accounts.cancelled_upstream()
        if self.passes is not None:
            self.passes.settle(self.response, error)
        decided = () if journey is None else journey.steps
        self.steps = (*self.steps, *decided, Step("provider", self._pipeline.provider.name, "", seconds), admitted)

    def begun(self) -> None:
        """Its first event has come; called by every reader, and heard once."""
        sent_at, self.sent_at = self.sent_at, None
        if sent_at is not None and self.passes is not None:
            self.passes.first_chunk(perf_counter() - sent_at)

    def _put_together(self, events: list[bytes], seconds: float) -> Response:
        response = self._dialect.read(self._dialect.assemble(events), seconds)
        return immutable(msgspec.structs.replace(response, events=tuple(events)), seconds)


def _dialect(request: Request) -> Dialect:
    dialect = dialect_of(request.api)
    if dialect is None:
        raise ConfigurationError(f"streams of {request.api} are not known here")
    return dialect


def _flight_key(request: Request, key: bytes) -> bytes:
    """Streams that carry the same events: of one mode, with the same options (usage or not, …)."""
    options = request.body.get("stream_options")
    told = sorted((str(name), repr(value)) for name, value in options.items()) if isinstance(options, Mapping) else []
    wanted = [pair for pair in told if pair not in _USUAL]
    return key + request.cache[:1].encode() + (repr(wanted).encode() if wanted else b"")
