"""On which terms a call is made: how urgent it is, until when, and under which name it must not be billed twice.

These belong to the caller and not to the request (they cannot change the answer), so they travel in a context variable:
whoever queues, retries or sends reads them, and no signature in between has to carry them. A call that several callers
share is made on the terms of the first.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, get_args

import msgspec

from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Lane = Literal["interactive", "bulk"]
"""Somebody is waiting, or nobody is: interactive calls go first, and bulk leaves them some room."""

LANES: Final[tuple[Lane, ...]] = get_args(Lane)


class Attempts(Protocol):
    """Who wants to know of each attempt at a call: the limits, which the retries of a provider must keep to."""

    async def again(self, seconds: float) -> None:
        """Wait until one more attempt may be made; the first was allowed before the call began.

        Args:
            seconds: how long there is to wait.

        Raises:
            DeadlineError: it may not be made within that time.
        """
        ...

    def ended(self, status: int | None, headers: Mapping[str, str], wait: float | None, *, timed_out: bool) -> None:
        """An attempt has ended.

        Args:
            status: the reply's, or None when there was none.
            headers: the reply's, names in any case.
            wait: seconds that the provider asked to wait, or None.
            timed_out: there was none because it took too long.
        """
        ...


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of a call.

    Attributes:
        lane: how urgent it is.
        ends: `time.monotonic()` at which nobody wants the answer any more; infinite when there is no deadline.
        idempotency_key: the name of this call across restarts; a provider that honours `Idempotency-Key` answers a
            repeated call from its memory. Empty for none.
        attempts: an `Attempts` that is told of each attempt; None when nobody wants to know.
    """

    lane: Lane = "interactive"
    ends: float = math.inf
    idempotency_key: str = ""
    attempts: Any = None

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline, which may be past; infinite without one."""
        return self.ends - time.monotonic()


_NONE = Terms()
_terms: ContextVar[Terms] = ContextVar("resopt_terms", default=_NONE)


def current_terms() -> Terms:
    """The terms of the running call."""
    return _terms.get()


@contextmanager
def on_terms(
    *, lane: Lane | None = None, deadline: float | None = None, idempotency_key: str | None = None
) -> Iterator[Terms]:
    """Make the calls in this block on other terms; what is None stays as it is.

    Args:
        lane: `interactive` (the default for all calls) or `bulk`.
        deadline: seconds from now. A call that cannot be made within it fails at once with `DeadlineError`; a block
            within another can only shorten it.
        idempotency_key: sent as `Idempotency-Key`.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """
    before = _terms.get()
    if lane is not None and lane not in LANES:
        raise ConfigurationError(f"lane must be one of {', '.join(LANES)}, not {lane!r}")
    seconds: object = deadline
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0):
        raise ConfigurationError(f"deadline must be seconds above 0 or None, not {deadline!r}")
    changed = Terms(
        lane=before.lane if lane is None else lane,
        ends=before.ends if deadline is None else min(before.ends, time.monotonic() + deadline),
        idempotency_key=before.idempotency_key if idempotency_key is None else idempotency_key,
        attempts=before.attempts,
    )
    token = _terms.set(changed)
    try:
        yield changed
    finally:
        _terms.reset(token)


def tell_attempts(attempts: Attempts | None) -> None:
    """Let the attempts of the call that follows be told to this, or to nobody any more."""
    _terms.set(msgspec.structs.replace(_terms.get(), attempts=attempts))


def forget_terms() -> None:
    """Begin without terms, in a task that works for many callers and must not work on those of the first."""
    _terms.set(_NONE)
