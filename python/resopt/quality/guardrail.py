"""Mechanisms that are switched off when their quality falls, and come back step by step.

A guardrail watches every score of a mechanism in a namespace by bets against "it is good enough" (`_core.Floor`): the
chance that it is ever switched off although it is good enough is at most `alpha`, however long it is watched. Once off
it stays off for a while and then serves a growing share of units again, with a new watch at each step.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from resopt._core import Floor, KeySpace
from resopt.errors import ConfigurationError
from resopt.once import Once

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from resopt.quality.signals import Decision

Place: TypeAlias = tuple[str, str]
"""Mechanism and namespace."""

WATCHED: Final = 10_000
"""Mechanisms in namespaces watched at most: callers choose names of namespaces. The others share one watch each."""

LONGEST: Final = 64
"""The pause after an alarm doubles with each, up to this many times the first."""

_BUCKETS: Final = 10_000
_BUCKET: Final = KeySpace("resopt guardrail bucket").key


class Watch(msgspec.Struct):
    """One mechanism in one namespace: scores since the last change, how far it is back, and its alarms.

    Attributes:
        state: of the `Floor`.
        step: of the ramp; None when the mechanism is on for all.
        off_until: when it may begin to come back; 0 while it serves anyone.
        alarms: how often it was switched off.
    """

    state: list[float] = []
    step: int | None = None
    off_until: float = 0.0
    alarms: int = 0


class Guardrails:
    """Least scores by mechanism, such as `Guardrails({"semantic": 0.9, "route": 0.85})`.

    Args:
        minimums: least mean score, between 0 and 1, by mechanism.
        alpha: chance that a mechanism which is good enough is ever switched off, for each namespace.
        ramp: per cent of units that are served again, step by step.
        per_step: scores without an alarm before the next step.
        pause: seconds between an alarm and the first step; doubled with each further alarm.
        on_change: called with mechanism, namespace and what has become of it: `off`, `ramp` or `on`.
        clock: Unix time in seconds.

    Raises:
        ConfigurationError: an option makes no sense.
    """

    def __init__(
        self,
        minimums: Mapping[str, float],
        *,
        alpha: float = 0.05,
        ramp: Sequence[float] = (5, 25, 50),
        per_step: int = 50,
        pause: float = 3_600.0,
        on_change: Callable[[str, str, str], Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        for minimum in minimums.values():
            Floor(minimum)
        steps = list(ramp)
        if not 0 < alpha < 1 or type(per_step) is not int or per_step < 1 or not pause >= 0:
            raise ConfigurationError("alpha lies between 0 and 1, per_step is an int above 0, pause is seconds")
        if not steps or steps != sorted(set(steps)) or not 0 < steps[0] <= steps[-1] <= 100:
            raise ConfigurationError(f"ramp must be rising per cents above 0, up to 100, not {ramp!r}")
        self.minimums = dict(minimums)
        self._alpha, self._ramp, self._per_step, self._pause = alpha, tuple(steps), per_step, pause
        self._on_change, self._clock = on_change, clock
        self._watches: dict[Place, Watch] = {}
        self._floors: dict[Place, Floor] = {}
        self._held: dict[Place, Watch] = {}  # those that do not serve everyone: empty in good times
        self._counted = Once()
        self._lock = threading.Lock()

    def allows(self, mechanism: str, namespace: str = "", unit: str = "") -> bool:
        """Whether a mechanism may serve a unit (a user, mostly) in a namespace now."""
        if not self._held:
            return True
        watch = self._held.get((mechanism, namespace)) or self._held.get((mechanism, "*"))
        if watch is None:
            return True
        if watch.off_until:
            if self._clock() < watch.off_until:
                return False
            self._begin_ramp(mechanism, namespace, watch)
        step = watch.step
        share = 100.0 if step is None else self._ramp[step]
        return int.from_bytes(_BUCKET((mechanism, namespace, unit))[:8], "little") % _BUCKETS < share * _BUCKETS / 100

    def score(self, decision: Decision, score: float) -> None:
        """Count the first score, 0 to 1, of an answer that a mechanism had a part in; a later one is not counted."""
        watched = [mechanism for mechanism in decision.mechanisms if mechanism in self.minimums]
        if not watched:
            return
        with self._lock:
            if not self._counted.first(decision.id):
                return
        for mechanism in watched:
            self._score(mechanism, decision.namespace, self.minimums[mechanism], score)

    def _score(self, mechanism: str, namespace: str, minimum: float, score: float) -> None:
        changed = ""
        with self._lock:
            place = self._place(mechanism, namespace)
            watch = self._watches.setdefault(place, Watch())
            if watch.off_until:  # answers from before the alarm
                return
            floor = self._floors.get(place)
            if floor is None:
                floor = self._floors[place] = Floor(minimum)
            floor.add(score)
            if floor.p_value <= self._alpha:
                changed = self._alarm(place, watch)
            elif watch.step is not None and floor.count >= self._per_step:
                changed = self._next_step(place, watch)
        if changed:
            self._tell(*place, changed)

    def held_back(self) -> tuple[str, ...]:
        """The mechanisms that do not serve everyone now, with their namespace where they have one."""
        return tuple(
            f"{mechanism} in {namespace}" if namespace else mechanism for mechanism, namespace in sorted(self._held)
        )

    def to_json(self) -> str:
        """What is watched, and how it stands."""
        with self._lock:
            for place, floor in self._floors.items():
                self._watches[place].state = floor.state()
            rows = [(*place, watch) for place, watch in self._watches.items()]
        return msgspec.json.encode(rows).decode()

    def restore(self, text: str | bytes) -> None:
        """Go on where `to_json` left off; mechanisms without a minimum are left out.

        Raises:
            ConfigurationError: it is something else.
        """
        try:
            rows = msgspec.json.decode(text, type=list[tuple[str, str, Watch]])
        except msgspec.MsgspecError as error:
            raise ConfigurationError(f"these are no saved guardrails: {error}") from error
        with self._lock:
            for mechanism, namespace, watch in rows:
                if mechanism not in self.minimums or (watch.step is not None and not 0 <= watch.step < len(self._ramp)):
                    continue
                place = (mechanism, namespace)
                self._watches[place] = watch
                if watch.state:
                    floor = Floor(self.minimums[mechanism])
                    floor.restore(watch.state)
                    self._floors[place] = floor
                if watch.off_until or watch.step is not None:
                    self._held[place] = watch

    def _place(self, mechanism: str, namespace: str) -> Place:
        place = (mechanism, namespace)
        return place if place in self._watches or len(self._watches) < WATCHED else (mechanism, "*")

    def _alarm(self, place: Place, watch: Watch) -> str:
        watch.off_until = self._clock() + self._pause * min(LONGEST, 2**watch.alarms)
        watch.alarms += 1
        watch.step = None
        self._floors.pop(place, None)
        watch.state = []
        self._held[place] = watch
        return "off"

    def _begin_ramp(self, mechanism: str, namespace: str, watch: Watch) -> None:
        with self._lock:
            if not watch.off_until or self._clock() < watch.off_until:
                return
            watch.off_until, watch.step = 0.0, 0
        self._tell(mechanism, namespace, "ramp")

    def _next_step(self, place: Place, watch: Watch) -> str:
        self._floors.pop(place, None)
        watch.state = []
        step = (watch.step or 0) + 1
        if step < len(self._ramp):
            watch.step = step
            return "ramp"
        watch.step = None
        self._held.pop(place, None)
        return "on"

    def _tell(self, mechanism: str, namespace: str, change: str) -> None:
        import logging

        where = f" in {namespace}" if namespace else ""
        level = logging.WARNING if change == "off" else logging.INFO
        logging.getLogger("resopt").log(level, "guardrail: %s%s is %s", mechanism, where, change)
        if self._on_change is not None:
            self._on_change(mechanism, namespace, change)
