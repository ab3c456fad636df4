"""What the demo shows: what happened to a few requests, the ledger's report, and both runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from resopt.cli.demo_day import AFTER_THE_LETTER, PERSONAL
from resopt.metrics.render import dollars, seconds, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from resopt.cli.demo_meaning import Meaning, Told
    from resopt.cli.demo_routed import Routed
    from resopt.cli.demo_run import Answered, Lived
    from resopt.cli.demo_wrap import Run

_PERSONAL_SAMPLES = 3
_MANY_TIMES = 10


def show(console: Console, without: Lived, optimized: Lived) -> None:
    """Print everything but the checks."""
    console.print(_samples(optimized))
    console.rule("The ledger's report", style="dim", align="left")
    console.print(str(optimized.report), markup=False, soft_wrap=True)
    console.print()
    console.rule("Both runs, as the provider counted them", style="dim", align="left")
    console.print(_comparison(without, optimized))


def _samples(lived: Lived) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("at", no_wrap=True)
    table.add_column("a customer asks", ratio=9)
    table.add_column("and resopt", ratio=13)
    table.add_column("in", justify="right", no_wrap=True)
    for answered, words in sorted(_chosen(lived), key=lambda chosen: chosen[0].ask.at):
        table.add_row(_time(answered.ask.at), Text(answered.ask.text), Text(words), seconds(answered.seconds))
    return table


def _chosen(lived: Lived) -> Iterator[tuple[Answered, str]]:
    """One or a few requests for each thing that can happen, with what did."""
    hits = [answered for answered in lived.answers if answered.ask.kind == "generic" and _outcome(answered) == "hit"]
    exact = next((answered for answered in hits if answered.response.trace.mechanism == "exact"), None)
    if exact is not None:
        yield exact, f"answers from memory: asked {_age(exact)} before (saves {_saved(exact)})"
    respelled = [answered for answered in hits if answered.response.trace.mechanism == "folded"]
    folded = next((answered for answered in respelled if answered.ask.text.isupper()), next(iter(respelled), None))
    if folded is not None:
        yield folded, f"answers from memory: same question, other spelling (saves {_saved(folded)})"
    yield from _personal(lived)
    bypass = next((answered for answered in lived.answers if _outcome(answered) == "bypass"), None)
    if bypass is not None:
        yield bypass, f"asks the provider, keeps nothing: {_reason(bypass)}"
    crowd = [answered for answered in lived.answers if answered.ask.text == AFTER_THE_LETTER]
    calls = sum(_outcome(answered) == "miss" for answered in crowd)
    yield crowd[-1], f"makes {calls} call for {len(crowd)} customers who ask in the same second"


def _personal(lived: Lived) -> Iterator[tuple[Answered, str]]:
    samples = [answered for answered in lived.answers if answered.ask.text == PERSONAL[0]]
    start = next(i for i, answered in enumerate(samples) if answered.ask.at == 9.5 * 3600)
    for answered in samples[start : start + _PERSONAL_SAMPLES]:
        who = answered.ask.customer
        if _outcome(answered) == "hit":
            yield answered, f"answers {who} from memory: their own answer, {_age(answered)} old"
        else:
            yield answered, f"asks the provider, keeps it for {who} alone: {_reason(answered)}"


def _comparison(without: Lived, optimized: Lived) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in ("without resopt", "with resopt", "change"):
        table.add_column(name, justify="right")
    before, after = without.received, optimized.received
    table.add_row("requests answered", f"{len(without.answers):,}", f"{len(optimized.answers):,}", "")
    table.add_row("calls the provider received", *_counts(before.requests, after.requests))
    table.add_row(
        "  refused with 429, then retried", *map(str, (before.faults.get("429", 0), after.faults.get("429", 0)))
    )
    table.add_row("tokens billed", *_counts(_tokens(without), _tokens(optimized)))
    table.add_row(
        "the provider's bill",
        dollars(before.picodollars),
        dollars(after.picodollars),
        _change(before.picodollars, after.picodollars),
        style="bold",
    )
    slow, fast = without.latency, optimized.latency
    for name, old, new in (("latency, P50", slow.p50, fast.p50), ("latency, P95", slow.p95, fast.p95)):
        table.add_row(name, seconds(old), seconds(new), _faster(old or 0.0, new or 0.0), style="bold")
    return table


def compare_streams(without: Run, optimized: Run) -> Table:
    """The streams of a bare and of a wrapped client side by side."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in ("OpenAI()", "resopt.wrap(OpenAI())", "change"):
        table.add_column(name, justify="right")
    before, after = without.received, optimized.received
    table.add_row("streams opened upstream", *_counts(before.streams, after.streams))
    bill = _change(before.picodollars, after.picodollars)
    table.add_row("the provider's bill", dollars(before.picodollars), dollars(after.picodollars), bill, style="bold")
    old, new = without.first, optimized.first
    for name, slow, fast in (("first words, P50", old.p50, new.p50), ("first words, P95", old.p95, new.p95)):
        table.add_row(name, seconds(slow), seconds(fast), _faster(slow or 0.0, fast or 0.0), style="bold")
    return table


