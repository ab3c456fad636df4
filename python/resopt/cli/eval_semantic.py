"""`resopt eval semantic PAIRS.jsonl`: what the semantic tier is worth on pairs that a person has labelled."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

FOLDS = 5
FEWEST = 20
BUDGETS = (0.01, 0.02, 0.05)


class Labelled(msgspec.Struct, frozen=True):
    """A pair as a person left it; what else a line holds is passed over."""

    question: str
    stored: str
    fits: bool | None = None


class Weighed(msgspec.Struct, frozen=True):
    """A labelled pair with what the tier says of it.

    Attributes:
        probability: that the answer fits; 0 where a guard refuses.
        refused: whether a guard refuses.
        fits: the label.
    """

    probability: float
    refused: bool
    fits: bool


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What one way of judging is worth.

    Attributes:
        name: `shipped` or `fitted on these labels`.
        coverage: by budget (share of served answers that may be wrong) the share of all pairs that can be served within
            it, in hindsight.
        precision: by threshold the share of right ones among those served, None where none is.
        served: by threshold the share of pairs served.
        reliability: (said, was, pairs) by tenths of probability.
        curve: (coverage, wrong share) as ever less probable pairs are served.
    """

    name: str
    coverage: dict[float, float]
    precision: dict[float, float | None]
    served: dict[float, float]
    reliability: list[tuple[float, float, int]]
    curve: list[tuple[float, float]]


