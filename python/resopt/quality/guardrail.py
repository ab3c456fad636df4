"""Mechanisms that are switched off when their quality falls, and come back step by step.

A guardrail watches every score of a mechanism in a namespace by bets against "it is good enough" (`_core.Floor`): the
chance that it is ever switched off although it is good enough is at most `alpha`, however long it is watched. Once off
it stays off for a while and then serves a growing share of units again, with a new watch at each step.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import msgspec

from resopt._core import Floor, KeySpace
from resopt.errors import ConfigurationError
from resopt.once import Once
from resopt.ramp import check_between, check_callable, check_count, check_ramp, is_number
from resopt.sealed import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resopt.quality.signals import Decision

Place: TypeAlias = tuple[str, str | None]
"""A mechanism, and a namespace; None is all namespaces that have no watch of their own."""

WATCHED: Final = 10_000
"""Mechanisms in namespaces watched at most: callers choose names of namespaces. The others share one watch each."""

SWITCH: Final = {"exact": "cache", "folded": "cache", "budget": "degrade"}
"""What switches a mechanism, where that has another name; a stage switches the mechanism of its own name."""

BUILT_IN: Final = frozenset({"cache", "semantic", "rewrite", "route", "prompt", "degrade"})
"""The switches that pipelines may have without stages of one's own."""

VERSION: Final = 1
"""Of what is saved; what was saved before had none."""

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
    step: Annotated[int, msgspec.Meta(ge=0)] | None = None
    off_until: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    alarms: Annotated[int, msgspec.Meta(ge=0)] = 0


class Saved(msgspec.Struct, forbid_unknown_fields=True):
    """All watches, and the decisions that were counted."""

    watches: list[tuple[str, str | None, Watch]]
    counted: list[str]


