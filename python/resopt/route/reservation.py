"""Money set aside for one call, and what becomes of it when the call has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resopt.errors import BudgetExceededError
from resopt.gates import unbilled

if TYPE_CHECKING:
    from typing import Self

    from resopt.route.budget import Budget
    from resopt.route.budget_accounts import Lease
    from resopt.types import Response


class Reservation:
    """Money set aside for one call: a context manager, and a ticket of the pipeline.

    Left without `settle` it is released when the call was never sent or was refused by the provider, and charged in
    full when it may have been billed: cut off, or without an answer.
    """

    __slots__ = ("_budget", "_lease", "_model", "_open")

    def __init__(self, budget: Budget, model: str, lease: Lease) -> None:
        self._budget, self._model, self._lease = budget, model, lease
        self._open = [True]

    @property
    def amount(self) -> int:
        """Picodollars set aside."""
        return self._lease.amount

    def send(self) -> None:
        """The call is made now: from here on it may be billed.

        Raises:
            BudgetExceededError: the reservation has expired.
        """
        if not self._budget.accounts.send(self._lease):
            raise BudgetExceededError("the reservation has expired: reserve again", limit="lease")

    def settle(self, response: Response | None = None, error: BaseException | None = None) -> None:
        """The call has ended: with an answer, an error, or neither when it was cut off. Only the first time counts."""
        if response is not None:
            cost = self._budget.cost(response.model, response.usage)
            cost = self._budget.cost(self._model, response.usage) if cost is None else cost
            if cost is not None and response.detour is not None:
                cost = discounted(cost, response.detour.discount)
            self.settle_cost(cost)
        else:
            self._settle_without(error, each=self._budget.attempts == 1)

    def _settle_without(self, error: BaseException | None, *, each: bool) -> None:
        self.settle_cost(0 if not self._lease.sent or unbilled(error, each=each) else None)

    def settle_cost(self, cost: int | None) -> None:
        """The same with the picodollars that the call did cost; None, unknown, charges what was set aside."""
        try:
            self._open.pop()
        except IndexError:
            return
        self._budget.accounts.settle(self._lease, self._lease.amount if cost is None else cost)

    def release(self) -> None:
        """Give everything back: nothing was billed."""
        self.settle_cost(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._settle_without(error, each=False)  # retries within the block asked for nothing


def discounted(amount: int, discount: int) -> int:
    """An amount with so many per cent off, rounded as the ledger does."""
    return amount - amount * discount // 100
