"""`resopt eval routing FILE`: APGR, CPT and cost at equal quality of routers, with bootstrap intervals."""

from __future__ import annotations

import gzip
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from resopt.route.evaluate import Evaluation, Labelled

_FEWEST_TO_FIT = 250


def routing(
    file: Annotated[Path, typer.Argument(help="JSON lines, .gz too: prompt, weak, strong; or prompt, scores.")],
    weak: Annotated[str | None, typer.Option(help="The cheap model, where the rows have `scores`.")] = None,
    strong: Annotated[str | None, typer.Option(help="The able model; the best one by default.")] = None,
    price_ratio: Annotated[float, typer.Option(help="How many times dearer the strong model is.", min=1.0)] = 10.0,
    rounds: Annotated[int, typer.Option(help="Rounds of the bootstrap.", min=10, max=10_000)] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """What routers are worth on labelled questions: APGR, CPT50, CPT80, cost at equal quality, with intervals.

    The score that needs no labels, one fitted on the file itself (5-fold, where there are rows enough) and, where the
    rows have `weak_response`, a cascade on the weak model's answers (5-fold) are compared with random, the pattern's
    keywords, log length, the best single model and the oracle.
    """
    rows = read_rows(file)
    labelled, names = label(rows, weak, strong)
    results = measure(labelled, rows, price_ratio, rounds)
    if as_json:
        found = {"rows": len(rows), "weak": names[0], "strong": names[1], "routers": results}
        typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        _show(labelled, names, results, best_single(rows, labelled), price_ratio)


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines.

    Raises:
        ConfigurationError: it cannot be read, or a line is no object with a prompt; the message names the line.
    """
    try:
        data = file.read_bytes()
        lines = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).splitlines()
    except (OSError, EOFError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise ConfigurationError(f"{file}, line {number}: no JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
            raise ConfigurationError(f"{file}, line {number}: must be an object with a prompt")
        rows.append(row)
    if not rows:
        raise ConfigurationError(f"{file} has no rows")
    return rows


def label(rows: Sequence[Mapping[str, Any]], weak: str | None, strong: str | None) -> tuple[Labelled, tuple[str, str]]:
    """The labels of two models, and what these are called.

    Raises:
        ConfigurationError: a row lacks a quality, or it is not clear which models are meant.
    """
    from resopt.route.evaluate import Labelled

    if "scores" in rows[0]:
        names = _named(rows, weak, strong)
        pairs = [tuple(row.get("scores", {}).get(name) for name in names) for row in rows]
    else:
        names = ("weak", "strong")
        pairs = [(row.get("weak"), row.get("strong")) for row in rows]
    for number, pair in enumerate(pairs, 1):
        if not all(isinstance(quality, int | float) and 0 <= quality <= 1 for quality in pair):
            raise ConfigurationError(
                f"row {number}: the qualities of {names[0]} and {names[1]} must lie between 0 and 1"
            )
    prompts = [row["prompt"] for row in rows]
    return Labelled(prompts, [float(low) for low, _ in pairs], [float(high) for _, high in pairs]), names


def _named(rows: Sequence[Mapping[str, Any]], weak: str | None, strong: str | None) -> tuple[str, str]:
    means = _means(rows)
    for name in (weak, strong):
        if name is not None and name not in means:
            raise ConfigurationError(f"no row has a quality of {name!r}; there are {', '.join(sorted(means))}")
    strong = max(means, key=means.__getitem__) if strong is None else strong
    if weak is None:
        if len(means) != 2:
            raise ConfigurationError(f"say which model is the cheap one: --weak, one of {', '.join(sorted(means))}")
        weak = next(name for name in means if name != strong)
    return weak, strong


def _means(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    sums: dict[str, list[float]] = {}
    for row in rows:
        for name, quality in (row.get("scores") or {}).items():
            if isinstance(quality, int | float):
                sums.setdefault(name, []).append(float(quality))
    return {name: sum(held) / len(held) for name, held in sums.items()}


def best_single(rows: Sequence[Mapping[str, Any]], labelled: Labelled) -> tuple[str, float]:
    """The model that is best when one model answers everything, and its mean quality."""
    means = _means(rows) or {
        "weak": sum(labelled.weak) / len(labelled.weak),
        "strong": sum(labelled.strong) / len(labelled.strong),
    }
    name = max(means, key=means.__getitem__)
    return name, means[name]


def measure(labelled: Labelled, rows: Sequence[Mapping[str, Any]], price_ratio: float, rounds: int) -> list[Evaluation]:
    """Every router on the same rows, drawn alike in every round."""
    from resopt._core import RouteModel
    from resopt.route.complexity import PRIOR
    from resopt.route.evaluate import baselines, cross_validated, evaluate

    scored = dict(baselines(labelled))
    scored["resopt, no labels"] = [PRIOR.score(prompt) or 0.0 for prompt in labelled.prompts]

    def fit(prompts: list[str], gains: list[float]) -> Any:
        model = RouteModel.fit(prompts, gains)
        return lambda prompt: model.position(prompt) or 0.0

    if len(rows) >= _FEWEST_TO_FIT:
        scored["resopt, fitted (5-fold)"] = cross_validated(labelled, fit)
    answers = [row.get("weak_response") for row in rows]
    cascade = "resopt, cascade on answers (5-fold)"
    if len(rows) >= _FEWEST_TO_FIT and all(isinstance(answer, str) for answer in answers):
        scored[cascade] = cascade_scores(labelled, answers)
    order = sorted(scored, key=lambda name: (name == "oracle", name.startswith("resopt")))
    return [
        evaluate(
            name,
            scored[name],
            labelled,
            price_ratio=price_ratio,
            rounds=rounds,
            post_hoc=name == cascade,
            flat=name == "oracle",
        )
        for name in order
    ]


def cascade_scores(labelled: Labelled, answers: Sequence[Any], seed: int = 0) -> list[float]:
    """How likely each weak answer will not do, by a scorer fitted on the other folds."""
    import numpy as np

    from resopt.route.answers import AnswerScorer

    order = np.random.default_rng(seed).permutation(len(answers))
    scores = [0.0] * len(answers)
    for inside in np.array_split(order, 5):
        outside = np.setdiff1d(order, inside)
        scorer = AnswerScorer.fit((labelled.prompts[row], answers[row], labelled.weak[row]) for row in outside)
        for row in inside:
            scores[row] = 1.0 - scorer.score(labelled.prompts[row], answers[row])
    return scores


def _show(
    labelled: Labelled,
    names: tuple[str, str],
    results: Sequence[Evaluation],
    single: tuple[str, float],
    price_ratio: float,
) -> None:
    from rich.table import Table

    from resopt.cli.screen import make_console

    count = len(labelled.prompts)
    low, high = sum(labelled.weak) / count, sum(labelled.strong) / count
    console = make_console()
    console.print(
        f"{count:,} questions; {names[0]} {low:.3f}, {names[1]} {high:.3f}; best single {single[0]} {single[1]:.3f}"
    )
    table = Table(box=None, pad_edge=False)
    for name in ("router", "APGR [95 %]", "CPT50", "CPT80", f"cost at equal quality, {price_ratio:g} x"):
        table.add_column(name, justify="left" if name == "router" else "right")
    for each in results:
        cpts = (f"{figure.value:.1%}" for figure in (each.cpt50, each.cpt80))
        table.add_row(each.name, str(each.apgr), *cpts, f"{each.equal_cost.value:.1%}")
    table.add_row(f"best single ({single[0]})", "", "", "", "100.0%" if single[0] == names[1] else "")
    console.print(table)
    console.print(
        "APGR: share of the gap between the models that is recovered, over all shares of strong calls; 0.5 is"
    )
    console.print(
        "chance. CPT50: share of strong calls that recovers half of it. Cost: of 99 % of the gap, against the"
    )
    console.print("strong model on every row; a cascade pays the weak model on every row.")
