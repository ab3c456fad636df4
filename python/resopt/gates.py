"""Passing the gates: all of them or none, and every ticket settled once, whatever became of the call.

The pipeline passes them, and what makes calls without a pipeline: a router by itself, a cascade, a judge.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from resopt.errors import (
    BudgetExceededError,
    ConfigurationError,
    DeadlineError,
    ProviderConnectionError,
    ProviderError,
    QueueFullError,
    ResoptError,
)
from resopt.stage import Gate, Holding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from resopt.stage import Order, Ticket
    from resopt.types import Request, Response


TURNED_AWAY: Final = (BudgetExceededError, QueueFullError, DeadlineError)
"""What gates say no with."""

BILLED_ALL_THE_SAME: Final = frozenset({408, 504, 524})
"""Refusals by a clock somewhere on the way, which the model may have outrun."""

NEVER_SENT: Final = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})
"""What httpx and httpx2 raise before a connection is there: nothing can have been billed."""


class _UnderWay:
    """A call that has passed the gates, while it is made; tasks begun meanwhile may outlast it."""

    __slots__ = ("gates", "over", "request", "skip")

    def __init__(self, gates: Sequence[Gate], request: Request, skip: Callable[[str, Exception], Any]) -> None:
        self.gates, self.request, self.skip = gates, request, skip
        self.over = False


_under_way: ContextVar[_UnderWay | None] = ContextVar("resopt_under_way", default=None)


def check_gates(gates: Iterable[Any]) -> tuple[Gate, ...]:
    """The gates that there are; None is none.

    Raises:
        ConfigurationError: something is no gate.
    """
    given = tuple(gate for gate in gates if gate is not None)
    for gate in given:
        if not isinstance(gate, Gate):
            raise ConfigurationError(f"{type(gate).__name__} is no gate: see resopt.stage.Gate for what one has")
    return given


class Passes:
    """The tickets of one call.

    Args:
        skip: called as `skip(gate's name, error)` when a ticket could not be settled.
    """

    __slots__ = ("_skip", "tickets")

    def __init__(self, skip: Callable[[str, Exception], Any]) -> None:
        self._skip = skip
        self.tickets: list[tuple[str, Ticket]] = []

    def first_chunk(self, seconds: float) -> None:
        """Tell the gates that want to know how long a stream took to begin; length does not confound that."""
        for name, ticket in self.tickets:
            tell = getattr(ticket, "first_chunk", None)
            try:
                if tell is not None:
                    tell(seconds)
            except Exception as failure:  # noqa: BLE001 - the stream goes on
                self._skip(name, failure)

    def give_back(self) -> None:
        """The call is not made after all."""
        self.settle(None, ResoptError("another gate was closed, or nobody waited: the call was never made"))

    def settle(self, response: Response | None, error: BaseException | None) -> None:
        """Settle each ticket once; what one raises is counted and hurts no other."""
        tickets, self.tickets = self.tickets, []
        for name, ticket in reversed(tickets):
            try:
                ticket.settle(response, error)
            except Exception as failure:  # noqa: BLE001 - the call is over, and the answer may be there
                self._skip(name, failure)


async def enter(gates: Sequence[Gate], request: Request, skip: Callable[[str, Exception], Any]) -> Passes:
    """Pass all gates, or none.

    Raises:
        ResoptError: a gate is closed to this request.
    """
    passes = Passes(skip)
    try:
        for gate in gates:
            passes.tickets.append((gate.name, await gate.enter(request)))
    except BaseException:
        passes.give_back()
        raise
    return passes


async def through(
    gates: Sequence[Gate],
    request: Request,
    call: Callable[[], Awaitable[Response]],
    skip: Callable[[str, Exception], Any] | None = None,
) -> Response:
    """What `call()` comes to, once all gates let `request` pass; they are told what became of it.

    Raises:
        ResoptError: a gate is closed to this request.
        Exception: what the call raised.
    """
    skip = _logged if skip is None else skip
    passes = await enter(gates, request, skip)
    try:
        with making(gates, request, skip):
            response = await call()
    except BaseException as error:
        passes.settle(None, error)
        raise
    passes.settle(response, None)
    return response


@contextmanager
def making(gates: Sequence[Gate], request: Request, skip: Callable[[str, Exception], Any]) -> Iterator[None]:
    """The call that has passed is made in this block: whoever makes it again asks for `one_more`."""
    if not gates:  # it is part of what passed further out, if anything did
        yield
        return
    under_way = _UnderWay(gates, request, skip)
    token = _under_way.set(under_way)
    try:
        yield
    finally:
        under_way.over = True
        _under_way.reset(token)


def hold(
    gates: Iterable[Gate],
    request: Request,
    order: Order | None = None,
    skip: Callable[[str, Exception], Any] | None = None,
) -> Passes:
    """Have money set aside by all gates that keep accounts of it, or by none. Nothing waits.

    Raises:
        ResoptError: it does not fit.
    """
    passes = Passes(_logged if skip is None else skip)
    try:
        for gate in gates:
            if isinstance(gate, Holding):
                passes.tickets.append((gate.name, gate.hold(request, order)))
    except BaseException:
        passes.give_back()
        raise
    return passes


def held(gates: Iterable[Gate], key: str) -> Passes | None:
    """What gates hold for an order and nobody has settled; None when it is nothing."""
    passes = Passes(_logged)
    for gate in gates:
        ticket = gate.held(key) if isinstance(gate, Holding) else None
        if ticket is not None:
            passes.tickets.append((gate.name, ticket))
    return passes if passes.tickets else None


def one_more() -> Passes:
    """Leave to make the call under way once more: it may be billed twice. Nothing is held where no gate was passed.

    Whoever asks settles what comes back with what became of one of the two calls, and returns the other.

    Raises:
        BudgetExceededError: a second call does not fit.
    """
    under_way = _under_way.get()
    if under_way is None or under_way.over:
        return Passes(_logged)
    try:
        return hold(under_way.gates, under_way.request, skip=under_way.skip)
    except BudgetExceededError as error:
        error.again = True
        raise
    except ResoptError as error:
        refused = BudgetExceededError(f"a further attempt may not be made: {error}")
        refused.again = True
        raise refused from error


def charge_again(response: Any) -> None:
    """A client library is about to make the call under way again: what it made may be billed.

    Args:
        response: what it got, with a `status_code`; None when it got none, and the error is being handled.

    Raises:
        BudgetExceededError: a further call does not fit.
    """
    billed = not _never_sent(sys.exc_info()[1]) if response is None else response.status_code in BILLED_ALL_THE_SAME
    if billed:
        one_more().settle(None, None)


def unbilled(error: BaseException | None, *, each: bool = True) -> bool:
    """Whether an error says that the call cost nothing: the provider refused it, or it never got there.

    Args:
        error: of the last attempt; None when the call was cut off.
        each: every attempt before the last has been charged by itself.
    """
    if isinstance(error, BudgetExceededError) and error.again:
        return False
    alone = each or (isinstance(error, ProviderConnectionError) and error.attempts == 1)
    if _never_sent(error) if alone else type(error).__name__ in NEVER_SENT:
        return True
    status = getattr(error, "status", None)
    status = getattr(error, "status_code", None) if status is None else status
    if isinstance(status, int):
        return status >= 400 and status not in BILLED_ALL_THE_SAME
    return isinstance(error, ResoptError) and not isinstance(error, ProviderError)


def _never_sent(error: BaseException | None) -> bool:
    """Whether an error comes of one of those that say that no connection was there."""
    while error is not None and type(error).__name__ not in NEVER_SENT:
        error = error.__cause__
    return error is not None


def _logged(name: str, error: Exception) -> None:
    import logging

    logging.getLogger("resopt").error("gate %s could not be told what became of a call", name, exc_info=error)
