"""Budgets and deferred work: money is set aside from the submission to the end of each row, over restarts too."""

import random
import threading
from contextlib import suppress

import anyio
import pytest

from asking import PRICES as LIST
from asking import ask
from batches import POLL, path, running, server
from resopt import (
    AsyncOptimizer,
    Budget,
    BudgetExceededError,
    ConfigurationError,
    Deferred,
    Limit,
    ManualClock,
    OpenAIBatches,
    OpenAIProvider,
    PriceBook,
    Scope,
)
from resopt.batch.deferred_money import Money
from resopt.batch.deferred_store import Store
from resopt.providers.simulated import BatchTimes, SimulatedServer

pytestmark = pytest.mark.anyio

PRICES = PriceBook(LIST)
__all__ = ["path", "running", "server"]
OPTIONS = {"model": "gpt-4o", "max_tokens": 100}


def budget_of(dollars=5.0, **options):
    return Budget(Limit(dollars), prices=PRICES, **options)


def account(budget, **whose):
    return budget.balance(budget.limits[0], **whose)


def deferred_at(path, server, *budgets, **options):
    return Deferred(path, [OpenAIBatches(server.base_url, "k")], gates=budgets, poll=POLL, **options)


def half(budget, text):
    """Half the worst case of a text: what is set aside for it."""
    worst = budget.worst_case(ask(text, **OPTIONS))
    return worst - worst * 50 // 100


