"""The demo's third part: the same chatbot through a wrapped OpenAI client, every answer streamed."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import anyio
import msgspec

from resopt._core import Sketch
from resopt.cli.demo_day import SYSTEM, Ask, Moment
from resopt.cli.demo_run import DemoError
from resopt.metrics.report import Latency
from resopt.providers.simulated_answers import DEFAULT_MODELS
from resopt.providers.simulated_counters import SimulatedStats
from resopt.wrap.options import last, options
from resopt.wrap.wrapping import wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resopt.providers.simulated import SimulatedServer

_STREAMED: Final = 120
"""Requests of the day that are asked again, as streams."""


class Streamed(msgspec.Struct, frozen=True):
    """One request answered as a stream: its text, how it came about, and seconds to the first and the last piece."""

    ask: Ask
    text: str
    outcome: str | None
    first: float
    whole: float


class Run(msgspec.Struct, frozen=True):
    """The requests with one client, and what the provider counted."""

    answers: tuple[Streamed, ...]
    received: SimulatedStats
    spent: int | None = None

    @property
    def first(self) -> Latency:
        """Seconds until the first piece of text."""
        sketch = Sketch()
        for answer in self.answers:
            sketch.add(answer.first)
        return Latency.of([sketch])


def streamed_moments(moments: Sequence[Moment]) -> list[Moment]:
    """The first moments of the day, up to a number of requests."""
    chosen: list[Moment] = []
    for moment in moments:
        if sum(len(one.asks) for one in chosen) >= _STREAMED:
            break
        chosen.append(moment)
    return chosen


async def stream_both(
    server: SimulatedServer, moments: Sequence[Moment], on_answer: Callable[[], object]
) -> tuple[Run, Run]:
    """Ask the same by a bare `AsyncOpenAI` and by a wrapped one."""
    import openai

    prices = {model.name: (model.input_price, model.output_price) for model in DEFAULT_MODELS}
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="none") as bare:
        without = await _run(server, bare, moments, on_answer)
        client = wrap(bare, prices=prices)
        optimized = await _run(server, client, moments, on_answer)
    spent = client.resopt.ledger.summary().spent  # type: ignore[attr-defined]  # the wrap's own
    return without, msgspec.structs.replace(optimized, spent=spent)


async def _run(server: SimulatedServer, client: Any, moments: Sequence[Moment], on_answer: Callable[[], object]) -> Run:
    server.reset()
    answers: dict[tuple[int, int], Streamed] = {}

    async def one(place: tuple[int, int], ask: Ask) -> None:
        answers[place] = await _ask(client, ask)
        on_answer()

    for number, moment in enumerate(moments):
        async with anyio.create_task_group() as group:
            for position, ask in enumerate(moment.asks):
                group.start_soon(one, (number, position), ask)
    return Run(tuple(answers[place] for place in sorted(answers)), server.stats())


async def _ask(client: Any, ask: Ask) -> Streamed:
    began = perf_counter()
    first, pieces = 0.0, []
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ask.text}]
    with options(user=ask.customer):
        stream = await client.chat.completions.create(
            model=ask.model, messages=messages, stream=True, stream_options={"include_usage": True}
        )
    async for chunk in stream:
        text = chunk.choices[0].delta.content if chunk.choices else None
        if text:
            first = first or perf_counter() - began
            pieces.append(text)
    trace = last(stream)
    return Streamed(ask, "".join(pieces), None if trace is None else trace.outcome, first, perf_counter() - began)


def check_streams(without: Run, optimized: Run) -> str:
    """What was found to agree, in words.

    Raises:
        DemoError: a streamed answer differs from the bare client's, or the ledger from the provider's bill.
    """
    if optimized.spent != optimized.received.picodollars:
        billed = optimized.received.picodollars
        raise DemoError(f"the client's ledger says {optimized.spent} picodollars, but the provider billed {billed}")
    for bare, wrapped in zip(without.answers, optimized.answers, strict=True):
        if bare.text != wrapped.text:
            raise DemoError(f"the wrapped client's stream for {bare.ask.text!r} differs from the bare client's")
    return f"all {len(optimized.answers)} streams of the wrapped client say what the bare client's say; its bill agrees"
