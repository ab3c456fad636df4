"""What a stage of the pipeline is, and what a gate: the two ways in which a room takes part in a call upstream.

A stage changes what is sent (another model, a shorter prompt); a gate decides whether and when it may be sent (limits,
budgets). Rooms implement these protocols without importing anything of the pipeline; `resopt.stages` runs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import msgspec

from resopt.types import Billed, Request, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resopt.types import Response


CUT_OFF: Final = frozenset({"length", "max_tokens", "max_output_tokens", "incomplete"})
"""Finish reasons of answers that a limit of tokens cut off."""


class Cap(msgspec.Struct, frozen=True):
    """A limit to the answer's length that a stage has set: it goes when it cuts, or when another model is asked.

    Attributes:
        stage: who set it.
        field: where it stands in the body.
        tokens: how long the answer may be.
        own: what the caller had there; None for nothing.
        template: what the stage knows the request by.
    """

    stage: str
    field: str
    tokens: int
    own: Any = None
    template: bytes = b""

    def lifted(self, request: Request) -> Request:
        """The request without it, where it still has it."""
        if request.body.get(self.field) != self.tokens:
            return request
        body = {name: value for name, value in request.body.items() if name != self.field}
        if self.own is not None:
            body[self.field] = self.own
        return msgspec.structs.replace(request, body=body)


class Prepared(msgspec.Struct, frozen=True):
    """What a stage made of a request.

    Attributes:
        request: what to send in its place; only the body may differ, and it must be a new dict where it does: bodies
            are the callers'.
        step: the decision, for the trace.
        mechanism: to what the difference in price is put down, when another model is asked than the caller did.
        shortened: input tokens that are not sent.
        replayed: how many of those are of earlier turns, or of what every call begins with.
        cap: a limit to the answer's length that the caller did not set.
    """

    request: Request
    step: Step
    mechanism: str | None = None
    shortened: int = 0
    replayed: int = 0
    cap: Cap | None = None


@runtime_checkable
class Stage(Protocol):
    """Something that may change what is sent upstream. Called for misses only, in the order of the pipeline.

    A stage must not wait and must be safe to call from many threads. What it raises skips it (invariant 8), unless it
    is a `ResoptError`, which reaches the caller.
    """

    @property
    def name(self) -> str:
        """Short name for traces and reports: `route`, `prompt`."""
        ...

    @property
    def policy(self) -> str:
        """Version of the settings that can change an answer; part of every key, so that a change starts clean."""
        ...

    def prepare(self, request: Request) -> Prepared | None:
        """What to send in place of `request`; None to leave it as it is."""
        ...

    def again(self, request: Request, response: Response) -> Prepared | None:
        """What to ask once more because `response` will not do; None to be content. Never asked of a stream.

        Args:
            request: what was sent.
            response: what came.
        """
        ...

    def learn(self, request: Request, response: Response) -> None:
        """Take note of what came for what was sent."""
        ...


@runtime_checkable
class Varying(Protocol):
    """A stage whose choice depends on more than request and policy, such as what the running code wishes for."""

    def vary(self, request: Request) -> str:
        """Those circumstances, for the key; empty when they are the ordinary ones. Called for every request."""
        ...


class Weighed(msgspec.Struct, frozen=True):
    """What came of looking closely at an answer.

    Attributes:
        prepared: what to ask once more; None to be content.
        billed: the calls that looking took.
    """

    prepared: Prepared | None = None
    billed: tuple[Billed, ...] = ()


@runtime_checkable
class Weighing(Protocol):
    """A stage that may wait, as for a judge, before it says whether to ask again. Called in place of `again`."""

    async def weigh(self, request: Request, response: Response, gates: Sequence[Gate], *, blocking: bool) -> Weighed:
        """What `again` is for, where there is time.

        Args:
            request: what was sent.
            response: what came.
            gates: what every call that this takes must pass.
            blocking: whether the caller has no event loop; then nothing may suspend.
        """
        ...


@runtime_checkable
class Capping(Protocol):
    """A stage that sets a `Cap`. What that cut off is asked for once more without it, before others judge it."""

    def cut(self, request: Request, cap: Cap) -> Step:
        """Take note that the cap cut an answer off, and say so; a stream cannot be asked for again.

        Args:
            request: what was sent.
            cap: the limit.
        """
        ...


@runtime_checkable
class Ticket(Protocol):
    """Leave to make one call, to be settled exactly once, whatever became of it."""

    def settle(self, response: Response | None, error: BaseException | None) -> None:
        """The call has ended: with an answer, an error, or neither when it was cut off. Must not wait."""
        ...


@runtime_checkable
class Gate(Protocol):
    """Something that every call upstream must pass: a budget, a rate limit. What it raises reaches the caller."""

    @property
    def name(self) -> str:
        """Short name for traces and reports: `budget`, `limits`."""
        ...

    async def enter(self, request: Request) -> Ticket:
        """Wait until `request`, as it will be sent, may be sent.

        Raises:
            ResoptError: it may not be.
        """
        ...

    def blocking(self) -> Gate:
        """The same gate, with the same counts, whose `enter` blocks instead of suspending."""
        ...


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Work whose answer comes later, perhaps to another process.

    Attributes:
        key: its name, the same in every process: what is set aside under it is set aside once.
        seconds: how long it may take.
        discount: per cent off the list price.
        placed: it was agreed to before: it counts, whether it fits or not.
    """

    key: str
    seconds: float
    discount: int = 0
    placed: bool = False


@runtime_checkable
class Holding(Protocol):
    """A gate that keeps accounts of money: it can set some aside for a call that is not made through it now."""

    def hold(self, request: Request, order: Order | None = None) -> Ticket:
        """Set the worst case of a call aside. Must not wait.

        Args:
            request: what is asked.
            order: of work that is answered later; None for a call that is made at once, beside one under way.

        Raises:
            ResoptError: it does not fit.
        """
        ...

    def held(self, key: str) -> Ticket | None:
        """What is held for the order of this name and not settled yet, in this process or by what it loaded."""
        ...
