"""What is said of one decision: by a user, by a judge, or without words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import msgspec

from resopt.errors import ConfigurationError
from resopt.types import Response, Scope, Step

if TYPE_CHECKING:
    import os

Kind: TypeAlias = Literal["thumbs", "rating", "accepted", "task_success", "score", "retry", "escalation"]
"""`score` is a judge's; `retry` (the same question again) and `escalation` (a stronger model had to help) are mute."""

SATISFACTION: Final = ("thumbs", "rating", "accepted")
"""Kinds that say how content a user is."""

IMPLICIT: Final = ("retry", "escalation")
"""Kinds that only ever say something bad; they are counted, and never averaged with the others."""

STARS: Final = 5
"""Ratings go from 1 to this."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Whose quality is spoken of: one answer, how it came about, and for whom.

    Attributes:
        id: of the trace and of the ledger's record.
        model: the model that answered.
        tier: the router's name for it; empty when it has none.
        mechanism: what avoided money; None for an answer as it was asked for.
        namespace: of the request's scope.
        shortened: whether its prompt was shortened, whatever else was done.
        key: under which the answer is stored, if it was good enough; None when it was never keyed.
        steps: the trace's; they name the arms of experiments.
    """

    id: str = ""
    model: str = ""
    tier: str = ""
    mechanism: str | None = None
    namespace: str = ""
    shortened: bool = False
    key: bytes | None = None
    steps: tuple[Step, ...] = ()

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """All that had a part in the answer."""
        shortened = ("prompt",) if self.shortened and self.mechanism != "prompt" else ()
        return shortened if self.mechanism is None else (self.mechanism, *shortened)

    @classmethod
    def of_record(cls, record: Any, scope: Scope | None = None) -> Decision:
        """The decision that a record of the ledger is of."""
        return cls(
            id=record.id,
            model=record.served_model or record.model,
            mechanism=record.mechanism,
            namespace="" if scope is None else scope.namespace,
            shortened=any(name == "prompt" for name, _ in record.parts),
            key=record.key,
            steps=record.stages,
        )

    @classmethod
    def of(cls, response: Response, scope: Scope | None = None, tier: str = "") -> Decision:
        """The decision that a response came by."""
        trace, detour = response.trace, response.detour
        mechanism = trace.mechanism
        if mechanism is None and detour is not None:
            mechanism = detour.mechanism or ("prompt" if detour.shortened else None)
        return cls(
            id=trace.id,
            model=response.model,
            tier=tier,
            mechanism=mechanism,
            namespace="" if scope is None else scope.namespace,
            shortened=detour is not None and detour.shortened != 0,
            key=trace.key,
            steps=trace.steps,
        )


class Signal(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="signal"):
    """One thing said of one decision; `value` from 0 (bad) to 1 (good); `again` when it takes the place of another.

    `baseline` is the score of the baseline's answer to the same question, where that was given.
    """

    kind: Kind
    value: float
    ts: float
    decision: Decision
    judge: str = ""
    again: bool = False
    baseline: float | None = None


def append_signals(path: str | os.PathLike[str], *signals: Signal) -> None:
    """Append signals to a file, a line of JSON each, beside the records of `ledger.export`: `Feedback(log=…)` takes it.

    For example `Feedback(log=functools.partial(append_signals, "resopt.jsonl"))`.
    """
    from pathlib import Path

    with Path(path).open("ab") as file:
        file.write(b"".join(msgspec.json.encode(signal) + b"\n" for signal in signals))


def worth(
    thumbs: str | None,
    rating: float | None,
    accepted: Any,
    task_success: Any,
    score: Any,
) -> dict[Kind, float]:
    """What was said as values from 0 to 1, by kind.

    Raises:
        ConfigurationError: nothing was said, or something that is none of the allowed.
    """
    said: dict[Kind, float] = {}
    if thumbs is not None:
        if thumbs not in ("up", "down"):
            raise ConfigurationError(f"thumbs must be 'up' or 'down', not {thumbs!r}")
        said["thumbs"] = float(thumbs == "up")
    if rating is not None:
        said["rating"] = (_number("rating", rating, 1, STARS) - 1) / (STARS - 1)
    if score is not None and not (isinstance(score, float) and math.isnan(score)):  # NaN is no verdict
        said["score"] = _number("score", score, 0, 1)
    kinds: tuple[tuple[Kind, Any], ...] = (("accepted", accepted), ("task_success", task_success))
    for kind, value in kinds:
        if value is not None:
            if type(value) is not bool:
                raise ConfigurationError(f"{kind} must be True or False, not {value!r}")
            said[kind] = float(value)
    if not said and score is None:
        raise ConfigurationError(f"say something: {', '.join(get_args(Kind)[:5])}")
    return said


def _number(name: str, value: Any, least: int, most: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ConfigurationError(f"{name} must be a number from {least} to {most}, not {value!r}")
    return float(value)
