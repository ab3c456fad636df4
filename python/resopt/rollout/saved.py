"""An experiment as JSON holds it."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec

VERSION: Final = 3
"""Of what is saved."""

Status: TypeAlias = Literal["running", "passed", "shipped", "rolled_back"]
"""`passed`: the ramp is through, nothing was harmed, and quality is shown to hold; it goes on until `ship`."""

Metric: TypeAlias = Literal["quality", "errors", "latency", "cost"]


_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
_Size: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an experiment was made with, but `on_change`."""

    name: str
    stage: str | None
    salt: str
    split: float
    ramp: tuple[float, ...]
    per_step: int
    alpha: float
    margin: float
    ship: bool


class ArmState(msgspec.Struct, frozen=True):
    """`Arm` as saved."""

    requests: _Count
    errors: _Count
    priced: _Count
    spent: int
    latency: bytes

    def __post_init__(self) -> None:
        if self.errors + self.priced > self.requests:
            raise ValueError("an arm has fewer requests than errors and priced answers")


class TestState(msgspec.Struct, frozen=True):
    """`Comparison` as saved: the states of its two parts."""

    test: list[float]
    certain: list[float]


class Saved(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An experiment as JSON holds it."""

    options: Options
    status: Status
    reason: str
    step: _Count
    step_began: tuple[_Count, _Count]
    arms: tuple[ArmState, ArmState]
    tests: dict[Metric, TestState]
    slow: _Size
    dear: _Size
    early_costs: list[int]
    units: dict[str, Literal[0, 1]]
    ratio: _Size
    counted: list[str]

    def __post_init__(self) -> None:
        if self.step >= len(self.options.ramp):
            raise ValueError("its ramp has no such step")
        if any(began > arm.requests for began, arm in zip(self.step_began, self.arms, strict=True)):
            raise ValueError("a step began after the last request")
        if set(self.tests) != set(get_args(Metric)):
            raise ValueError("it has not the tests of an experiment")