def semantic(
    file: Annotated[Path, typer.Argument(help="JSON lines {question, stored, fits}, as replay --pairs writes them.")],
    profile: Annotated[
        Literal["strict", "balanced"], typer.Option(help="Which profile the labels are fitted for.")
    ] = "balanced",
    picture: Annotated[Path | None, typer.Option(help="Draw coverage against wrong share here, as PNG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Precision, coverage at 1, 2 and 5 % wrong, and reliability, as shipped and fitted on your labels (5-fold)."""
    pairs = read_pairs(file)
    results = [evaluation("shipped", weigh(pairs, profile)), evaluation("fitted on these labels", fit(pairs, profile))]
    if picture is not None:
        draw(results, picture)
    if as_json:
        plain = {"pairs": len(pairs), "fit": sum(pair.fits is True for pair in pairs), "results": results}
        typer.echo(msgspec.json.format(msgspec.json.encode(plain)).decode())
        return
    from resopt.cli.screen import make_console

    console = make_console()
    console.print(f"{file.name}: {len(pairs):,} labelled pairs, {sum(bool(pair.fits) for pair in pairs):,} fit")
    for table in _tables(results):
        console.print()
        console.print(table)
    console.print()
    for line in plot(results):
        console.print(line, markup=False, highlight=False)


def read_pairs(file: Path) -> list[Labelled]:
    """The labelled pairs of a file; pairs without a label are passed over.

    Raises:
        ConfigurationError: it cannot be read, a line is no pair, or there are too few labels of one kind.
    """
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror or error}") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            pair = msgspec.json.decode(line, type=Labelled)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{file}, line {number}: must be {{question, stored, fits}}: {error}") from None
        if pair.fits is not None:
            pairs.append(pair)
    right = sum(pair.fits is True for pair in pairs)
    if min(right, len(pairs) - right) < 2 or len(pairs) < FEWEST:
        raise ConfigurationError(
            f"{file} has {len(pairs)} labels, {right} of them true: at least {FEWEST} are needed, of both kinds"
        )
    return pairs


def weigh(pairs: Sequence[Labelled], profile: str, taught: Sequence[Labelled] = ()) -> list[Weighed]:
    """What the tier says of pairs, after it was taught others."""
    from resopt._core import Partition

    partition = Partition(profile=profile, audit_rate=1.0, miss_rate=1.0)
    for pair in taught:
        partition.insert(1, pair.stored)
        decision = partition.decide(pair.question)
        if decision.candidates:
            partition.learn(decision, 1, bool(pair.fits), sampled=True)
        partition.remove(1)
    weighed = []
    for pair in pairs:
        partition.insert(1, pair.stored)
        candidates = partition.decide(pair.question, record=False).candidates
        partition.remove(1)
        refused = not candidates or bool(candidates[0]["reasons"])
        said = 0.0 if refused else candidates[0]["probability"] or 0.0
        weighed.append(Weighed(said, refused, bool(pair.fits)))
    return weighed


def fit(pairs: Sequence[Labelled], profile: str) -> list[Weighed]:
    """The same with each fifth of the pairs judged by what was learnt from the others."""
    weighed: list[Weighed] = []
    for fold in range(FOLDS):
        others = [pair for at, pair in enumerate(pairs) if at % FOLDS != fold]
        weighed += weigh(pairs[fold::FOLDS], profile, others)
    return weighed


def evaluation(name: str, weighed: Sequence[Weighed]) -> Evaluation:
    """The figures of pairs that were weighed."""
    open_pairs = sorted((each for each in weighed if not each.refused), key=lambda each: -each.probability)
    curve, wrong = [], 0
    for served, each in enumerate(open_pairs, 1):
        wrong += not each.fits
        curve.append((served / len(weighed), wrong / served))
    thresholds = (0.8, 0.9, 0.95, 0.97)
    served_at = {at: [each for each in open_pairs if each.probability >= at] for at in thresholds}
    bands = [[each for each in open_pairs if int(min(each.probability, 0.999) * 10) == band] for band in range(10)]
    return Evaluation(
        name=name,
        coverage={budget: max((share for share, bad in curve if bad <= budget), default=0.0) for budget in BUDGETS},
        precision={at: _share([each.fits for each in served]) for at, served in served_at.items()},
        served={at: len(served) / len(weighed) for at, served in served_at.items()},
        reliability=[
            (sum(each.probability for each in band) / len(band), _share([each.fits for each in band]) or 0.0, len(band))
            for band in bands
            if band
        ],
        curve=curve,
    )


def draw(results: Sequence[Evaluation], picture: Path) -> None:
    """Coverage against wrong share as a PNG.

    Raises:
        ConfigurationError: matplotlib is missing, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigurationError("--picture needs: pip install 'resopt[plot]'") from None
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for result in results:
        axes.plot([share for share, _ in result.curve], [bad for _, bad in result.curve], label=result.name)
    axes.set(xlabel="share of pairs served", ylabel="share of served answers that are wrong", xlim=(0, None))
    axes.set_ylim(0, None)
    axes.grid(alpha=0.3)
    axes.legend()
    try:
        figure.savefig(picture, format="png", dpi=150)
    except OSError as error:
        raise ConfigurationError(f"cannot write {picture}: {error.strerror or error}") from error


def plot(results: Sequence[Evaluation], width: int = 60, height: int = 12) -> list[str]:
    """The same in characters: `s` shipped, `f` fitted, `*` both."""
    most = max((share for result in results for share, _ in result.curve), default=0.0) or 1.0
    worst = max((bad for result in results for _, bad in result.curve), default=0.0) or 1.0
    grid = [[" "] * width for _ in range(height)]
    for result in results:
        for share, bad in result.curve:
            row = height - 1 - round(bad / worst * (height - 1))
            column = round(share / most * (width - 1))
            taken, own = grid[row][column], result.name[0]
            grid[row][column] = own if taken in (" ", own) else "*"
    lines = [f"{worst * (height - 1 - at) / (height - 1):6.1%} |{''.join(row)}" for at, row in enumerate(grid)]
    foot = f"        0 % of pairs served{'':>{max(1, width - 34)}}{most:.0%}"
    return ["wrong share of what is served", *lines, f"       +{'-' * width}", foot, "s shipped, f fitted"]


def _tables(results: Sequence[Evaluation]) -> list[Table]:
    from rich import box
    from rich.table import Table

    worth = Table("", box=box.SIMPLE_HEAD, pad_edge=False)
    for result in results:
        worth.add_column(result.name, justify="right")
    for budget in BUDGETS:
        worth.add_row(f"served with at most {budget:.0%} wrong", *(f"{each.coverage[budget]:.1%}" for each in results))
    for at in (0.8, 0.9, 0.95, 0.97):
        cells = [
            "-" if (right := each.precision[at]) is None else f"{right:.1%} of {each.served[at]:.1%}"
            for each in results
        ]
        worth.add_row(f"right, of what is served from {at:g}", *cells)
    reliability = Table("Reliability", "said", "was", "pairs", box=box.SIMPLE_HEAD, pad_edge=False)
    for result in results:
        for said, was, pairs in result.reliability:
            reliability.add_row(result.name, f"{said:.2f}", f"{was:.2f}", f"{pairs:,}")
        reliability.add_section()
    return [worth, reliability]


def _share(labels: Sequence[bool]) -> float | None:
    return sum(labels) / len(labels) if labels else None
