"""`resopt demo`: a day of a support chatbot with and without resopt, on this machine, without keys or network."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from rich.console import Console

    from resopt.cli.demo_day import Moment
    from resopt.cli.demo_run import Lived

T = TypeVar("T")

_REQUESTS, _QUICK_REQUESTS = 400, 100
_SCALE, _QUICK_SCALE = 0.1, 0.02
"""Factors on the delays of a hosted model."""


def demo(
    quick: Annotated[bool, typer.Option("--quick", help="A quarter of the day, at five times the pace.")] = False,
    seed: Annotated[int, typer.Option(help="Another seed is another day.")] = 0,
) -> None:
    """Live a day of a support chatbot twice, without and with resopt, against a simulated provider over real HTTP."""
    from resopt.cli.demo_day import scripted_day
    from resopt.cli.demo_run import check
    from resopt.cli.demo_show import show
    from resopt.cli.screen import make_console

    moments = scripted_day(seed, _QUICK_REQUESTS if quick else _REQUESTS)
    scale = _QUICK_SCALE if quick else _SCALE
    console = make_console()
    without, optimized = _live_twice(console, moments, seed, scale)
    show(console, without, optimized)
    streamed = _stream_too(console, moments, seed, scale)
    told_apart = _in_other_words(console, seed, scale)
    for line in [*check(without, optimized), *streamed, told_apart, _everything_on(console, seed, scale)]:
        console.print(f"[green]✓[/green] {line}")


def _everything_on(console: Console, seed: int, scale: float) -> str:
    """Routing and shorter prompts on top, against everything on the strong model."""
    from functools import partial

    from resopt.cli.demo_routed import check_routed, route_a_day
    from resopt.cli.demo_show import show_routed
    from resopt.providers.simulated import SimulatedServer

    with SimulatedServer(seed=seed, time_scale=scale / 10, process=True) as server:
        routed = _run(partial(route_a_day, server, seed))
    console.print(
        f"5. {routed.report.requests} requests with routing and shorter prompts too, against all on the strong model:"
    )
    console.print(show_routed(routed))
    return check_routed(routed)


def _in_other_words(console: Console, seed: int, scale: float) -> str:
    """Questions that mean the same, nearly the same, and the opposite."""
    from functools import partial

    from resopt.cli.demo_meaning import check_meaning, tell_apart
    from resopt.cli.demo_show import show_meaning
    from resopt.providers.simulated import SimulatedServer

    with SimulatedServer(seed=seed, time_scale=scale, process=True) as server:
        meaning = _run(partial(tell_apart, server))
    console.print("4. Questions in other words, through a MultiTierCache (L1 same, L2 same meaning, L3 rewritten):")
    console.print(show_meaning(meaning))
    return check_meaning(meaning)


def _stream_too(console: Console, moments: Sequence[Moment], seed: int, scale: float) -> list[str]:
    """The same chatbot through a wrapped OpenAI client, where that library is installed."""
    from importlib.util import find_spec

    if find_spec("openai") is None:
        console.print(
            "3. With the openai package installed, this also shows the chatbot through resopt.wrap(OpenAI())."
        )
        return []
    from functools import partial

    from resopt.cli.demo_show import compare_streams
    from resopt.cli.demo_wrap import check_streams, stream_both, streamed_moments
    from resopt.providers.simulated import SimulatedServer

    some = streamed_moments(moments)
    count = sum(len(moment.asks) for moment in some)
    with (
        _bar(console, 2 * count) as (describe, advance),
        SimulatedServer(seed=seed, time_scale=scale, process=True) as server,
    ):
        describe("streaming")
        without, optimized = _run(partial(stream_both, server, some, advance))
    console.print(f"3. The first {count} of them again, streamed by `client = resopt.wrap(AsyncOpenAI())`:")
    console.print(compare_streams(without, optimized))
    return [check_streams(without, optimized)]


def _live_twice(console: Console, moments: Sequence[Moment], seed: int, scale: float) -> tuple[Lived, Lived]:
    from resopt.cli.demo_run import Day

    asks = [ask for moment in moments for ask in moment.asks]
    texts, customers = len({ask.text for ask in asks}), len({ask.customer for ask in asks})
    console.print("[bold]A day at the help desk of Fernbank, a bank that does not exist[/bold]")
    console.print(
        f"{len(asks)} requests in {texts} different texts by {customers} customers. A simulated provider on this\n"
        f"machine answers over HTTP, {1 / scale:g} times as fast as a hosted model. No keys, no network.\n",
        markup=False,
    )
    with _bar(console, 2 * len(asks)) as (describe, advance):
        day = Day(moments, seed=seed, time_scale=scale, on_answer=advance)
        with day.server:
            describe("without resopt")
            without = _run(day.without)
            console.print(f"1. Without resopt: {len(asks)} requests in {without.seconds:.1f} s")
            describe("with resopt")
            optimized = _run(day.with_resopt)
            console.print(
                f"2. The same requests through AsyncOptimizer, answers kept up to a day: {optimized.seconds:.1f} s\n"
            )
    return without, optimized


def _run(live: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run one of the two to its end; when several requests fail at once, the first error stands for them."""
    import anyio

    try:
        return anyio.run(live)
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


@contextmanager
def _bar(console: Console, total: int) -> Iterator[tuple[Callable[[str], object], Callable[[], object]]]:
    """A progress bar where there is a terminal: how to name what is going on, and how to say that one more is done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda text: bar.update(task, description=text), lambda: bar.advance(task)