class Guardrails:
    """Least scores by mechanism, such as `Guardrails({"semantic": 0.9, "route": 0.85})`.

    Mechanisms are `cache` (answers found again under their own key: `exact` and `folded`, which may be named apart and
    share the switch), `semantic`, `rewrite`, `route`, `prompt`, `budget` (degraded to a cheaper model) and stages of
    your own, by name. An optimizer refuses names that nothing in it switches.

    Args:
        minimums: least mean score, between 0 and 1, by mechanism.
        alpha: chance that a mechanism which is good enough is ever switched off, for each namespace.
        ramp: per cent of units that are served again, step by step.
        per_step: scores without an alarm before the next step.
        pause: seconds between an alarm and the first step; doubled with each further alarm.
        on_change: called with mechanism, namespace (None for those beyond `WATCHED`, which share a watch) and what has
            become of it: `off`, `ramp` or `on`.
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
        on_change: Callable[[str, str | None, str], Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        given: Any = minimums
        if not isinstance(given, Mapping) or not all(isinstance(name, str) and name for name in given):
            raise ConfigurationError(f"minimums must map mechanisms to least scores, not be {given!r}")
        for mechanism, minimum in given.items():
            check_between(f"the minimum of {mechanism!r}", minimum, 0, 1)
        check_between("alpha", alpha, 0, 1)
        check_count("per_step", per_step)
        if not is_number(pause) or pause < 0:
            raise ConfigurationError(f"pause must be seconds from 0 up, not {pause!r}")
        check_callable("on_change", on_change)
        self.minimums = {name: float(minimum) for name, minimum in given.items()}
        self._alpha, self._ramp, self._per_step, self._pause = alpha, check_ramp(ramp), per_step, pause
        self._by_switch: dict[str, tuple[str, ...]] = {}
        for name in self.minimums:
            switch = SWITCH.get(name, name)
            self._by_switch[switch] = (*self._by_switch.get(switch, ()), name)
        self._on_change, self._clock = on_change, clock
        self._watches: dict[Place, Watch] = {}
        self._floors: dict[Place, Floor] = {}
        self._held: dict[Place, Watch] = {}  # those that do not serve everyone: empty in good times
        self._counted = Once()
        self._lock = threading.Lock()

    @property
    def switches(self) -> tuple[str, ...]:
        """What the mechanisms are switched by: stages of the pipeline, and parts of the cache."""
        return tuple(self._by_switch)

    def allows(self, mechanism: str, namespace: str = "", unit: str = "") -> bool:
        """Whether a mechanism, or what switches it, may serve a unit (a user, mostly) in a namespace now."""
        if not self._held:
            return True
        names = self._by_switch.get(SWITCH.get(mechanism, mechanism), ())
        return all(self._allows(name, namespace, unit) for name in names)

    def _allows(self, mechanism: str, namespace: str, unit: str) -> bool:
        place = self._place(mechanism, namespace)
        watch = self._held.get(place)
        if watch is None:
            return True
        if watch.off_until:
            if self._clock() < watch.off_until:
                return False
            self._begin_ramp(place, watch)
        step = watch.step
        share = 100.0 if step is None else self._ramp[step]
        return int.from_bytes(_BUCKET((mechanism, namespace, unit))[:8], "little") % _BUCKETS < share * _BUCKETS / 100

    def score(self, decision: Decision, score: float) -> None:
        """Count the first score, 0 to 1, of an answer that a mechanism had a part in; a later one is not counted."""
        named = {name for each in decision.mechanisms for name in (each, SWITCH.get(each, each))}
        watched = sorted(named & self.minimums.keys())
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
        return tuple(sorted(mechanism + _where(namespace) for mechanism, namespace in list(self._held)))

    def to_json(self) -> str:
        """What is watched, how it stands, and which decisions were counted; with a checksum."""
        with self._lock:
            for place, floor in self._floors.items():
                self._watches[place].state = floor.state()
            saved = Saved([(*place, watch) for place, watch in self._watches.items()], self._counted.names())
            return seal(saved, VERSION)

    def restore(self, text: str | bytes) -> None:
        """Go on where `to_json` left off; mechanisms without a minimum are left out.

        Raises:
            ConfigurationError: it is something else, damaged, or of another version; then nothing is changed.
        """
        saved = unseal(text, Saved, VERSION, "saved guardrails")
        watches: dict[Place, Watch] = {}
        floors: dict[Place, Floor] = {}
        for mechanism, namespace, watch in saved.watches:
            if mechanism not in self.minimums:
                continue
            if watch.step is not None:  # the ramp may have been longer
                watch.step = min(watch.step, len(self._ramp) - 1)
            place = (mechanism, namespace)
            watches[place] = watch
            if watch.state:
                floors[place] = Floor(self.minimums[mechanism])
                floors[place].restore(watch.state)
        with self._lock:
            self._watches, self._floors = watches, floors
            held = {place: watch for place, watch in watches.items() if watch.off_until or watch.step is not None}
            self._held = held
            self._counted.restore(saved.counted)

    def _place(self, mechanism: str, namespace: str) -> Place:
        """The watch that a namespace is under: its own, or the one of all that came too late to get their own."""
        place = (mechanism, namespace)
        return place if place in self._watches or len(self._watches) < WATCHED else (mechanism, None)

    def _alarm(self, place: Place, watch: Watch) -> str:
        watch.off_until = self._clock() + self._pause * min(LONGEST, 2**watch.alarms)
        watch.alarms += 1
        watch.step = None
        self._floors.pop(place, None)
        watch.state = []
        self._held[place] = watch
        return "off"

    def _begin_ramp(self, place: Place, watch: Watch) -> None:
        with self._lock:
            if not watch.off_until or self._clock() < watch.off_until:
                return
            watch.off_until, watch.step = 0.0, 0
        self._tell(*place, "ramp")

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

    def _tell(self, mechanism: str, namespace: str | None, change: str) -> None:
        import logging

        level = logging.WARNING if change == "off" else logging.INFO
        logging.getLogger("resopt").log(level, "guardrail: %s%s is %s", mechanism, _where(namespace), change)
        if self._on_change is not None:
            self._on_change(mechanism, namespace, change)


def _where(namespace: str | None) -> str:
    return " in the other namespaces" if namespace is None else f" in {namespace}" if namespace else ""
