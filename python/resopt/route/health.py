"""Which models are well: one that keeps failing rests for a while, alone, and the first success ends that.

Health is kept per model, so a tier that fails takes no other with it, and every attempt counts, whoever made it. In
the pipeline it is a gate that lets everything pass and watches: `AsyncOptimizer(…, gates=[router.health])`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from resopt.errors import AuthenticationError, BadRequestError, ConfigurationError, ProviderError, RateLimitError
from resopt.route.tier import is_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from resopt.types import Request, Response

_LONGEST = 600.0
_MOST = 1_000
"""Models that are remembered, those that failed last; who makes up names fills no memory."""


class _State(msgspec.Struct):
    failures: int = 0
    rests: int = 0
    until: float = 0.0


class Health:
    """Counts failures by model.

    Args:
        failures: failures in a row after which a model rests.
        rest: seconds it rests the first time; each further time twice as long, up to ten minutes.
        clock: seconds, monotonic.

    Raises:
        ConfigurationError: a number is out of range.
    """

    name = "health"

    def __init__(self, *, failures: int = 3, rest: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        if type(failures) is not int or failures < 1:
            raise ConfigurationError(f"failures must be a whole number above 0, not {failures!r}")
        if not is_seconds(rest) or rest > _LONGEST:
            raise ConfigurationError(f"rest must be seconds above 0 and up to {_LONGEST:g}, not {rest!r}")
        self._failures, self._rest, self._clock = failures, float(rest), clock
        self._states: OrderedDict[str, _State] = OrderedDict()
        self._latest = 0.0
        """When the last rest that was taken ends; 0 when none was since all were well."""
        self._lock = threading.Lock()

    @property
    def is_clear(self) -> bool:
        """Whether no model has failed lately."""
        return not self._states

    @property
    def any_resting(self) -> bool:
        """Whether a model rests now."""
        return self._latest > 0.0 and self._latest > self._clock()

    def resting(self, model: str) -> bool:
        """Whether a model is left alone now; when its rest is over it is tried again."""
        state = self._states.get(model)
        return state is not None and state.until > self._clock()

    def succeeded(self, model: str) -> None:
        """A call to a model went well: everything before is forgotten."""
        if model in self._states:
            with self._lock:
                self._states.pop(model, None)
                self._latest = max((state.until for state in self._states.values()), default=0.0)

    def failed(self, model: str, error: BaseException | None = None) -> None:
        """A call to a model failed. What is the request's own fault does not count against the model.

        Args:
            model: the model that was asked.
            error: what was raised; a rate limit makes it rest at once, for as long as the provider says.
        """
        if isinstance(error, BadRequestError | ConfigurationError):
            return
        with self._lock:
            state = self._states.setdefault(model, _State())
            self._states.move_to_end(model)
            if len(self._states) > _MOST:
                self._states.popitem(last=False)
            state.failures += 1
            at_once = isinstance(error, RateLimitError | AuthenticationError)
            if at_once or state.failures >= self._failures or state.rests:
                wait = min(_LONGEST, self._rest * 2.0**state.rests)
                asked = getattr(error, "retry_after", None)
                state.until = self._clock() + (min(_LONGEST, max(wait, asked)) if asked else wait)
                state.rests = min(state.rests + 1, 10)
                state.failures = 0
                self._latest = max(self._latest, state.until)

    async def enter(self, request: Request) -> Watch:
        """Let a request pass and watch what becomes of it."""
        return Watch(self, request.model)

    def blocking(self) -> Health:
        """Itself: it never waits."""
        return self


class Watch:
    """Leave to make one call, whose end is watched."""

    __slots__ = ("_health", "_model")

    def __init__(self, health: Health, model: str) -> None:
        self._health, self._model = health, model

    def settle(self, response: Response | None, error: BaseException | None) -> None:
        """Count how the call ended; one that was cut off says nothing."""
        if response is not None:
            self._health.succeeded(self._model)
        elif isinstance(error, ProviderError):
            self._health.failed(self._model, error)
