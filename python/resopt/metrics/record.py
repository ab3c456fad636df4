"""The record of one request, and what the outcomes mean for money."""

from __future__ import annotations

import itertools
import os
from enum import Enum

import msgspec

from resopt.errors import ConfigurationError
from resopt.types import Outcome, Step, Usage


class Money(Enum):
    """What an outcome means for money: the answer was not billed, was billed, or there was no answer."""

    SAVED = "saved"
    BILLED = "billed"
    FAILED = "failed"


MONEY = {
    "hit": Money.SAVED,
    "coalesced": Money.SAVED,
    "miss": Money.BILLED,
    "bypass": Money.BILLED,
    "error": Money.FAILED,
    "cancelled": Money.FAILED,
    "background": Money.BILLED,
}
"""By outcome."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One request. Money in picodollars, times in seconds; cost + avoided = baseline wherever all three are known.

    Attributes:
        ts: Unix time at which the request ended.
        id: unique id, also of the request's trace.
        outcome: how it ended.
        mechanism: what avoided money; None when nothing did.
        model: the model asked for.
        served_model: the model that answered, as the provider names it; None when none did.
        usage: tokens billed for this request: zeros on a hit and on a coalesced request.
        avoided_usage: tokens of the stored or shared answer, which this request was not billed for.
        cost: spent; None when the price or the usage is unknown.
        baseline_cost: what the request would have cost at the model asked for; None when unknown.
        avoided_cost: not spent, thanks to `mechanism`; negative when it cost more; None when unknown.
        latency: from call to answer.
        baseline_latency: what the call upstream took; the latency itself where that was not measured.
        stages: the decisions taken, with their times.
        scope: keyed digest of namespace, tenant and user, never their names; empty for everyone.
        age: how old the served answer was; None unless it came from a cache.
        error: name of the exception's type; None when there was none.
        parts: the shares of `avoided_cost` by mechanism, where more than one had a part in it; they add up to it.
        key: under which the answer is stored; None when it was never keyed.
    """

    ts: float
    id: str
    outcome: Outcome
    mechanism: str | None
    model: str
    served_model: str | None
    usage: Usage
    avoided_usage: Usage
    cost: int | None
    baseline_cost: int | None
    avoided_cost: int | None
    latency: float
    baseline_latency: float
    stages: tuple[Step, ...] = ()
    scope: str = ""
    age: float | None = None
    error: str | None = None
    parts: tuple[tuple[str, int], ...] = ()
    key: bytes | None = None

    @property
    def avoided(self) -> dict[str, int]:
        """Picodollars avoided, by mechanism; empty when nothing was, or when a price is unknown."""
        if self.mechanism is None or self.avoided_cost is None:
            return {}
        if self.parts:
            return dict(self.parts)
        return {self.mechanism: self.avoided_cost}


def refused(outcome: object, latency: object, upstream_latency: object) -> ConfigurationError:
    """The error for an outcome or a latency that is none."""
    if outcome not in MONEY:
        return ConfigurationError(f"outcome must be one of {', '.join(MONEY)}, not {outcome!r}")
    return ConfigurationError(
        f"latencies must be finite seconds from 0 up, not {latency!r} (upstream {upstream_latency!r})"
    )


class Ids:
    """Unique ids without a lock: a prefix of the process and a counter."""

    def __init__(self) -> None:
        self.renew()

    def next(self) -> str:
        """An id that no other record of any process has."""
        return f"{self._prefix}{next(self._numbers):x}"

    def renew(self) -> None:
        """Begin a new series; a forked child must not repeat its parent's ids."""
        self._prefix = os.urandom(6).hex() + "-"
        self._numbers = itertools.count(1)


ids = Ids()
"""Of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ids.renew)
