"""`resopt bench scenarios`: the pattern's bulk scenarios on this machine, beside the pattern's own figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from resopt.cli.scenarios_run import ScenarioResult

bench = typer.Typer(name="bench", help="Measure resopt on this machine.", no_args_is_help=True)


@bench.callback()
def _group() -> None:
    """Measure resopt on this machine."""


@bench.command()
def scenarios(
    phrases: Annotated[int, typer.Option(min=50, help="Phrases of the translation scenario.")] = 50_000,
    articles: Annotated[int, typer.Option(min=50, help="Articles of the content scenario.")] = 1_000,
    seed: Annotated[int, typer.Option(help="Seed of the traffic and the answers.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Replay the content and the translation scenario against a simulated provider, over real HTTP."""
    import anyio
    import msgspec

    from resopt.cli.scenarios_run import content, translation
    from resopt.cli.screen import make_console

    results = {}
    for name, run, count in (("content", content, articles), ("translation", translation, phrases)):
        with _bar(name, count) as tell:
            results[name] = anyio.run(run, count, seed, tell)
    if as_json:
        typer.echo(msgspec.json.encode({name: _figures(result) for name, result in results.items()}).decode())
        return
    _print(make_console(), results["content"], results["translation"])


def _figures(result: ScenarioResult) -> dict[str, Any]:
    report = result.report
    return {
        "requests": result.count,
        "seconds": result.seconds,
        "seconds_one_after_another": result.sequential,
        "times_faster": result.faster,
        "cost_change": result.cost,
        "tokens_change": result.tokens,
        "hit_rate": report.hit_rate,
        "no_call_rate": report.no_call_rate,
        "p95_seconds_of_hits": report.hit_latency.p95,
        "p95_seconds": report.latency.p95,
        "p95_seconds_without": report.baseline_latency.p95,
    }


def _bar(name: str, count: int) -> Any:
    """A progress bar on a terminal; a function that is told how many are done."""
    import sys
    from contextlib import nullcontext

    if not sys.stderr.isatty():
        return nullcontext(lambda _: None)
    from contextlib import contextmanager

    from rich.console import Console
    from rich.progress import Progress

    @contextmanager
    def drawn() -> Any:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(name, total=count)
            yield lambda done: progress.update(task, completed=done)

    return drawn()


def _print(console: Console, content: ScenarioResult, translation: ScenarioResult) -> None:
    from rich.table import Table

    from resopt.cli.scenarios_run import UI_SHARE, UI_STRINGS

    report = translation.report
    waits = (report.miss_latency.p95 or 0.0, report.hit_latency.p95 or 1e-9)
    rows = [
        ("content", "time", "9.6 x faster", f"{content.faster:.1f} x faster"),
        ("content", "cost", "-68 %", f"{content.cost:+.0%}"),
        ("content", "tokens", "-37 %", f"{content.tokens:+.0%}"),
        ("translation", "hit rate", "72 %", f"{report.hit_rate:.0%}"),
        ("translation", "answered without a call", "", f"{report.no_call_rate:.0%}"),
        ("translation", "cost", "-76 %", f"{translation.cost:+.0%}"),
        ("translation", "P95 of what is cached", "5 x faster", f"{waits[0] / waits[1]:,.0f} x faster"),
        ("translation", "time", "", f"{translation.faster:.1f} x faster"),
    ]
    table = Table("scenario", "figure", "the pattern", "resopt here", title="The pattern's bulk scenarios")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print(
        f"{content.count:,} articles in {content.seconds:.1f} s, 50 at a time; {content.sequential:.0f} s one after"
        f" another, by a sample. {translation.count:,} phrases into five languages in {translation.seconds:.1f} s."
        f" Delays are a tenth of what they stand for. The traffic is made up ({UI_SHARE:.0%} of the phrases are"
        f" {UI_STRINGS:,} strings of a user interface by Zipf's law), so the hit rate is a property of it; models and"
        " the shorter instruction are those of the pattern's strategy, and a simulator says nothing about quality."
        " Prices are the simulator's.",
        markup=False,
        soft_wrap=False,
    )
