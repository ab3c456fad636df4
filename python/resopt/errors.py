"""Every exception of resopt, under one root, so that one `except ResoptError` catches what the library raises.

Each message says what was wrong and what to do. Errors that stand for a familiar Python error are that error too
(`UnkeyableError` is a `TypeError`, `ConfigurationError` a `ValueError`), so callers may catch either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self


class ResoptError(Exception):
    """Root of everything resopt raises on purpose."""


class ConfigurationError(ResoptError, ValueError):
    """An option or argument is of the wrong type, out of range or unknown."""


class InvalidRequestError(ResoptError, ValueError):
    """A request cannot be sent: its body is not what its API shape asks for."""


class UnkeyableError(ResoptError, TypeError):
    """A value cannot be part of a key; the message names the path to it and what to do."""


class DamagedModelError(ResoptError, RuntimeError):
    """A model or a token table that is built into resopt is not what was built in; nothing is computed with it."""


class FlightRecursionError(ResoptError, RuntimeError):
    """A shared call waits, directly or through other calls, for itself; waiting would never end."""


class StreamLagError(ResoptError, RuntimeError):
    """A reader of an enormous shared stream was so slow that what it had yet to read is gone."""


class MissingExtraError(ResoptError, ImportError):
    """A feature needs an optional dependency; the message names the extra to install."""


class CacheMissError(ResoptError, LookupError):
    """Cache mode `only` was asked for and no stored answer fits."""


class RoutingError(ResoptError, RuntimeError):
    """No tier of the router may serve a request; the message says what stands in the way of each."""


class ClosedError(ResoptError, RuntimeError):
    """The optimizer, provider or server was used after `close`."""


class BudgetExceededError(ResoptError, RuntimeError):
    """A call is not made because its worst case does not fit a budget, or cannot be known.

    Attributes:
        limit: the budget, in words.
        over: what was configured for this case: `reject`, `degrade` or `stale`.
        wanted: picodollars the call might have cost; None when that cannot be known.
        remaining: picodollars left in the budget; None when that does not matter.
        resets_in: seconds until the budget's window ends; None when it has none.
        again: it is a further attempt that does not fit; the one before may have been billed.
    """

    again = False

    def __init__(
        self,
        message: str,
        *,
        limit: str = "",
        over: str = "reject",
        wanted: int | None = None,
        remaining: int | None = None,
        resets_in: float | None = None,
    ) -> None:
        super().__init__(message)
        self.limit = limit
        self.over = over
        self.wanted = wanted
        self.remaining = remaining
        self.resets_in = resets_in


class BatchError(ResoptError, ExceptionGroup[Exception]):
    """Items of a batch failed; the group holds their errors in the order of the items.

    Attributes:
        results: what each item ended in, in order: its result, or its error.
    """

    results: list[Any]

    def __new__(cls, message: str, errors: Sequence[Exception], results: list[Any] | None = None) -> Self:
        """A group of these errors."""
        made = super().__new__(cls, message, errors)
        made.results = [] if results is None else results
        return made

    def __init__(self, message: str, errors: Sequence[Exception], _: list[Any] | None = None) -> None:
        super().__init__(message, errors)

    def derive(self, errors: Sequence[Exception]) -> BatchError:  # type: ignore[override]  # of Exceptions alone
        """The same for some of the errors (`split`, `except*`)."""
        return BatchError(self.message, errors, self.results)


class BatchInputError(ResoptError, RuntimeError):
    """What a batch reads its items from failed midway; the cause is its error.

    Attributes:
        results: what the items taken before ended in, in order: results and errors.
    """

    def __init__(self, message: str, results: list[Any]) -> None:
        super().__init__(message)
        self.results = results


class ItemCancelledError(ResoptError):
    """One item's own work was cancelled from within; nothing else of its batch was."""


class CheckpointError(ResoptError):
    """A checkpoint cannot be used, or a result cannot be written to it.

    Attributes:
        result: the result that could not be written; it is paid for.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class QueueFullError(ResoptError):
    """A bounded queue is full and was told to reject rather than to wait."""


class DeadlineError(ResoptError, TimeoutError):
    """A call cannot be made within its deadline; it was not sent."""


class UnknownHandleError(ResoptError, LookupError):
    """No deferred work of this handle is in the store."""


class ProviderError(ResoptError):
    """An upstream call failed after all permitted attempts.

    Attributes:
        status: HTTP status code of the last attempt, or None when no reply arrived.
        attempts: how many requests were sent.
        body: the beginning of the last reply's body (at most 2,000 characters), or None.
        retry_after: seconds the provider asked to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        attempts: int = 1,
        body: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.attempts = attempts
        self.body = body
        self.retry_after = retry_after


class ProviderConnectionError(ProviderError):
    """The provider could not be reached, or the connection broke before the reply was complete."""


class ProviderTimeoutError(ProviderError):
    """The provider did not answer within the deadline."""


class ProviderResponseError(ProviderError):
    """The reply came with a success status, but is not what the API promises (not JSON, no choices, …)."""


class AuthenticationError(ProviderError):
    """The provider refused the credentials (401, 403)."""


class BadRequestError(ProviderError):
    """The provider refused the request itself (400, 404, 409, 413, 422, …); sending it again cannot help."""


class RateLimitError(ProviderError):
    """The provider refused for now (429) and kept refusing through every permitted retry."""


class ServerError(ProviderError):
    """The provider failed (5xx) and kept failing through every permitted retry."""
