"""`resopt report`: what an export of the ledger says, as a whole or about one experiment. Nobody is called."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from resopt.metrics.record import Record
    from resopt.metrics.report import Report
    from resopt.quality.feedback import Feedback
    from resopt.quality.signals import Signal
    from resopt.rollout.result import ExperimentResult


def report(
    file: Annotated[
        Path,
        typer.Argument(
            help="What ledger.export wrote, and what was said of the answers (append_signals), plain or gzip.",
            show_default=False,
        ),
    ],
    experiment: Annotated[
        str | None, typer.Option(help="Compare the arms of this experiment.", show_default=False)
    ] = None,
    split: Annotated[float, typer.Option(help="Per cent of those who take part that are treated.")] = 50.0,
    margin: Annotated[float, typer.Option(help="The loss of quality that is acceptable, in points of 1.")] = 0.02,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what an export of the ledger says: everything, or the arms of one experiment."""
    records, signals = read_export(file)
    result: Report | ExperimentResult
    if experiment is None:
        result = summed_up(records, signals)
    else:
        result = compared(records, signals, experiment, split=split, margin=margin)
    if as_json:
        import msgspec

        sys.stdout.write(msgspec.json.format(msgspec.json.encode(result.to_dict()), indent=2).decode() + "\n")
    else:
        sys.stdout.write(f"{result}\n")


def read_export(file: Path) -> tuple[list[Record], list[Signal]]:
    """The records and signals in a file, in their order; lines of other kinds are left out.

    Raises:
        ConfigurationError: the file cannot be read, or a line is damaged.
    """
    import msgspec

    from resopt.metrics.export import read_lines, read_record
    from resopt.quality.signals import Signal

    records: list[Record] = []
    signals: list[Signal] = []
    for number, kind, line in read_lines(file):
        try:
            if kind == "record":
                records.append(read_record(line))
            elif kind == "signal":
                signals.append(msgspec.json.decode(line, type=Signal))
        except msgspec.MsgspecError as error:
            raise ConfigurationError(f"{file}, line {number}: a damaged {kind} ({error})") from error
    return records, signals


def summed_up(records: Iterable[Record], signals: Iterable[Signal]) -> Report:
    """The report on all records, with what was said of the answers."""
    from resopt.metrics.report import summarise
    from resopt.metrics.totals import Totals

    totals = Totals()
    for record in records:
        totals.count(record)
    feedback = _collected(signals)
    quality = feedback.report()
    return summarise(totals, None, quality if quality.said else None)


def compared(
    records: Iterable[Record], signals: Iterable[Signal], name: str, *, split: float, margin: float
) -> ExperimentResult:
    """The arms of an experiment, from its records and what was said of their answers.

    Raises:
        ConfigurationError: no record is of that experiment; the message names those there are.
    """
    from resopt.quality.signals import IMPLICIT
    from resopt.rollout.experiment import EXPERIMENT, Experiment

    experiment = Experiment(name, split=split, margin=margin, ramp=(100,))
    events: list[tuple[float, Any]] = [(record.ts, record) for record in records]
    names = {step.reason for _, record in events for step in record.stages if step.stage == EXPERIMENT}
    if name not in names:
        known = f"; it has {', '.join(sorted(names))}" if names else ": no record is of an experiment"
        raise ConfigurationError(f"the export has no experiment {name!r}{known}")
    for _, record in sorted(events, key=lambda event: event[0]):
        experiment.observe(record)
    for signal in sorted(signals, key=lambda signal: signal.ts):
        if signal.kind not in IMPLICIT and not signal.again:
            experiment.score(signal.decision.steps, signal.value, signal.decision.id)
    return experiment.result()


def _collected(signals: Iterable[Signal]) -> Feedback:
    from resopt.quality.feedback import Feedback

    feedback = Feedback()
    for signal in signals:
        feedback.replay(signal)
    return feedback
