"""Who takes part: 10,000 stable buckets per feature, so that the same user is always on the same side.

A bucket is `u64_le(BLAKE3(feature, salt, unit)[:8]) % 10,000` in the key space `resopt rollout bucket` (`resopt.key`
says how values become bytes): the same in every process, language version and release; `tests/vectors/buckets.json`
holds published ones. Raising a share only ever adds buckets, so nobody who is in falls out. The arm of an experiment is
drawn in a space of its own, or the first 5 % of users would all be in one arm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from resopt._core import KeySpace
from resopt.errors import ConfigurationError

BUCKETS: Final = 10_000
"""One is 0.01 % of all units."""

FEATURES: Final[Mapping[str, str]] = {
    "cache": "caching",
    "semantic": "semantic_caching",
    "route": "model_routing",
    "prompt": "prompt_optimization",
    "batch": "request_batching",
}
"""The features' names by the stages of the pipeline that they switch; a stage may also be named by its own name.

`batch` is no stage but `gather`: who has it switched off is asked one after the other, as without a batch.
"""

_BUCKETS: Final = KeySpace("resopt rollout bucket").key
_ARMS: Final = KeySpace("resopt rollout arm").key


def bucket(feature: str, unit: str, salt: str = "") -> int:
    """The bucket, 0 to 9,999, of a unit (a user, mostly) for a feature.

    Args:
        feature: what is rolled out; buckets of two features have nothing to do with each other.
        unit: who is assigned.
        salt: a new one shuffles everybody anew.
    """
    return int.from_bytes(_BUCKETS((feature, salt, unit))[:8], "little") % BUCKETS


def arm(experiment: str, unit: str, salt: str = "") -> int:
    """As `bucket`, from a hash of its own: which arm of an experiment a unit is in, whatever its bucket is."""
    return int.from_bytes(_ARMS((experiment, salt, unit))[:8], "little") % BUCKETS


class Rollout:
    """Percentages of users by feature, such as `Rollout({"caching": 100, "model_routing": 50})`.

    As `AsyncOptimizer(rollout=…)` it switches the stages of the pipeline (`FEATURES` says which); a stage whose feature
    is not named stays on, and an optimizer warns of names that switch nothing in it. Features of your own code may have
    any name. Shares may be changed at any time, in any thread.

    Args:
        percentages: 0 to 100 in steps of 0.01, by feature.
        salt: a new one shuffles all users anew.

    Raises:
        ConfigurationError: a percentage makes no sense.
    """

    __slots__ = ("_shares", "salt")

    def __init__(self, percentages: Mapping[str, float], *, salt: str = "") -> None:
        given: Any = percentages
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"percentages must map features to per cent, not be {type(given).__name__}")
        if not isinstance(salt, str):
            raise ConfigurationError(f"salt must be a str, not {type(salt).__name__}")
        self.salt = salt
        self._shares = {_name(name): _buckets(name, value) for name, value in given.items()}

    def enabled(self, user_id: str, feature: str) -> bool:
        """Whether a user takes part in a feature; nobody does in one that is not named."""
        share = self._shares.get(feature, 0)
        if 0 < share < BUCKETS:
            return bucket(feature, _unit(user_id), self.salt) < share
        return share > 0

    def switches(self, stage: str, unit: str) -> bool:
        """Whether a stage of the pipeline is on for a unit; one that no percentage is given for is."""
        feature = FEATURES.get(stage, stage)
        name = feature if feature in self._shares else stage
        return name not in self._shares or self.enabled(unit, name)

    @property
    def percentages(self) -> dict[str, float]:
        """Per cent by feature."""
        return {feature: share * 100 / BUCKETS for feature, share in self._shares.items()}

    def set(self, feature: str, percentage: float) -> None:
        """Give a feature another share. Those who are in stay in when it grows.

        Raises:
            ConfigurationError: the percentage makes no sense.
        """
        self._shares = {**self._shares, _name(feature): _buckets(feature, percentage)}

    def to_json(self) -> str:
        """The percentages and the salt."""
        return msgspec.json.encode({"percentages": self.percentages, "salt": self.salt}).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Rollout:
        """Read back what `to_json` wrote.

        Raises:
            ConfigurationError: it is something else.
        """
        try:
            read = msgspec.json.decode(text, type=_Saved)
        except (msgspec.MsgspecError, UnicodeError, TypeError) as error:
            raise ConfigurationError(f"this is no saved rollout: {error}") from error
        return cls(read.percentages, salt=read.salt)


class _Saved(msgspec.Struct):
    percentages: dict[str, float]
    salt: str = ""


_in_use: list[Rollout] = []


def use_rollout(rollout: Rollout | Mapping[str, float] | None) -> None:
    """The rollout that `optimization_enabled` asks from now on, in the whole process; None for none."""
    made = rollout if isinstance(rollout, Rollout) or rollout is None else Rollout(rollout)
    _in_use[:] = [] if made is None else [made]


def optimization_enabled(user_id: str, feature: str, rollout: Rollout | None = None) -> bool:
    """Whether a user takes part in a feature, by `rollout` or by the one of `use_rollout`.

    Raises:
        ConfigurationError: there is no rollout.
    """
    if rollout is None:
        if not _in_use:
            raise ConfigurationError("no rollout to go by: call use_rollout({'model_routing': 50}) once, or pass one")
        rollout = _in_use[0]
    return rollout.enabled(user_id, feature)


def _name(feature: Any) -> str:
    if not isinstance(feature, str) or not feature:
        raise ConfigurationError(f"a feature must be a str that is not empty, not {feature!r}")
    return feature


def _unit(user_id: Any) -> str:
    if not isinstance(user_id, str):
        raise ConfigurationError(f"user_id must be a str, not {type(user_id).__name__}")
    return user_id


def _buckets(feature: str, percentage: Any) -> int:
    if isinstance(percentage, bool) or not isinstance(percentage, int | float) or not 0 <= percentage <= 100:
        raise ConfigurationError(f"the percentage of {feature!r} must be a number from 0 to 100, not {percentage!r}")
    return round(percentage * BUCKETS / 100)
