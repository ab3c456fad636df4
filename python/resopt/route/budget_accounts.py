"""What budgets have spent and promised: integers behind one lock, in windows that only move forward.

Every change is a few operations on ints and dicts; nothing waits, so threads, tasks of asyncio and of trio use the same
accounts.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Window: TypeAlias = Literal["minute", "day", "month"]
"""Calendar windows in UTC; a budget without one is spent for ever."""

Place: TypeAlias = tuple[str, str]
"""Which account: the limit's own name, and whose (a user, a tenant, a tag)."""

SWEEP: Final = 10_000
"""Accounts held before those of past windows are dropped."""

_MAGIC: Final = b"resopt budget 1\n"
_CHECK: Final = 16
_SECONDS: Final = {"minute": 60, "day": 86_400}


def window_of(window: Window | None, now: float) -> int:
    """The number of the window that a moment lies in."""
    if window is None:
        return 0
    if window == "month":
        moment = time.gmtime(now)
        return moment.tm_year * 12 + moment.tm_mon
    return int(now // _SECONDS[window])


def resets_in(window: Window | None, now: float) -> float | None:
    """Seconds until the window of a moment ends; None without a window."""
    if window is None:
        return None
    if window == "month":
        import calendar

        moment = time.gmtime(now)
        year, month = divmod(moment.tm_year * 12 + moment.tm_mon, 12)
        return calendar.timegm((year, month + 1, 1, 0, 0, 0)) - now
    return _SECONDS[window] - now % _SECONDS[window]


class Line(msgspec.Struct, frozen=True):
    """One account that a call must fit: where it is, its window, and picodollars that it may hold."""

    place: Place
    window: Window | None
    most: int


class Account(msgspec.Struct):
    """One balance: the window's number, picodollars spent in it, and promised to calls in the air."""

    window: int = 0
    spent: int = 0
    promised: int = 0


class Lease(msgspec.Struct):
    """A promise to one call: `sent` once the call may be billed, `charged` with the windows once it has expired so.

    One with a `key` is of work that outlives its process and is promised again by whoever goes on with it.
    """

    number: int
    amount: int
    lines: tuple[Line, ...]
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
            key: the name of work that outlives its process; what is promised to it already is not promised again.
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
            for line in lines:
                self._account(line, now).promised += amount
            lease = Lease(next(self._numbers), amount, tuple(lines), key)
            self._leases[lease.number] = lease
            if key:
                self._orders[key] = lease
            if len(self._ends) > 2 * len(self._leases) + SWEEP:  # most of them are settled
                self._ends = [end for end in self._ends if end[1] in self._leases]
                heapq.heapify(self._ends)
            heapq.heappush(self._ends, (now + seconds + self._lease, lease.number))
            return lease

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

    def dump(self) -> bytes:
        """The balances; what is promised counts as spent, for nobody would settle it after a restart.

        Promises with a key do not: they are promised again.
        """
        from hashlib import blake2b

        with self._lock:
            spent = {place: account.spent + account.promised for place, account in self._balances.items()}
            for lease in self._orders.values():
                for line in lease.lines:
                    spent[line.place] -= lease.amount
            rows = [(*place, self._balances[place].window, amount) for place, amount in spent.items() if amount]
        data = msgspec.msgpack.encode(rows)
        return _MAGIC + blake2b(data, digest_size=_CHECK).digest() + data

    def restore(self, data: bytes) -> None:
        """Add the balances of `dump` to these.

        Raises:
            ConfigurationError: the data is cut short, changed or of another version.
        """
        from hashlib import blake2b

        body = data[len(_MAGIC) + _CHECK :]
        check = data[len(_MAGIC) : len(_MAGIC) + _CHECK]
        if not data.startswith(_MAGIC) or blake2b(body, digest_size=_CHECK).digest() != check:
            raise ConfigurationError(
                "the saved budget is damaged or of another version; what was spent is not known: restore a copy, or "
                "remove it to begin at zero"
            )
        rows: list[Any] = msgspec.msgpack.decode(body, type=list[tuple[str, str, int, int]])
        with self._lock:
            for name, subject, window, spent in rows:
                account = self._balances.setdefault((name, subject), Account(window))
                if window > account.window:
                    account.window, account.spent = window, 0
                if window == account.window:
                    account.spent += spent

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
            self._orders.pop(lease.key, None)
            self.expired += 1
            accounts = [self._account(line, now) for line in lease.lines]
            for account in accounts:
                account.promised -= lease.amount
                account.spent += lease.amount if lease.sent else 0
            if lease.sent:
                lease.charged = tuple(account.window for account in accounts)
