"""What budgets have spent and promised: integers behind one lock, in windows that only move forward.

Every change is a few operations on ints and dicts; nothing waits, so threads, tasks of asyncio and of trio use the same
accounts.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from typing import TYPE_CHECKING, Final

import msgspec

from resopt.route import budget_saved
from resopt.route.budget_lines import Account, Line, Place, window_of
from resopt.route.budget_saved import SavedBudget, SavedOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SWEEP: Final = 10_000
"""Accounts held before those of past windows are dropped."""

KEPT: Final = 90 * 86_400.0
"""Seconds after which nobody puts a charge right any more."""


class Lease(msgspec.Struct):
    """A promise to one call: `sent` once the call may be billed, `charged` with the windows once it has expired so.

    One with a `key` is of work that outlives its process: it is found by that name until it is settled.
    """

    number: int
    amount: int
    lines: tuple[Line, ...]
    ends: float
    key: str = ""
    sent: bool = False
    settled: bool = False
    charged: tuple[int, ...] | None = None


class Accounts:
    """All balances of one budget.

    Args:
        clock: Unix time in seconds.
        lease: seconds after which a promise that nobody settled is taken back, or charged when its call was sent.

    Attributes:
        overruns: settlements above what was promised: the worst case was not the worst.
        expired: promises that nobody settled in time.
    """

    def __init__(self, clock: Callable[[], float], lease: float) -> None:
        self._clock = clock
        self._lease = lease
        self._lock = threading.Lock()
        self._balances: dict[Place, Account] = {}
        self._leases: dict[int, Lease] = {}
        self._orders: dict[str, Lease] = {}
        self._ends: list[tuple[float, int]] = []
        self._numbers = itertools.count(1)
        self._sweep_at = SWEEP
        self.overruns = 0
        self.expired = 0

    def promise(
        self, lines: Sequence[Line], amount: int, *, key: str = "", seconds: float = 0.0, placed: bool = False
    ) -> Lease | tuple[Line, int]:
        """Promise `amount` out of every account, or of none.

        Args:
            lines: the accounts.
            amount: picodollars.
            key: the name of work that outlives its process, and may be billed from now on; what is promised to it
                already is not promised again.
            seconds: how much longer than other promises it may stay open.
            placed: promise it whether it fits or not.

        Returns:
            The promise, or the first account that it does not fit, with what is left there.
        """
        with self._lock:
            now = self._clock()
            self._expire(now)
            if key in self._orders:
                return self._orders[key]
            refused = self._refused(lines, amount, now)
            if refused is not None and not placed:
                return refused
            distinct = {line.place: line for line in lines}  # two limits may look at one account
            ends = now + seconds + self._lease
            return self._open(Lease(0, amount, tuple(distinct.values()), ends, key, sent=bool(key)), now)

    def refused(self, lines: Sequence[Line], amount: int) -> tuple[Line, int] | None:
        """The first account that `amount` does not fit now, with what is left there; None when it fits all."""
        with self._lock:
            now = self._clock()
            self._expire(now)
            return self._refused(lines, amount, now)

    def send(self, lease: Lease) -> bool:
        """The promised call is about to be made; False when the promise was taken back meanwhile."""
        with self._lock:
            self._expire(self._clock())
            if lease.number not in self._leases:
                return False
            lease.sent = True
            return True

    def settle(self, lease: Lease, cost: int) -> None:
        """Turn a promise into what was spent, once. One that has expired and was charged is put right."""
        with self._lock:
            if lease.settled:
                return
            lease.settled = True
            now = self._clock()
            alive = self._leases.pop(lease.number, None) is not None
            self._orders.pop(lease.key, None)
            self.overruns += cost > lease.amount
            for place, line in enumerate(lease.lines):
                account = self._account(line, now)
                if alive:
                    account.promised -= lease.amount
                    account.spent += cost
                elif lease.charged is None:  # it had expired before it was sent
                    account.spent += cost
                elif lease.charged[place] == account.window:
                    account.spent += cost - lease.amount
                else:  # what was charged to a window that is over stays there
                    account.spent += max(0, cost - lease.amount)

    def balance(self, line: Line) -> Account:
        """A copy of one account as it is now."""
        with self._lock:
            now = self._clock()
            self._expire(now)
            account = self._account(line, now)
            return Account(account.window, account.spent, account.promised)

    @property
    def open(self) -> int:
        """Promises that are neither settled nor expired."""
        with self._lock:
            self._expire(self._clock())
            return len(self._leases)

    def held(self, key: str) -> Lease | None:
        """The promise to work of this name, which nobody has settled yet."""
        with self._lock:
            return self._orders.get(key)

    def dump(self) -> bytes:
        """The balances; what is promised counts as spent, for nobody would settle it after a restart.

        Promises with a key are kept as such: whoever goes on with that work settles them.
        """
        with self._lock:
            now = self._clock()
            self._expire(now)
            for lease in self._leases.values():
                for line in lease.lines:
                    self._account(line, now)  # what is promised counts in the window of this moment
            spent = {place: account.spent + account.promised for place, account in self._balances.items()}
            self._orders = {key: lease for key, lease in self._orders.items() if lease.ends > now - KEPT}
            for lease in self._orders.values():
                if lease.charged is None:
                    for line in lease.lines:
                        spent[line.place] = spent.get(line.place, 0) - lease.amount
            rows = [(place, self._balances[place].window, amount) for place, amount in spent.items() if amount]
            orders = [
                SavedOrder(lease.key, lease.amount, lease.lines, lease.ends, lease.charged)
                for lease in self._orders.values()
            ]
        return budget_saved.write(SavedBudget(rows, orders))

    def restore(self, data: bytes) -> None:
        """Add the balances of `dump` to these.

        Raises:
            ConfigurationError: the data is cut short, changed or of another version.
        """
        saved = budget_saved.read(data)
        with self._lock:
            now = self._clock()
            for place, window, spent in saved.spent:
                account = self._balances.setdefault(place, Account(window))
                if window > account.window:
                    account.window, account.spent = window, 0
                if window == account.window:
                    account.spent += spent
            for order in saved.orders:
                lease = Lease(0, order.amount, order.lines, order.ends, order.key, sent=True, charged=order.charged)
                if order.key not in self._orders:
                    self._open(lease, now)

    def _open(self, lease: Lease, now: float) -> Lease:
        """Take a promise into the books. The lock is held."""
        lease.number = next(self._numbers)
        if lease.key:
            self._orders[lease.key] = lease
        if lease.charged is not None:  # it is over, and only who goes on with its work can put it right
            return lease
        for line in lease.lines:
            self._account(line, now).promised += lease.amount
        self._leases[lease.number] = lease
        if len(self._ends) > 2 * len(self._leases) + SWEEP:  # most of them are settled
            self._ends = [end for end in self._ends if end[1] in self._leases]
            heapq.heapify(self._ends)
        heapq.heappush(self._ends, (lease.ends, lease.number))
        return lease

    def _refused(self, lines: Sequence[Line], amount: int, now: float) -> tuple[Line, int] | None:
        for line in lines:
            account = self._account(line, now)
            left = line.most - account.spent - account.promised
            if amount > left:
                return line, left
        return None

    def _account(self, line: Line, now: float) -> Account:
        """The account of a line, moved on to the window of `now`; a clock set back reopens none. The lock is held."""
        account = self._balances.get(line.place)
        window = window_of(line.window, now)
        if account is None:
            if len(self._balances) >= self._sweep_at:
                self._sweep(now)
            account = self._balances[line.place] = Account(window)
        elif window > account.window:
            account.window, account.spent = window, 0
        return account

    def _sweep(self, now: float) -> None:
        """Drop accounts that hold nothing any more: those of windows that are over, and empty ones."""
        newest = {window: window_of(window, now) for window in ("minute", "day", "month")}
        for place, account in list(self._balances.items()):
            window = place[0].split(" ", 1)[0]
            over = account.window < newest.get(window, account.window)
            if not account.promised and (over or not account.spent):
                del self._balances[place]
        self._sweep_at = max(SWEEP, 2 * len(self._balances))

    def _expire(self, now: float) -> None:
        """Settle promises that nobody came back for: charged in full when the call was sent. The lock is held."""
        while self._ends and self._ends[0][0] <= now:
            _, number = heapq.heappop(self._ends)
            lease = self._leases.pop(number, None)
            if lease is None:
                continue
            self.expired += 1
            accounts = [self._account(line, now) for line in lease.lines]
            for account in accounts:
                account.promised -= lease.amount
                account.spent += lease.amount if lease.sent else 0
            if lease.sent:
                lease.charged = tuple(account.window for account in accounts)