def show_meaning(meaning: Meaning) -> Table:
    """The script of the fourth part: what was asked, where the answer came from and why."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("asked", ratio=8)
    table.add_column("from", no_wrap=True)
    table.add_column("cost", justify="right", no_wrap=True)
    table.add_column("because", ratio=12)
    for told in meaning.told:
        table.add_row(*_told(told))
    hit = meaning.told[1].question
    table.add_row(
        Text(f"report_bad_hit({hit!r})"), "", "", f"took back {meaning.dropped} answers for good", style="bold"
    )
    for told in meaning.again:
        table.add_row(*_told(told))
    return table


def show_routed(routed: Routed) -> Table:
    """The fifth part: cost, what saved it, who answered, and how well."""
    report = routed.report
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("", justify="right")
    table.add_column("", justify="right")
    table.add_row("all on the strong model", dollars(routed.all_strong), "")
    spent = share(1 - report.spent / routed.all_strong)
    table.add_row("with everything on", dollars(report.spent), f"{spent} less", style="bold")
    for saving in report.savings:
        table.add_row(f"  saved by {saving.mechanism}", dollars(saving.avoided), share(saving.share))
    for figures in report.models:
        table.add_row(f"answered by {figures.model}", f"{figures.requests:,}", share(figures.share))
    quality, low, high = routed.quality
    table.add_row("quality (the simulation's truth)", share(quality), f"{share(low)} to {share(high)}")
    return table


def _told(told: Told) -> tuple[Text, str, str, Text]:
    return (Text(told.question), told.tier or "a call", dollars(told.response.trace.cost), Text(told.reason))


def _counts(before: int, after: int) -> tuple[str, str, str]:
    return f"{before:,}", f"{after:,}", _change(before, after)


def _tokens(lived: Lived) -> int:
    return lived.received.input_tokens + lived.received.output_tokens


def _change(before: float, after: float) -> str:
    if not before:
        return ""
    change = (after - before) / before
    return f"{'+' if change > 0 else ''}{share(change)}"


def _faster(before: float, after: float) -> str:
    if not 0 < after < before:
        return _change(before, after)
    times = before / after
    return f"{times:,.0f} times faster" if times >= _MANY_TIMES else f"{times:.1f} times faster"


def _outcome(answered: Answered) -> str:
    return answered.response.trace.outcome


def _age(answered: Answered) -> str:
    return seconds(answered.response.trace.age)


def _saved(answered: Answered) -> str:
    return dollars(answered.response.trace.avoided)


def _reason(answered: Answered) -> str:
    """What the freshness rules said of the question."""
    step = next((step for step in answered.response.trace.steps if step.stage == "freshness"), None)
    if step is None:
        return "new"
    rule, _, words = step.reason.partition(": ")
    return f"“{words}” ({rule})"


def _time(at: float) -> str:
    minutes = int(at // 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"
