"""The demo at work: the same day twice against one simulated provider, over real HTTP, and whether the sums agree."""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Final

import anyio
import msgspec

from resopt._core import ManualClock, Sketch
from resopt.cache.response import ResponseCache
from resopt.cli.demo_day import SYSTEM, Ask, Moment
from resopt.errors import ResoptError
from resopt.metrics.ledger import Ledger
from resopt.metrics.report import Latency, Report
from resopt.optimizer import AsyncOptimizer
from resopt.providers.openai import OpenAIProvider
from resopt.providers.simulated import Faults, SimulatedServer
from resopt.providers.simulated_answers import DEFAULT_MODELS
from resopt.providers.simulated_counters import SimulatedStats
from resopt.types import Request, Response, Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

_AT_ONCE: Final = 8
_ATTEMPTS: Final = 8
_TTL: Final = 86_400.0
_MIDNIGHT: Final = datetime(2026, 3, 2, tzinfo=UTC).timestamp()


class DemoError(ResoptError):
    """The demo found that something does not add up; the message says what."""


class Answered(msgspec.Struct, frozen=True):
    """One request of the day with its answer and the seconds it took."""

    ask: Ask
    response: Response
    seconds: float


class Lived(msgspec.Struct, frozen=True):
    """One run over the day: the answers in the order of the day, and what the provider itself counted."""

    answers: tuple[Answered, ...]
    received: SimulatedStats
    seconds: float
    report: Report | None = None

    @property
    def latency(self) -> Latency:
        """How long the answers took."""
        sketch = Sketch()
        for answered in self.answers:
            sketch.add(answered.seconds)
        return Latency.of([sketch])


class Day:
    """A day and a provider to live it with; `without` and then `with_resopt`.

    Args:
        moments: the day.
        seed: of the provider's answers and delays.
        time_scale: factor on the provider's delays.
        on_answer: called after every answer, for a progress bar.
    """

    def __init__(
        self, moments: Sequence[Moment], *, seed: int, time_scale: float, on_answer: Callable[[], object]
    ) -> None:
        self.moments = moments
        self.server = SimulatedServer(
            seed=seed, time_scale=time_scale, faults=Faults(retry_after=time_scale), process=True
        )
        self._on_answer = on_answer

    async def without(self) -> Lived:
        """Every request goes to the provider."""
        async with self._provider() as provider:
            return await self._live(provider.complete, lambda _: None)

    async def with_resopt(self) -> Lived:
        """The same requests through an `AsyncOptimizer` whose clocks show the time of the day."""
        clock = ManualClock()

        def now() -> float:
            return _MIDNIGHT + clock.now()

        def move(at: float) -> None:
            # What is asked in turn may end after the next moment's time.
            clock.set(max(at, clock.now()))

        cache = ResponseCache(ttl_seconds=_TTL, clock=clock, wall_clock=now)
        prices = {model.name: (model.input_price, model.output_price) for model in DEFAULT_MODELS}
        ledger = Ledger(prices, clock=now)
        async with AsyncOptimizer(self._provider(), cache=cache, ledger=ledger) as optimizer:
            lived = await self._live(optimizer.complete, move)
        return msgspec.structs.replace(lived, report=ledger.summary())

    def _provider(self) -> OpenAIProvider:
        return OpenAIProvider(self.server.base_url, api_key="", max_attempts=_ATTEMPTS)

    async def _live(
        self, answer: Callable[[Request], Awaitable[Response]], set_clock: Callable[[float], object]
    ) -> Lived:
        """Send the day, a few moments at a time; what is in one moment goes out together."""
        self.server.reset()
        kept: dict[tuple[int, int], Answered] = {}
        left = enumerate(self.moments)
        turn = anyio.Lock()
        started = perf_counter()

        async def ask_one(place: tuple[int, int], ask: Ask) -> None:
            began = perf_counter()
            response = await answer(to_request(ask))
            kept[place] = Answered(ask, response, perf_counter() - began)
            self._on_answer()

        async def work(moments: Iterator[tuple[int, Moment]]) -> None:
            while True:
                async with turn:
                    number, moment = next(moments, (0, None))
                    if moment is None:
                        return
                    set_clock(moment.at)
                    if moment.in_turn:
                        for position, ask in enumerate(moment.asks):
                            set_clock(ask.at)
                            await ask_one((number, position), ask)
                        continue
                    if moment.refusals:
                        self.server.next_faults(*["429"] * moment.refusals)
                async with anyio.create_task_group() as group:
                    for position, ask in enumerate(moment.asks):
                        group.start_soon(ask_one, (number, position), ask)

        async with anyio.create_task_group() as workers:
            for _ in range(_AT_ONCE):
                workers.start_soon(work, left)
        answers = tuple(kept[place] for place in sorted(kept))
        return Lived(answers, self.server.stats(), perf_counter() - started)


def to_request(ask: Ask) -> Request:
    """The request that the help desk's service would make."""
    return Request.chat(ask.text, model=ask.model, system=SYSTEM, scope=Scope(user=ask.customer))


def check(without: Lived, optimized: Lived) -> list[str]:
    """What was found to agree, in words.

    Raises:
        DemoError: the ledger and the provider's bill disagree, an answer differs between the two runs, or one
            customer was given another's personal answer.
    """
    report = optimized.report
    billed = optimized.received.picodollars
    if report is None or report.spent != billed or report.unknown_prices:
        spent = None if report is None else report.spent
        raise DemoError(f"the ledger says {spent} picodollars were spent, but the provider billed {billed}")
    for plain, answered in zip(without.answers, optimized.answers, strict=True):
        if plain.response.text != answered.response.text:
            raise DemoError(f"with resopt the answer to {plain.ask.text!r} differs from the one without")
    owners: dict[bytes, str] = {}
    for answered in optimized.answers:
        key = answered.response.trace.key
        if answered.ask.kind == "personal" and key is not None:
            owner = owners.setdefault(key, answered.ask.customer)
            if owner != answered.ask.customer:
                raise DemoError(f"{answered.ask.customer} was given {owner}'s answer to {answered.ask.text!r}")
    return [
        f"the ledger's spending is the provider's bill, to the picodollar ({billed:,})",
        f"all {len(optimized.answers):,} answers are word for word those of the run without resopt",
        "no customer was given another one's personal answer",
    ]
