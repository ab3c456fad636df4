"""The part of the pipeline between a miss and the provider: what is sent instead, and whether it may be sent.

Stages are asked in order, each given what the one before made of the request; then the gates, the last of which is the
nearest to the provider. A stage that fails is skipped and counted; a gate that fails closes.
"""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from resopt.errors import ConfigurationError, ResoptError
from resopt.gates import check_gates, enter, through
from resopt.stage import CUT_OFF, Capping, Prepared, Stage, Varying, Weighed, Weighing
from resopt.types import Billed, Detour, Request, Response, Step, Trace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from resopt.accounts import Accounts
    from resopt.gates import Passes
    from resopt.stage import Cap, Gate

MOST_ATTEMPTS = 4
"""Calls for one answer at most, however often stages want to ask again."""


class Journey:
    """One request on its way: what is sent for it now, and what that has cost so far.

    Attributes:
        request: what is sent.
        steps: what the stages decided.
        cap: a limit to the answer's length that a stage has set.
    """

    __slots__ = ("also", "asked", "cap", "mechanism", "replayed", "request", "shortened", "steps")

    def __init__(self, request: Request) -> None:
        self.asked = self.request = request
        self.steps: tuple[Step, ...] = ()
        self.mechanism: str | None = None
        self.shortened = self.replayed = 0
        self.cap: Cap | None = None
        self.also: tuple[Billed, ...] = ()

    def take(self, prepared: Prepared, *, further: bool = False) -> None:
        """Send what a stage made of it; `further` is a call after the first."""
        other = prepared.request.model != self.request.model
        self.request = prepared.request
        if further and other:  # what one model's answers need says nothing of a stronger one's
            self.lift()
        self.cap = prepared.cap or self.cap
        self.steps = (*self.steps, prepared.step)
        self.mechanism = prepared.mechanism or self.mechanism
        self.shortened += prepared.shortened
        self.replayed += prepared.replayed

    def lift(self) -> None:
        """Send it without the limit that a stage has set."""
        if self.cap is not None:
            self.request, self.cap = self.cap.lifted(self.request), None

    def arrived(self, response: Response) -> Response:
        """The answer, which knows how the call differed from what was asked for, and what the stages did."""
        detour = response.detour
        if self.mechanism or self.shortened or self.also:
            own = Detour() if detour is None else detour
            detour = Detour(
                mechanism=self.mechanism or own.mechanism,
                shortened=self.shortened + own.shortened,
                replayed=self.replayed + own.replayed,
                discount=own.discount,
                also=(*self.also, *own.also),
            )
        if not self.steps and detour is response.detour:
            return response
        return msgspec.structs.replace(response, detour=detour, trace=Trace(steps=(*self.steps, *response.trace.steps)))


