"""The ledger's sums: exact for ever, in memory that does not grow with the number of requests.

A record is counted in the cell of its outcome, mechanism and model; everything a report says is a sum or a merge of
cells. In every cell, and so in every sum, spent + avoided = baseline, in integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resopt._core import Sketch, Tally
from resopt.types import NO_USAGE

if TYPE_CHECKING:
    from resopt.metrics.record import Record

OTHER = "(other)"
"""Stands for all names beyond the first `MODELS` models, or `NAMES` errors and stages: callers choose names."""

MODELS = 256
NAMES = 64

ANSWERED = ("hit", "coalesced", "miss", "bypass")
"""The outcomes in which the caller got an answer; latencies are compared over these."""

CALLED = ("miss", "bypass")
"""The outcomes in which the answer came from a call upstream made for this request."""


BACKGROUND = "background"
"""The outcome of calls that no caller asked for; they cost money, but are no requests."""


class Totals:
    """Every record ever counted, as cells, and the few figures that need no cell."""

    __slots__ = ("cells", "errors", "first", "last", "models", "shifts", "stages")

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str | None, str], Tally] = {}
        self.shifts: dict[tuple[str, str], list[int]] = {}
        self.models: set[str] = set()
        self.errors: dict[str, int] = {}
        self.stages: dict[str, Sketch] = {}
        self.first: float | None = None
        self.last: float | None = None

    def count(self, record: Record) -> None:
        """Count one record."""
        outcome, mechanism, model = named = record.outcome, record.mechanism, record.served_model or record.model
        usage, avoided = record.usage, record.avoided_usage
        (self.cells.get(named) or self.cell(outcome, mechanism, model)).count(
            record.cost,
            record.baseline_cost,
            record.avoided_cost,
            None if usage is NO_USAGE else usage,
            None if avoided is NO_USAGE else avoided,
            record.latency,
            record.baseline_latency,
        )
        if mechanism is not None:
            for name, amount in record.parts:
                if name != mechanism:
                    self._shift(mechanism, name, 1, amount)
        ts = record.ts
        if self.first is None or self.last is None:
            self.first = self.last = ts
        elif ts > self.last:
            self.last = ts
        elif ts < self.first:
            self.first = ts
        if record.error is not None:
            self._count_error(record.error, 1)
        for step in record.stages:
            if step.seconds is not None:
                self._stage(step.stage).add(step.seconds)

    def cell(self, outcome: str, mechanism: str | None, model: str) -> Tally:
        """The cell of these three, made when it is the first record's."""
        cell = self.cells.get((outcome, mechanism, model))
        if cell is not None:
            return cell
        if model not in self.models and len(self.models) >= MODELS:
            return self.cell(outcome, mechanism, OTHER) if model != OTHER else self._new(outcome, mechanism, OTHER)
        return self._new(outcome, mechanism, model)

    def _new(self, outcome: str, mechanism: str | None, model: str) -> Tally:
        self.models.add(model)
        cell = self.cells[outcome, mechanism, model] = Tally()
        return cell

    def merge(self, other: Totals) -> None:
        """Count everything that `other` has counted."""
        for (outcome, mechanism, model), cell in other.cells.items():
            self.cell(outcome, mechanism, model).merge(cell)
        for (cell_name, name), (requests, amount) in other.shifts.items():
            self._shift(cell_name, name, requests, amount)
        for name, count in other.errors.items():
            self._count_error(name, count)
        for name, sketch in other.stages.items():
            self._stage(name).merge(sketch)
        self.first = min((ts for ts in (self.first, other.first) if ts is not None), default=None)
        self.last = max((ts for ts in (self.last, other.last) if ts is not None), default=None)

    def requests(self, *outcomes: str) -> int:
        """Requests with one of these outcomes; all that callers made, when none is named."""
        return sum(
            cell.requests
            for (outcome, _, _), cell in self.cells.items()
            if (outcome in outcomes if outcomes else outcome != BACKGROUND)
        )

    def _shift(self, mechanism: str, part: str, requests: int, amount: int) -> None:
        """Money counted in the cells of `mechanism` that is another mechanism's part in the same requests."""
        shift = self.shifts.setdefault((mechanism, part), [0, 0])
        shift[0] += requests
        shift[1] += amount

    def _count_error(self, name: str, count: int) -> None:
        if name not in self.errors and len(self.errors) >= NAMES:
            name = OTHER
        self.errors[name] = self.errors.get(name, 0) + count

    def _stage(self, name: str) -> Sketch:
        if name not in self.stages and len(self.stages) >= NAMES:
            name = OTHER
        if name not in self.stages:
            self.stages[name] = Sketch()
        return self.stages[name]
