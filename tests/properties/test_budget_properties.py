"""A budget is never overspent and nothing leaks: 64 callers at once, some of whom leave, break or never return."""

import random
import threading

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resopt import Budget, BudgetExceededError, Limit, ManualClock, PriceBook, Scope
from resopt.errors import ProviderConnectionError, ServerError
from resopt.route.budget_accounts import Accounts, Lease
from resopt.route.budget_lines import Line

CALLERS = 64
BOOK = PriceBook({"m": (1, 1)})
LEASE = 100.0
ENDINGS = ["answer", "answer", "answer", "unknown", "refused", "broken", "cancelled", "crash", "lost", "lost unsent"]


class Books:
    """What calls did cost, apart from the budget under test; calls whose fate nobody knows cost their worst case."""

    def __init__(self, most):
        self.most = most
        self.lock = threading.Lock()
        self.billed = 0
        self.refused = 0
        self.kept = []

    def bill(self, amount):
        with self.lock:
            self.billed += amount
            assert self.billed <= self.most, "overspent"


async def call(budget, books, chance, ending, pause):
    """One call upstream, as a caller would make it, that ends in one way or another."""
    amount = chance.randrange(1, 40)
    scope = Scope(user=str(chance.randrange(3)))
    try:
        reservation = budget.reserve_amount(amount, scope=scope, tags=("judge",) if chance.random() < 0.5 else ())
    except BudgetExceededError:
        books.refused += 1
        return
    if ending.startswith("lost"):  # its caller is gone for good: a thread that died, a task that was never resumed
        books.kept.append(reservation)
        if ending == "lost":
            reservation.send()
            books.bill(amount)
        return
    with reservation:
        await pause(chance.random() / 500)
        reservation.send()
        if ending in ("broken", "cancelled", "crash", "unknown"):
            books.bill(amount)
        await pause(chance.random() / 500)
        if ending == "broken":
            raise ProviderConnectionError("broke off")
        if ending == "crash":
            raise ZeroDivisionError
        if ending == "refused":
            raise ServerError("down", status=503)
        if ending == "cancelled":
            await pause(60)
        if ending == "unknown":
            reservation.settle_cost(None)
            return
        cost = chance.randrange(0, amount + 1)
        books.bill(cost)
        reservation.settle_cost(cost)


async def survive(budget, books, seed, ending, pause):
    chance = random.Random(seed)
    try:
        if ending == "cancelled":
            with anyio.move_on_after(chance.random() / 200 + 0.004):
                await call(budget, books, chance, ending, pause)
        else:
            await call(budget, books, chance, ending, pause)
    except (ProviderConnectionError, ServerError, ZeroDivisionError):
        pass


def check(budget, books, clock):
    """Everything that was billed is spent, and nothing is promised any more."""
    clock.advance(LEASE + 1)
    assert budget.accounts.open == 0
    everyone = budget.balance(budget.limits[0])
    assert everyone.promised == 0
    assert everyone.spent == books.billed <= books.most
    users = [budget.balance(budget.limits[1], scope=Scope(user=str(user))) for user in range(3)]
    assert sum(account.spent for account in users) == books.billed
    assert all(account.promised == 0 and account.spent <= 200 for account in users)
    assert budget.balance(budget.limits[2], tag="judge").spent <= 150


def made(clock):
    limits = (Limit("0.0000000004"), Limit("0.0000000002", per="user"), Limit("0.00000000015", per="tag", name="judge"))
    return Budget(*limits, prices=BOOK, lease=LEASE, clock=clock.now), Books(400)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(6))
async def test_tasks(seed):
    clock = ManualClock()
    budget, books = made(clock)
    chance = random.Random(seed)
    async with anyio.create_task_group() as group:
        for number in range(CALLERS):
            group.start_soon(survive, budget, books, seed * 1000 + number, chance.choice(ENDINGS), anyio.sleep)
    check(budget, books, clock)
    assert books.refused


