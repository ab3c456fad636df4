"""Budgets that hold: the worst case of every call is set aside before it is made, and settled when it has ended.

Who only counts what calls have cost finds out too late: sixty calls in the air at once have all seen the same balance.
Here a call that does not fit, or whose price or length nobody can bound, is not made: budgets fail closed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resopt.errors import BudgetExceededError, ConfigurationError
from resopt.route.budget_accounts import Accounts, Lease
from resopt.route.budget_limit import Dollars, Limit, picodollars
from resopt.route.budget_lines import Account, Line, resets_in
from resopt.route.budget_stage import Degrading
from resopt.route.reservation import Reservation, discounted
from resopt.route.worst_case import worst_usage
from resopt.types import EVERYONE, PICODOLLARS, Request, Scope

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Self

    from resopt.stage import Order
    from resopt.types import Usage

__all__ = ["Budget", "Limit", "Reservation"]

LONGEST: Final = 131_072
"""Tokens that an answer without a limit of its own is taken to have at most."""


class Budget:
    """Keeps what calls may cost within limits, however many callers there are at once. A gate of the pipeline.

    Pass it as the last of `AsyncOptimizer(gates=[…, budget])`, and `budget.stage` as the last of `stages` when a limit
    degrades; or use it by itself: `with budget.reserve(request) as reservation: …`. Works in threads, asyncio and trio;
    nothing in it waits. One budget may serve many optimizers of a process; processes do not share it.

    Args:
        *limits: all of which a call must fit.
        prices: a `PriceBook`, or anything with its `cost(model, usage)`.
        output_tokens: the longest answer of a request that sets no limit (`max_tokens`, …): for all, or by model.
        count: an exact counter of a request's input tokens; its bytes bound them when None.
        attempts: how many calls one request may be billed for, where something retries calls that broke off unseen. The
            retries of `OpenAIProvider` and of wrapped clients, hedges and second tries are held by themselves.
        unknown: dollars to set aside when the worst case cannot be known; None refuses such calls.
        degrade: cheaper models, the dearest first, of which the first that fits answers in place of the one asked for.
        lease: seconds after which a reservation that nobody settled is over; longer than any call.
        clock: Unix time in seconds.

    Raises:
        ConfigurationError: an argument makes no sense.
    """

    name: Final = "budget"

    def __init__(
        self,
        *limits: Limit,
        prices: Any,
        output_tokens: int | Mapping[str, int] = LONGEST,
        count: Callable[[Request], int] | None = None,
        attempts: int = 1,
        unknown: Dollars | None = None,
        degrade: Sequence[str] = (),
        lease: float = 900.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        _check(limits, prices, output_tokens, attempts, degrade)
        seconds: object = lease
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
            raise ConfigurationError(f"lease must be a number of seconds above 0, not {lease!r}")
        if count is not None and not callable(count):
            raise ConfigurationError(f"count must take a Request and return its tokens, not {type(count).__name__}")
        self.limits = limits
        self.degrade, self.attempts = tuple(degrade), attempts
        self.accounts = Accounts(clock, lease)
        self._requests = [limit for limit in limits if limit.per == "request"]
        self._standing = [limit for limit in limits if limit.per != "request"]
        self._prices = prices
        self._output_tokens, self._count = output_tokens, count
        self._unknown = None if unknown is None else picodollars(unknown)
        self._clock = clock

    def worst_case(self, request: Request) -> int | None:
        """Picodollars that a call costs at most; None when its price or its length is unknown."""
        amount = self._of_one(request)
        return self._unknown if amount is None else self.attempts * amount

    def _of_one(self, request: Request) -> int | None:
        """The same for one attempt, where it can be known."""
        usage = worst_usage(request, self._output_tokens, None if self._count is None else self._counted)
        if usage is None:
            return None
        written = msgspec.structs.replace(usage, cache_write_tokens=usage.input_tokens)
        costs = [self._prices.cost(request.model, each) for each in (usage, written)]
        known = [cost for cost in costs if cost is not None]
        return max(known) if len(known) == len(costs) else None

    def _counted(self, request: Request) -> int:
        try:
            tokens = None if self._count is None else self._count(request)
        except Exception as error:
            raise ConfigurationError(f"count={self._count!r} failed: {type(error).__name__}: {error}") from error
        if type(tokens) is not int or tokens < 0:
            raise ConfigurationError(f"count must return an int from 0 up, not {tokens!r}")
        return tokens

    def reserve(self, request: Request) -> Reservation:
        """Set the worst case of a call aside, in every account that it counts in, or in none.

        Raises:
            BudgetExceededError: it does not fit, or cannot be known.
        """
        return self._reserved(request.model, self.worst_case(request), request.scope, request.tags)

    def hold(self, request: Request, order: Order | None = None) -> Reservation:
        """As `reserve`, for a call that is made beside one under way, or as part of work that is answered later.

        Args:
            request: what is asked.
            order: of the work; None for one more call now. What is held for an order stays open as long as that may
                take, `save` writes it down, and whoever goes on with the work holds the same again, and settles it.

        Raises:
            BudgetExceededError: it does not fit, or cannot be known.
        """
        amount = self._of_one(request)  # each attempt asks for itself
        amount = self._unknown if amount is None else amount
        if order is None:
            reservation = self._reserved(request.model, amount, request.scope, request.tags)
            reservation.send()
            return reservation
        if amount is None and order.placed:
            amount = 0
        amount = None if amount is None else discounted(amount, order.discount)
        return self._reserved(request.model, amount, request.scope, request.tags, order)

    def held(self, key: str) -> Reservation | None:
        """What is held for an order of this name, and not settled; None when nothing is."""
        lease = self.accounts.held(key)
        return None if lease is None else Reservation(self, "", lease)

    def reserve_amount(
        self, amount: int, *, model: str = "", scope: Scope = EVERYONE, tags: Sequence[str] = ()
    ) -> Reservation:
        """Set an amount of picodollars aside, for what is no request: a batch, a tool, a search.

        Raises:
            BudgetExceededError: it does not fit.
        """
        if type(amount) is not int or amount < 0:
            raise ConfigurationError(f"amount must be picodollars, an int from 0 up, not {amount!r}")
        return self._reserved(model, amount, scope, tags)

    def refusal(self, request: Request) -> BudgetExceededError | None:
        """Why a call could not be made now; None when it could. Sets nothing aside."""
        amount = self.worst_case(request)
        refused = self._refused(amount)
        if refused is not None or amount is None:
            return refused
        limits, lines = self._lines(request.scope, request.tags)
        found = self.accounts.refused(lines, amount)
        return None if found is None else self._exceeded(limits[lines.index(found[0])], amount, *found)

    async def enter(self, request: Request) -> Reservation:
        """As `reserve`, for a call that is made at once: what the pipeline asks of a gate."""
        reservation = self.reserve(request)
        reservation.send()
        return reservation

    def blocking(self) -> Self:
        """Itself: nothing in it waits."""
        return self

    @property
    def stage(self) -> Degrading:
        """The stage of the pipeline that asks a cheaper model when the one asked for does not fit."""
        return Degrading(self)

    def balance(self, limit: Limit, *, scope: Scope = EVERYONE, tag: str | None = None) -> Account:
        """What one limit has spent and promised, in picodollars, for a user, tenant or tag."""
        lines = limit.lines(scope, () if tag is None else (tag,))
        if limit not in self._standing or not lines:
            raise ConfigurationError(f"this budget keeps no account of {limit} for that scope and tag")
        return self.accounts.balance(lines[0])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write down what is spent, and what is promised as spent, so that a restart forgets nothing."""
        target = Path(path)
        draft = target.with_name(target.name + ".new")
        draft.write_bytes(self.accounts.dump())
        draft.replace(target)

    def load(self, path: str | os.PathLike[str]) -> bool:
        """Add what `save` wrote; False when there is no such file.

        Raises:
            ConfigurationError: the file is damaged: what was spent is unknown, and to begin at zero is for you to say.
        """
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError:
            return False
        self.accounts.restore(data)
        return True

    def cost(self, model: str, usage: Usage | None) -> int | None:
        """Picodollars that an answer cost; None when unknown."""
        cost: int | None = None if usage is None else self._prices.cost(model, usage)
        return cost

    def _reserved(
        self, model: str, amount: int | None, scope: Scope, tags: Sequence[str], order: Order | None = None
    ) -> Reservation:
        placed = order is not None and order.placed
        refused = None if placed else self._refused(amount)
        if refused is not None or amount is None:
            raise refused or BudgetExceededError("the worst case is unknown")
        limits, lines = self._lines(scope, tags)
        key, seconds = ("", 0.0) if order is None else (order.key, order.seconds)
        lease = self.accounts.promise(lines, amount, key=key, seconds=seconds, placed=placed)
        if isinstance(lease, Lease):
            return Reservation(self, model, lease)
        raise self._exceeded(limits[lines.index(lease[0])], amount, *lease)

    def _refused(self, amount: int | None) -> BudgetExceededError | None:
        """What speaks against a call by itself, whatever others have spent."""
        if amount is None:
            return BudgetExceededError(
                "nobody can say what this call may cost: its model has no price, or its length no bound; give prices, "
                "set max_tokens, or say Budget(unknown=dollars to set aside)",
                limit="known worst case",
                over=next((limit.over for limit in self.limits), "reject"),
            )
        for limit in self._requests:
            most = picodollars(limit.dollars)
            if amount > most:
                return self._exceeded(limit, amount, None, most)
        return None

    def _exceeded(self, limit: Limit, amount: int, line: Line | None, left: int) -> BudgetExceededError:
        ends = None if line is None else resets_in(line.window, self._clock())
        return BudgetExceededError(
            f"the budget of {limit} has ${left / PICODOLLARS:.6f} left, and this call may cost "
            f"${amount / PICODOLLARS:.6f}" + ("" if ends is None else f"; it begins anew in {ends:.0f} s"),
            limit=str(limit),
            over=limit.over,
            wanted=amount,
            remaining=left,
            resets_in=ends,
        )

    def _lines(self, scope: Scope, tags: Sequence[str]) -> tuple[list[Limit], list[Line]]:
        pairs = [(limit, line) for limit in self._standing for line in limit.lines(scope, tags)]
        return [limit for limit, _ in pairs], [line for _, line in pairs]


def _check(limits: object, prices: object, output_tokens: object, attempts: object, degrade: Any) -> None:
    if not isinstance(limits, tuple) or not limits or not all(isinstance(limit, Limit) for limit in limits):
        raise ConfigurationError("a budget needs limits: Budget(Limit(5, per='user', window='day'), prices=…)")
    if not callable(getattr(prices, "cost", None)):
        raise ConfigurationError(f"prices must be a PriceBook, not {type(prices).__name__}")
    longest: list[object] = list(output_tokens.values()) if isinstance(output_tokens, Mapping) else [output_tokens]
    if not all(type(tokens) is int and tokens > 0 for tokens in (*longest, attempts)):
        raise ConfigurationError("output_tokens and attempts must be ints above 0")
    named = isinstance(degrade, Sequence) and all(isinstance(model, str) and model for model in degrade)
    if isinstance(degrade, str) or not named:
        raise ConfigurationError(f"degrade must be the names of cheaper models, not {degrade!r}")
