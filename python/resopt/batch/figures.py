"""What a batcher has done, as data."""

from __future__ import annotations

import msgspec

from resopt._core import Sketch


class BatchFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of a batcher. Of all submitted items each is done, failed, cancelled, rejected, queued or running.

    Attributes:
        submitted: items given to it.
        done: items that got a result.
        failed: items that got an error.
        cancelled: items whose caller left before.
        rejected: items refused because the queue was full.
        queued: items that wait now.
        running: batches that run now.
        batches: batches that have ended.
        items: items of these.
        shared: items of these that were not alone in their batch.
        largest: items of the largest batch.
        size: what a batch may weigh now.
        wait_p50: median seconds an item waited for its batch; None before the first.
        wait_p95: the 95th percentile of that.
        wait_max: the longest.
    """

    submitted: int
    done: int
    failed: int
    cancelled: int
    rejected: int
    queued: int
    running: int
    batches: int
    items: int
    shared: int
    largest: int
    size: float
    wait_p50: float | None
    wait_p95: float | None
    wait_max: float | None

    @property
    def mean_size(self) -> float | None:
        """Items per batch; None before the first."""
        return self.items / self.batches if self.batches else None

    @property
    def utilisation(self) -> float | None:
        """Share of the items that were processed together with others; None before the first."""
        return self.shared / self.items if self.items else None


class Tally:
    """Counts while a batcher runs."""

    def __init__(self) -> None:
        self.submitted = self.done = self.failed = self.cancelled = self.rejected = 0
        self.wait = Sketch()
        self._batches = self._items = self._shared = self._largest = 0

    def batch(self, items: int) -> None:
        """A batch has ended."""
        self._batches += 1
        self._items += items
        self._shared += items if items > 1 else 0
        self._largest = max(self._largest, items)

    def figures(self, *, queued: int, running: int, size: float) -> BatchFigures:
        """The counts now."""
        return BatchFigures(
            submitted=self.submitted,
            done=self.done,
            failed=self.failed,
            cancelled=self.cancelled,
            rejected=self.rejected,
            queued=queued,
            running=running,
            batches=self._batches,
            items=self._items,
            shared=self._shared,
            largest=self._largest,
            size=size,
            wait_p50=self.wait.quantile(0.5),
            wait_p95=self.wait.quantile(0.95),
            wait_max=self.wait.maximum,
        )