@pytest.mark.parametrize("seed", range(4))
def test_threads(seed):
    clock = ManualClock()
    budget, books = made(clock)
    chance = random.Random(seed)
    start, failures = threading.Barrier(CALLERS), []

    async def pause(_):
        return None

    def caller(number, ending):
        start.wait()
        try:
            survive(budget, books, number, ending, pause).send(None)
        except StopIteration:
            pass
        except BaseException as error:
            failures.append(error)

    endings = [ending for ending in ENDINGS if ending != "cancelled"]
    threads = [
        threading.Thread(target=caller, args=(seed * 1000 + number, chance.choice(endings)))
        for number in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    check(budget, books, clock)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "send", "settle", "over", "release", "advance"]),
        st.integers(0, 60),
        st.integers(0, 4),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_any_order_of_events_keeps_within_the_window(events):
    """In no window is more spent and promised than the limit, and what is left over in the end is accounted for."""
    clock = ManualClock(1000.0)
    budget = Budget(Limit("0.0000000001", window="minute"), prices=BOOK, lease=90, clock=clock.now)
    open_calls, sent, billed = [], set(), {}
    for kind, amount, which in events:
        minute = int(clock.now() // 60)
        if kind == "advance":
            clock.advance(amount)
        elif kind == "reserve":
            try:
                open_calls.append(budget.reserve_amount(amount))
            except BudgetExceededError:
                account = budget.balance(budget.limits[0])
                assert account.spent + account.promised + amount > 100
        elif open_calls:
            reservation = open_calls[which % len(open_calls)]
            if kind == "send":
                try:
                    reservation.send()
                    sent.add(id(reservation))
                except BudgetExceededError:
                    open_calls.remove(reservation)
            elif id(reservation) in sent and kind in ("settle", "over"):
                cost = reservation.amount if kind == "over" else min(amount, reservation.amount)
                reservation.settle_cost(cost)
                open_calls.remove(reservation)
                billed[minute] = billed.get(minute, 0) + cost
            elif kind == "release" and id(reservation) not in sent:
                reservation.release()
                open_calls.remove(reservation)
        account = budget.balance(budget.limits[0])
        assert account.promised >= 0 <= account.spent
        assert account.spent + account.promised <= 100
        assert billed.get(minute, 0) <= 100
    clock.advance(200)
    assert budget.accounts.open == 0
    account = budget.balance(budget.limits[0])
    assert account.promised == 0
    assert account.spent <= sum(reservation.amount for reservation in open_calls if id(reservation) in sent)


ORDERS = st.lists(
    st.tuples(st.sampled_from(["order", "settle", "advance", "restart"]), st.integers(0, 60), st.integers(0, 6)),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(ORDERS)
def test_work_that_outlives_its_process_is_held_once_and_charged_once(events):
    """What is open is held by its name, over restarts too; in the end what was spent is what was settled, no more."""
    clock, line = ManualClock(1000.0), Line(("everyone", ""), None, 100)
    accounts, leases, spent = Accounts(clock.now, 50.0), {}, 0
    for kind, amount, which in events:
        key = f"work {which}"
        if kind == "advance":
            clock.advance(amount)  # less in all than work may take
        elif kind == "restart":
            kept = accounts.dump()
            accounts = Accounts(clock.now, 50.0)
            accounts.restore(kept)
            leases = {
                key: accounts.promise([line], old.amount, key=key, seconds=9_999.0, placed=True)
                for key, old in leases.items()
            }
        elif kind == "settle" and key in leases:
            cost = min(amount, leases[key].amount)
            for _ in range(2):
                accounts.settle(leases[key], cost)
            spent += cost
            del leases[key]
        elif kind == "order":
            lease = accounts.promise([line], amount, key=key, seconds=9_999.0)
            if key in leases:
                assert lease is leases[key]
            elif isinstance(lease, Lease):
                leases[key] = lease
            else:
                assert lease == (line, 100 - spent - sum(each.amount for each in leases.values()))
                assert amount > lease[1]
        balance = accounts.balance(line)
        assert (balance.spent, balance.promised) == (spent, sum(each.amount for each in leases.values()))
        assert spent + balance.promised <= 100
        assert accounts.open == len(leases)