class Stages:
    """The stages and gates of one optimizer.

    Args:
        accounts: where stages that fail are counted.
        stages: in the order in which they are asked; None for those that there are not.
        gates: in the order in which they are passed.
        enabled: whether a stage, by name, takes part in a request; it always does when None.

    Raises:
        ConfigurationError: something is no stage or no gate.
    """

    def __init__(
        self,
        accounts: Accounts,
        stages: tuple[Stage | None, ...] = (),
        gates: tuple[Gate | None, ...] = (),
        enabled: Callable[[str, Request], bool] | None = None,
    ) -> None:
        self.stages = tuple(stage for stage in stages if stage is not None)
        self.gates = check_gates(gates)
        self._accounts = accounts
        self._enabled = enabled
        self._blocking = False
        for stage in self.stages:
            if not isinstance(stage, Stage):
                raise ConfigurationError(f"{type(stage).__name__} is no stage: see resopt.stage.Stage for what one has")

    @property
    def policy(self) -> tuple[str, ...]:
        """The versions of the stages' settings, for keys."""
        return tuple(f"{stage.name}:{stage.policy}" for stage in self.stages)

    @property
    def vary(self) -> Callable[[Request], tuple[str, ...]] | None:
        """What circumstances beside the request can change its answer, by the stages that know of any, for keys.

        A stage says so by `vary(request)`, empty when nothing is out of the ordinary; None when no stage has that.
        """
        known = [(stage.name, stage.vary) for stage in self.stages if isinstance(stage, Varying)]
        if not known:
            return None

        def varied(request: Request) -> tuple[str, ...]:
            said = ((name, vary(request)) for name, vary in known)
            return tuple(f"{name} {circumstances}" for name, circumstances in said if circumstances)

        return varied

    def blocking(self) -> Stages:
        """The same for callers that block."""
        twin = Stages(self._accounts, self.stages, (), self._enabled)
        twin.gates = tuple(gate.blocking() for gate in self.gates)
        twin._blocking = True
        return twin

    def switched(self, name: str, *, on: bool) -> Stages:
        """The same with one stage switched on, or off, for everybody."""
        twin, enabled = copy(self), self._enabled

        def switched(stage: str, request: Request) -> bool:
            return on if stage == name else enabled is None or enabled(stage, request)

        twin._enabled = switched  # noqa: SLF001 - of its own class
        return twin

    def prepare(self, request: Request) -> Journey:
        """What to send for a request."""
        journey = Journey(request)
        for stage in self._on(request):
            prepared = self._asked(stage.name, journey, stage.prepare, journey.request)
            if prepared is not None:
                journey.take(prepared)
        return journey

    async def call(self, request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        """Ask upstream by `call`, by way of all stages and gates."""
        if not self.stages and not self.gates:
            return await call(request)
        journey = self.prepare(request)
        response: Any = await self._once(journey, call)
        for _ in range(MOST_ATTEMPTS - 1):
            if not isinstance(response, Response) or not await self._again(journey, response):
                break
            try:
                response = await self._once(journey, call)
            except Exception as error:  # noqa: BLE001 - invariant 8: there is an answer, if not the best
                journey.also = journey.also[:-1]
                journey.steps = (*journey.steps, Step("provider", "failed", f"{type(error).__name__}: {error}"))
                break
        return journey.arrived(response) if isinstance(response, Response) else response

    async def _once(self, journey: Journey, call: Callable[[Request], Awaitable[Response]]) -> Any:
        response: Any = await self.gated(journey.request, partial(call, journey.request))
        if isinstance(response, Response):  # anything else is refused by who asked
            self.learn(journey, response)
        return response

    async def enter(self, request: Request) -> Passes:
        """Pass all gates, or none.

        Raises:
            ResoptError: a gate is closed to this request.
        """
        return await enter(self.gates, request, self._accounts.skip)

    async def gated(self, request: Request, call: Callable[[], Awaitable[Response]]) -> Response:
        """What `call()` comes to, once all gates let `request` pass; they are told what became of it."""
        return await through(self.gates, request, call, self._accounts.skip)

    def learn(self, journey: Journey, response: Response) -> None:
        """Let the stages take note of what came."""
        for stage in self._on(journey.asked):
            self._asked(stage.name, journey, stage.learn, journey.request, response)

    def ended(self, journey: Journey, response: Response) -> None:
        """Let the stages take note of a stream that has ended."""
        self.learn(journey, response)
        self._cut(journey, response)

    async def _again(self, journey: Journey, response: Response) -> bool:
        """Whether a stage wants to ask once more; then the journey has what."""
        name = self._cut(journey, response)
        if name is not None:
            journey.also = (*journey.also, Billed(name, response.model, response.usage))
            journey.lift()
            return True
        for stage in self._on(journey.asked):
            if isinstance(stage, Weighing):
                prepared = await self._weighed(stage, journey, response)
            else:
                prepared = self._asked(stage.name, journey, stage.again, journey.request, response)
            if prepared is not None:
                journey.also = (*journey.also, Billed(stage.name, response.model, response.usage))
                journey.take(prepared, further=True)
                return True
        return False

    def _cut(self, journey: Journey, response: Response) -> str | None:
        """The stage whose limit has cut an answer off, which is told; None when none has."""
        cap = journey.cap
        if cap is None or response.finish_reason not in CUT_OFF or journey.request.body.get(cap.field) != cap.tokens:
            return None
        for stage in self._on(journey.asked):
            if stage.name == cap.stage and isinstance(stage, Capping):
                step = self._asked(stage.name, journey, stage.cut, journey.request, cap)
                journey.steps = journey.steps if step is None else (*journey.steps, step)
        return cap.stage

    async def _weighed(self, stage: Any, journey: Journey, response: Response) -> Prepared | None:
        try:
            weighed: Weighed = await stage.weigh(journey.request, response, self.gates, blocking=self._blocking)
        except ConfigurationError:  # a mistake in the program
            raise
        except Exception as error:  # noqa: BLE001 - invariant 8: there is an answer, and it is paid for
            journey.steps = (*journey.steps, self._accounts.skip(stage.name, error))
            return None
        journey.also = (*journey.also, *weighed.billed)
        return weighed.prepared

    def _on(self, request: Request) -> tuple[Stage, ...]:
        enabled = self._enabled
        return self.stages if enabled is None else tuple(each for each in self.stages if enabled(each.name, request))

    def _asked(self, name: str, journey: Journey, ask: Callable[..., Any], *args: Any) -> Any:
        try:
            return ask(*args)
        except ResoptError:
            raise
        except Exception as error:  # noqa: BLE001 - invariant 8
            journey.steps = (*journey.steps, self._accounts.skip(name, error))
            return None


class Gated:
    """A provider behind the gates of a pipeline, for calls of resopt's own that no stage may change.

    Args:
        stages: whose gates.
        provider: who is asked.
    """

    def __init__(self, stages: Stages, provider: Any) -> None:
        self._stages, self._provider = stages, provider
        self.name: str = provider.name

    async def complete(self, request: Request) -> Response:
        """Ask, if the gates let it pass."""
        response: Response = await self._stages.gated(request, partial(self._provider.complete, request))
        return response
