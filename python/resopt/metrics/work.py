"""How calls were made together: in batches, through limits, deferred; what a report says of it."""

from __future__ import annotations

import msgspec


class WorkFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Batches, waits and retries of one optimizer so far.

    Attributes:
        batched: requests that came in a batch (`gather`, deferred work).
        batches: how many batches those were.
        queue_wait_p50: median seconds that a call upstream waited for its turn; None without limits.
        queue_wait_p95: the 95th percentile.
        waited: calls that had to wait at all.
        queued: calls that wait now.
        flying: calls in the air now.
        retries: further attempts, by what the one before met (`429`, `529`, `timeout`, …).
        concurrency: calls that may be in the air now, by model.
    """

    batched: int = 0
    batches: int = 0
    queue_wait_p50: float | None = None
    queue_wait_p95: float | None = None
    waited: int = 0
    queued: int = 0
    flying: int = 0
    retries: dict[str, int] = {}
    concurrency: dict[str, int] = {}

    @property
    def batch_size(self) -> float | None:
        """Requests in a batch, on average; None before the first."""
        return self.batched / self.batches if self.batches else None
