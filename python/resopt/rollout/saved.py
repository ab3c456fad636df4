"""An experiment as JSON holds it."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

VERSION: Final = 3
"""Of what is saved."""

Status: TypeAlias = Literal["running", "passed", "shipped", "rolled_back"]
"""`passed`: the ramp is through, nothing was harmed, and quality is shown to hold; it goes on until `ship`."""

Metric: TypeAlias = Literal["quality", "errors", "latency", "cost"]

OPTIONS: Final = ("name", "stage", "salt", "split", "ramp", "per_step", "alpha", "margin")


class ArmState(msgspec.Struct, frozen=True):
    """`Arm` as saved."""

    requests: int
    errors: int
    priced: int
    spent: int
    latency: bytes


class TestState(msgspec.Struct, frozen=True):
    """`Comparison` as saved: the states of its two parts."""

    test: list[float]
    certain: list[float]


class Saved(msgspec.Struct, kw_only=True):
    """An experiment as JSON holds it."""

    version: int
    options: dict[str, Any]
    status: Status
    reason: str
    step: int
    step_began: tuple[int, int]
    arms: tuple[ArmState, ArmState]
    tests: dict[Metric, TestState]
    slow: float
    dear: float
    early_costs: list[int]
    units: dict[str, int]
    ratio: float
    counted: list[str]