async def test_half_the_price_is_set_aside_and_settled_with_what_it_cost(server, path):
    budget = budget_of()
    async with deferred_at(path, server, budget) as deferred:
        handle = await deferred.submit(["one", "two", "one"], **OPTIONS)
        assert account(budget).promised == half(budget, "one") + half(budget, "two"), "equal rows are sent once"
        await deferred.step()
        assert account(budget).promised > 0, "what was handed in has not ended"
        answers = await deferred.result(handle)
    costs = [PRICES.cost("gpt-4o", answer.usage) for answer in answers[:2]]
    assert account(budget).spent == sum(cost - cost // 2 for cost in costs)
    assert (account(budget).promised, budget.accounts.open) == (0, 0)


async def test_what_does_not_fit_is_an_error_of_its_own_and_never_sent(server, path):
    budget = budget_of()
    budget = budget_of((half(budget, "one") + half(budget, "two")) / 1e12)
    async with deferred_at(path, server, budget) as deferred:
        handle = await deferred.submit(["one", "two", "six", "one"], **OPTIONS)
        results = await deferred.result(handle, errors="return")
        assert [type(result).__name__ for result in results] == ["Response"] * 2 + ["BudgetExceededError", "Response"]
        assert "left" in str(results[2])
        assert server.stats().batch_rows == 2
        again = await deferred.submit(["six"], **OPTIONS)
        assert (await deferred.result(again))[0].text, "what the first did not need is there for others"
    assert budget.accounts.open == 0


async def test_what_nobody_can_bound_is_refused_unless_the_budget_says_otherwise(server, path):
    cautious, bold = budget_of(), budget_of(unknown=0.25)
    async with deferred_at(path, server, cautious) as deferred:
        handle = await deferred.submit(["x"], model="unheard-of", max_tokens=10)
        (error,) = await deferred.result(handle, errors="return")
        assert isinstance(error, BudgetExceededError)
    async with deferred_at(path, server, bold) as deferred:
        await deferred.submit(["x"], model="unheard-of", max_tokens=10)
        assert account(bold).promised == 125_000_000_000


@pytest.mark.parametrize("fault", ["timeout", "status=400", "500", "429"])
async def test_what_the_provider_did_not_do_is_given_back(server, path, fault):
    budget = budget_of()
    async with deferred_at(path, server, budget, attempts=1) as deferred:
        handle = await deferred.submit([f"x [simulate: {fault}]"], **OPTIONS)
        (error,) = await deferred.result(handle, errors="return")
        assert isinstance(error, Exception)
    assert (account(budget).spent, account(budget).promised, budget.accounts.open) == (0, 0, 0)


async def test_what_came_in_a_way_that_nobody_can_read_is_charged_in_full(server, path):
    budget = budget_of()
    async with deferred_at(path, server, budget) as deferred:
        text = "x [simulate: malformed]"
        handle = await deferred.submit([text], **OPTIONS)
        await deferred.result(handle, errors="return")
    assert (account(budget).spent, budget.accounts.open) == (half(budget, text), 0)


async def test_a_restart_forgets_nothing_and_counts_nothing_twice(server, path, tmp_path):
    before = budget_of()
    reservation = before.reserve_amount(1_000)
    reservation.send()
    reservation.settle_cost(1_000)
    async with deferred_at(path, server, before) as deferred:
        handle = await deferred.submit(["one", "two"], **OPTIONS)
        await deferred.step()
        await deferred.submit(["three"], **OPTIONS)
        promised = account(before).promised
        before.save(tmp_path / "budget")
    after = budget_of()
    assert after.load(tmp_path / "budget")
    assert (account(after).spent, account(after).promised) == (1_000, promised)
    async with deferred_at(path, server, after) as deferred:
        assert account(after).promised == promised
        await deferred.run()
        answers = await deferred.result(handle)
    costs = [PRICES.cost("gpt-4o", answer.usage) for answer in answers]
    assert account(after).spent > 1_000 + sum(cost - cost // 2 for cost in costs)
    assert after.accounts.open == 0


async def test_a_file_opened_twice_counts_once(server, path):
    budget = budget_of()
    async with deferred_at(path, server, budget) as first:
        handle = await first.submit(["one"], **OPTIONS)
        promised = account(budget).promised
        async with deferred_at(path, server, budget) as second:
            assert account(budget).promised == promised
            (answer,) = await second.result(handle)
            await first.result(handle)
        assert await second_settles_nothing_more(budget, first, handle)
    cost = PRICES.cost("gpt-4o", answer.usage)
    assert (account(budget).spent, budget.accounts.open) == (cost - cost // 2, 0)


async def second_settles_nothing_more(budget, deferred, handle):
    before = account(budget).spent
    await deferred.result(handle)
    return account(budget).spent == before


async def test_what_another_process_saw_end_is_settled_here(server, path):
    ours, theirs = budget_of(), budget_of()
    async with deferred_at(path, server, ours) as deferred, deferred_at(path, server, theirs) as other:
        handle = await deferred.submit(["one"], **OPTIONS)
        (answer,) = await other.result(handle)
        assert account(ours).promised > 0
        await deferred.result(handle)
        cost = PRICES.cost("gpt-4o", answer.usage)
        assert (account(ours).spent, account(ours).promised) == (cost - cost // 2, 0)
        assert account(theirs).spent == account(ours).spent, "who drives counts too"
        soon = await deferred.submit(["two"], **OPTIONS)
        promised = account(ours).promised
        await other.result(soon)
        assert other.forget(soon)
        await deferred.step()
        assert account(ours).spent == cost - cost // 2 + promised, "what it cost nobody knows any more"


async def test_asking_directly_is_set_aside_at_the_full_price_in_place_of_half(path):
    budget = budget_of()
    with SimulatedServer(time_scale=0, batches=BatchTimes(seconds=60, cancel_seconds=60)) as server:
        async with AsyncOptimizer(
            OpenAIProvider(server.base_url, api_key="k"), prices=PRICES, gates=[budget]
        ) as optimizer:
            options = {"poll": POLL, "margin": 1.0}
            async with optimizer.deferred(path, [OpenAIBatches(server.base_url, "k")], **options) as deferred:
                soon = await deferred.submit(["soon"], deadline=0.3, **OPTIONS)
                await deferred.result(soon)
                cost = PRICES.cost("gpt-4o", (await deferred.result(soon))[0].usage)
                assert (account(budget).spent, account(budget).promised) == (cost, 0)
                stuck = await deferred.submit(["stuck"], deadline=2.5, **OPTIONS)
                with anyio.fail_after(20):
                    (answer,) = await deferred.result(stuck)
                both = PRICES.cost("gpt-4o", answer.usage) + half(budget, "stuck")
                assert account(budget).spent == cost + both, "the batch may be billed yet"
    assert budget.accounts.open == 0


async def test_a_deadline_without_a_way_to_ask_directly_costs_what_was_handed_in(path):
    budget = budget_of()
    with SimulatedServer(time_scale=0, batches=BatchTimes(seconds=60)) as server:
        async with deferred_at(path, server, budget, margin=0.2) as deferred:
            handle = await deferred.submit(["never sent"], deadline=0.1, **OPTIONS)
            await deferred.result(handle, errors="return")
            assert (account(budget).spent, account(budget).promised) == (0, 0)
            handle = await deferred.submit(["sent"], deadline=0.4, **OPTIONS)
            await deferred.step()
            await anyio.sleep(0.3)
            await deferred.result(handle, errors="return")
    assert account(budget).promised == 0
    assert account(budget).spent in (0, half(budget, "sent")), "given back only when the provider says it stopped"


async def test_what_nobody_comes_back_for_is_charged_when_its_time_is_over(server, path):
    clock = ManualClock()
    budget = budget_of(clock=clock.now, lease=10.0)
    async with deferred_at(path, server, budget) as deferred:
        handle = await deferred.submit(["one"], deadline=1_000, **OPTIONS)
        promised = account(budget).promised
        clock.advance(1_005)
        assert account(budget).promised == promised, "it may take as long as it was given"
        clock.advance(6)
        assert (account(budget).spent, account(budget).promised) == (promised, 0)
        (answer,) = await deferred.result(handle)
    cost = PRICES.cost("gpt-4o", answer.usage)
    assert account(budget).spent == cost - cost // 2, "put right when it comes after all"


async def test_rows_count_for_their_own_users(server, path):
    budget = Budget(Limit(5, per="user"), prices=PRICES)
    ann, bob = Scope(user="ann"), Scope(user="bob")
    async with deferred_at(path, server, budget) as deferred:
        await deferred.submit([ask("one", scope=ann, **OPTIONS), ask("two", scope=bob, **OPTIONS)])
        assert account(budget, scope=ann).promised == half(budget, "one")
        assert account(budget, scope=bob).promised == half(budget, "two")


async def test_a_submission_that_cannot_be_kept_holds_nothing(server, path):
    budget = budget_of()
    async with deferred_at(path, server, budget) as deferred:
        await deferred.submit(["one"], name="mine", **OPTIONS)
        promised = account(budget).promised
        await deferred.submit(["two"], name="mine", **OPTIONS)
        assert account(budget).promised == promised
        with pytest.raises(ConfigurationError):
            await deferred.submit([ask("three", **OPTIONS), 4])
        lost = ask("three", **OPTIONS)
        with suppress(ZeroDivisionError), deferred._money.accepting("other", 1.0, 9e9) as take:
            assert take(0, lost) is None
            assert account(budget).promised > promised
            raise ZeroDivisionError
        assert account(budget).promised == promised


async def test_a_name_used_again_is_other_work(server, path):
    ours = Budget(Limit(5, per="user"), prices=PRICES)
    ann, bob = Scope(user="ann"), Scope(user="bob")
    async with deferred_at(path, server, ours) as deferred, deferred_at(path, server) as worker:
        await deferred.submit([ask("one", scope=ann, **OPTIONS)], name="nightly")
        worst = account(ours, scope=ann).promised
        await worker.result("nightly")
        assert worker.forget("nightly")
        await deferred.submit([ask("two " * 50, scope=bob, **OPTIONS)], name="nightly")
        assert account(ours, scope=ann).spent == worst, "nobody knows any more what it cost"
        assert account(ours, scope=bob).promised == half(ours, "two " * 50)
        (answer,) = await deferred.result("nightly")
        cost = PRICES.cost("gpt-4o", answer.usage)
        assert account(ours, scope=bob).spent == cost - cost // 2
    assert ours.accounts.open == 0


@pytest.mark.parametrize("look", ["status", "partial", "submit", "forget"])
async def test_who_only_submits_settles_whenever_it_looks(server, path, look):
    budget = budget_of()
    async with deferred_at(path, server, budget) as deferred, deferred_at(path, server) as worker:
        handle = await deferred.submit(["one"], **OPTIONS)
        (answer,) = await worker.result(handle)
        if look == "submit":
            await deferred.submit([])
        else:
            getattr(deferred, look)(handle)
        cost = PRICES.cost("gpt-4o", answer.usage)
        assert (account(budget).spent, account(budget).promised) == (cost - cost // 2, 0)


async def test_what_ended_while_its_process_was_gone_is_settled_on_return(server, path, tmp_path):
    before, after = budget_of(), budget_of()
    async with deferred_at(path, server, before) as deferred:
        handle = await deferred.submit(["one"], **OPTIONS)
        before.save(tmp_path / "budget")
    async with deferred_at(path, server) as worker:
        (answer,) = await worker.result(handle)
    after.load(tmp_path / "budget")
    assert account(after).promised == account(before).promised > 0
    async with deferred_at(path, server, after):
        cost = PRICES.cost("gpt-4o", answer.usage)
        assert (account(after).spent, account(after).promised) == (cost - cost // 2, 0)


async def test_work_whose_time_was_over_is_put_right_after_a_restart_too(server, path, tmp_path):
    clock = ManualClock()
    before, after = (budget_of(clock=clock.now, lease=10.0) for _ in range(2))
    async with deferred_at(path, server, before) as deferred:
        handle = await deferred.submit(["one"], deadline=1_000, **OPTIONS)
        clock.advance(2_000)
        charged = account(before).spent
        before.save(tmp_path / "budget")
    after.load(tmp_path / "budget")
    assert (account(after).spent, account(after).promised) == (charged, 0)
    async with deferred_at(path, server, after) as deferred:
        assert (account(after).spent, account(after).promised) == (charged, 0), "once"
        (answer,) = await deferred.result(handle)
    cost = PRICES.cost("gpt-4o", answer.usage)
    assert account(after).spent == cost - cost // 2


async def test_what_is_in_a_batch_waits_for_it_when_there_is_no_money_to_ask_directly(path):
    with SimulatedServer(time_scale=0, batches=BatchTimes(seconds=0.6, cancel_seconds=60)) as server:
        budget = budget_of(1.6 * half(budget_of(), "one") / 1e12)
        provider = OpenAIProvider(server.base_url, api_key="k")
        async with AsyncOptimizer(provider, prices=PRICES, gates=[budget]) as optimizer:
            options = {"poll": POLL, "margin": 0.4}
            async with optimizer.deferred(path, [OpenAIBatches(server.base_url, "k")], **options) as deferred:
                handle = await deferred.submit(["one"], deadline=0.5, **OPTIONS)
                await deferred.step()
                with anyio.fail_after(5):
                    (answer,) = await deferred.result(handle, errors="return")
        assert server.stats().requests == 0
    assert answer.detour.discount == 50
    cost = PRICES.cost("gpt-4o", answer.usage)
    assert (account(budget).spent, budget.accounts.open) == (cost - cost // 2, 0)


async def test_what_another_process_asked_directly_is_charged_as_it_cost(path):
    budget = budget_of()
    with SimulatedServer(time_scale=0) as server:
        provider = OpenAIProvider(server.base_url, api_key="k")
        async with (
            AsyncOptimizer(provider) as optimizer,
            deferred_at(path, server, budget) as deferred,
            optimizer.deferred(path, [OpenAIBatches(server.base_url, "k")], poll=POLL, margin=60) as worker,
        ):
            handle = await deferred.submit(["one"], deadline=50, **OPTIONS)
            (answer,) = await worker.result(handle)
            deferred.status(handle)
    assert (account(budget).spent, budget.accounts.open) == (PRICES.cost("gpt-4o", answer.usage), 0)


def test_only_gates_are_taken(path):
    with pytest.raises(ConfigurationError, match="no gate"):
        Deferred(path, [], gates=[object()])


def test_many_submitters_never_promise_more_than_there_is(path):
    """Threads that submit, settle and look at one file and one budget: never overspent, and nothing leaks."""
    from resopt.batch.deferred_rows import NewRow, StoredEnd

    probe = budget_of()
    budget = budget_of(20 * half(probe, "question 10") / 1e12)
    store, most = Store(str(path)), budget.limits[0]
    money = Money(store, [budget])
    sent, refused, overspent = [], [], []

    def submit(number):
        draw = random.Random(number)
        for turn in range(6):
            handle = f"{number}-{turn}"
            rows = [NewRow(ask(f"question {10 + row}", cache="bypass", **OPTIONS), None) for row in range(3)]
            with money.accepting(handle, 1.0, 9e9) as take:
                assert store.add(handle, 1.0, 9e9, rows, take)
            here = [row for row in store.rows("new") if row.handle == handle]
            sent.extend(here)
            refused.extend(range(3 - len(here)))
            state = account(budget)
            if state.spent + state.promised > budget.limits[0].dollars * 1e12:
                overspent.append(state)
            ends = [(row.number, StoredEnd(error="X", problem="", free=draw.random() < 0.9)) for row in here]
            store.end(ends, "batch")
            money.settle()

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    assert not overspent
    assert len(sent) + len(refused) == 16 * 6 * 3
    assert sent
    assert refused
    assert (budget.balance(most).promised, budget.accounts.open) == (0, 0)
