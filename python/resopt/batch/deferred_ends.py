"""In which error a row of deferred work ends that has no answer, and whether it may be billed."""

from __future__ import annotations

from typing import Any

from resopt.batch.deferred_rows import StoredEnd, StoredRow
from resopt.errors import DeadlineError


def too_late(row: StoredRow) -> StoredEnd:
    """The error of a row that nobody can ask for directly; what was handed in may be billed."""
    problem = "the deadline is near, the batch has not come, and nothing asks directly (complete=…)"
    return StoredEnd(error=DeadlineError.__name__, problem=problem, free=row.state == "new")


def failure(row_end: Any) -> StoredEnd:
    """The error of a row that will not be sent again."""
    kinds = {"refused": "BadRequestError", "again": "ServerError", "undone": "ProviderTimeoutError"}
    kind = "RateLimitError" if row_end.status == 429 else kinds.get(row_end.state, "ProviderResponseError")
    return StoredEnd(
        error=kind,
        problem=f"the row of a batch failed: {row_end.problem}",
        status=row_end.status,
        free=row_end.state in kinds,
    )


def missing(batch: Any, unreadable: int) -> StoredEnd:
    """The error of a row of which the provider says nothing."""
    if batch.state == "failed":
        problem = f"the provider refused the whole batch: {batch.problem}"
        return StoredEnd(error="BadRequestError", problem=problem, free=True)
    if batch.state in ("expired", "cancelled"):
        return StoredEnd(error="ProviderTimeoutError", problem=f"the batch {batch.id} is {batch.state}", free=True)
    garbage = f"; {unreadable} lines of its results cannot be read" if unreadable else ""
    return StoredEnd(
        error="ProviderResponseError",
        problem=f"the batch {batch.id} has ended without a word on this row{garbage}: it may be billed, so it was not "
        "sent again",
    )
