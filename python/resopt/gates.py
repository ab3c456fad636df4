"""Passing the gates: all of them or none, and every ticket settled once, whatever became of the call.

The pipeline passes them, and what makes calls without a pipeline: a router by itself, a cascade, a judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from resopt.errors import BudgetExceededError, ConfigurationError, DeadlineError, QueueFullError, ResoptError
from resopt.stage import Gate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from resopt.stage import Ticket
    from resopt.types import Request, Response


TURNED_AWAY: Final = (BudgetExceededError, QueueFullError, DeadlineError)
"""What gates say no with."""


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
        passes.settle(None, ResoptError("another gate was closed, or nobody waited: the call was never made"))
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
    passes = await enter(gates, request, _logged if skip is None else skip)
    try:
        response = await call()
    except BaseException as error:
        passes.settle(None, error)
        raise
    passes.settle(response, None)
    return response


def _logged(name: str, error: Exception) -> None:
    import logging

    logging.getLogger("resopt").error("gate %s could not be told what became of a call", name, exc_info=error)
