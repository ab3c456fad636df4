"""Budgets: what is set aside, what is settled, whose account it is, and what happens when it does not fit."""

import threading

import anyio
import pytest

from asking import CALL_COST, PRICES, Scripted, Twin, ask, wait_for
from resopt import (
    AsyncOptimizer,
    BudgetExceededError,
    ConfigurationError,
    ManualClock,
    Optimizer,
    PriceBook,
    Request,
    Response,
    ResponseCache,
    Scope,
)  # fmt: skip
from resopt.errors import ProviderConnectionError, RateLimitError, ServerError
from resopt.route.budget import Budget, Limit
from resopt.route.worst_case import worst_usage
from resopt.stage import Order
from resopt.types import Usage

BOOK = PriceBook({**PRICES, "gpt-4o-mini": (0.25, 1.0), "claude": {"input": 3, "output": 15, "cache_write": 3.75}})
DAY = 86_400


@pytest.fixture
def clock():
    return ManualClock(1_700_000_000.0)


def budget_of(*limits, clock=None, **options):
    now = {} if clock is None else {"clock": clock.now}
    return Budget(*limits, prices=BOOK, **now, **options)


def question(text="What is Python?", **fields):
    return ask(text, **{"max_tokens": 20, **fields})


def answer(usage=None, model="gpt-4o"):
    return Response(text="It is a language.", model=model, usage=usage)


def test_the_worst_case_is_never_below_what_a_call_can_cost():
    budget = budget_of(Limit(1))
    request = question()
    worst = budget.worst_case(request)
    # 15 characters cannot be more than 15 tokens, and 20 is the limit of the answer.
    assert worst > 15 * 2_500_000 + 20 * 10_000_000
    assert worst < 250 * 2_500_000 + 20 * 10_000_000
    assert budget.worst_case(question(n=3)) == worst + 2 * 20 * 10_000_000 + len(',"n":3') * 2_500_000
    written = budget.worst_case(question(model="claude"))
    assert written > 15 * 3_750_000 + 20 * 15_000_000, "writing the prefix cache costs more than reading fresh input"
    assert budget_of(Limit(1), attempts=2).worst_case(request) == 2 * worst
    assert budget_of(Limit(1), count=lambda _: 4).worst_case(request) == 4 * 2_500_000 + 20 * 10_000_000


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "r1"},
        {"tools": [{"type": "web_search"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
        {"max_output_tokens": "20"},
        {"max_output_tokens": -1},
        {"n": True},
        {"input": [object()]},
    ],
)
def test_what_nobody_can_bound_is_refused(fields):
    request = Request(body={"model": "gpt-4o", "input": "Hi", "max_output_tokens": 5, **fields}, api="openai.responses")
    assert worst_usage(request, 100) is None
    with pytest.raises(BudgetExceededError, match="nobody can say"):
        budget_of(Limit(100)).reserve(request)
    assert budget_of(Limit(1), unknown="0.25").reserve(request).amount == 25 * 10**10


def test_images_count_and_embeddings_have_no_answer():
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
    with_picture = Request(
        body={"model": "gpt-4o", "max_tokens": 5, "messages": [{"role": "user", "content": [picture]}]}
    )
    assert worst_usage(with_picture, 100).input_tokens > 50_000
    embedding = Request(body={"model": "e", "input": ["a", "b"]}, api="openai.embeddings")
    assert worst_usage(embedding, 100).output_tokens == 0
    unlimited = ask("Hi")
    assert worst_usage(unlimited, 100).output_tokens == 100
    assert worst_usage(unlimited, {"gpt-4o": 7}).output_tokens == 7
    assert worst_usage(unlimited, {"other": 7}) is None


def test_an_unknown_price_is_refused():
    with pytest.raises(BudgetExceededError, match="no price"):
        budget_of(Limit(100)).reserve(question(model="nobody-knows"))


def test_a_limit_per_request():
    budget = budget_of(Limit("0.0001", per="request"))
    with pytest.raises(BudgetExceededError, match=r"\$0.0001 per request") as caught:
        budget.reserve(question(max_tokens=1000))
    assert (caught.value.remaining, caught.value.over, caught.value.resets_in) == (10**8, "reject", None)
    assert caught.value.wanted > 10**10


def test_settling_gives_back_what_was_not_spent(clock):
    budget = budget_of(Limit(1, window="day"), clock=clock)
    limit = budget.limits[0]
    with budget.reserve(question()) as reservation:
        reservation.send()
        assert budget.balance(limit).promised == reservation.amount
        reservation.settle(answer(Usage(input_tokens=10, output_tokens=5)))
        reservation.settle(answer(Usage(input_tokens=10, output_tokens=5)))
    account = budget.balance(limit)
    assert (account.spent, account.promised) == (10 * 2_500_000 + 5 * 10_000_000, 0)
    assert budget.accounts.open == 0


@pytest.mark.parametrize(
    ("error", "charged"),
    [
        (RateLimitError("slow down", status=429), False),
        (ServerError("down", status=503), False),
        (ServerError("too slow", status=504), True),
        (ProviderConnectionError("broke off"), True),
        (ConfigurationError("another gate"), False),
        (KeyboardInterrupt(), True),
        (None, True),
    ],
)
def test_a_call_without_an_answer_is_charged_unless_it_was_refused(error, charged):
    budget = budget_of(Limit(1))
    reservation = budget.reserve(question())
    reservation.send()
    reservation.settle(None, error)
    assert budget.balance(budget.limits[0]).spent == (reservation.amount if charged else 0)


def test_an_answer_of_unknown_usage_is_charged_in_full_and_one_never_sent_not_at_all():
    budget = budget_of(Limit(1))
    reservation = budget.reserve(question())
    reservation.settle(answer(None))
    assert budget.balance(budget.limits[0]).spent == reservation.amount
    with pytest.raises(RuntimeError), budget.reserve(question()):
        raise RuntimeError("before it was sent")
    budget.reserve(question()).release()
    assert budget.balance(budget.limits[0]).spent == reservation.amount


def test_the_alias_of_a_model_is_priced_by_the_name_asked_for():
    budget = budget_of(Limit(1))
    budget.reserve(question()).settle(answer(Usage(input_tokens=1), model="deployment-7"))
    assert budget.balance(budget.limits[0]).spent == 2_500_000


def test_accounts_of_users_tenants_and_tags_are_apart():
    budget = budget_of(Limit(1, per="user"), Limit(1, per="tenant"), Limit(1, per="tag"), Limit(1, per="tag", name="b"))
    users, tenants, tags, only_b = budget.limits
    mine, theirs = Scope(tenant="t", user="u"), Scope(tenant="s", user="u")
    budget.reserve(question(scope=mine, tags=("a", "b"))).settle(answer(Usage(input_tokens=1)))
    assert budget.balance(users, scope=mine).spent == 2_500_000
    assert budget.balance(users, scope=theirs).spent == 0, "a user is one within the tenant"
    assert [budget.balance(tenants, scope=scope).spent for scope in (mine, theirs)] == [2_500_000, 0]
    assert [budget.balance(tags, tag=tag).spent for tag in "abc"] == [2_500_000, 2_500_000, 0]
    assert budget.balance(only_b, tag="b").spent == 2_500_000
    with pytest.raises(ConfigurationError, match="keeps no account"):
        budget.balance(only_b, tag="a")


def test_who_names_no_user_shares_one_account_with_all_who_do_not():
    budget = budget_of(Limit("0.0008", per="user"))
    budget.reserve(question())
    with pytest.raises(BudgetExceededError):
        budget.reserve(question())
    budget.reserve(question(scope=Scope(user="u")))


def test_nothing_is_set_aside_when_one_of_several_accounts_is_full():
    budget = budget_of(Limit(1), Limit("0.0008", per="user"))
    scope = Scope(user="u")
    first = budget.reserve(question(scope=scope))
    with pytest.raises(BudgetExceededError, match="per user"):
        budget.reserve(question(scope=scope))
    assert budget.balance(budget.limits[0]).promised == first.amount


@pytest.mark.parametrize(("window", "seconds"), [("minute", 60), ("day", DAY), ("month", 31 * DAY)])
def test_a_window_begins_anew(clock, window, seconds):
    budget = budget_of(Limit("0.0008", window=window), clock=clock)
    budget.reserve(question()).settle_cost(7 * 10**8)
    with pytest.raises(BudgetExceededError, match="begins anew") as caught:
        budget.reserve(question())
    assert 0 < caught.value.resets_in <= seconds
    clock.advance(caught.value.resets_in - 0.001)
    with pytest.raises(BudgetExceededError):
        budget.reserve(question())
    clock.advance(0.002)
    assert budget.balance(budget.limits[0]).spent == 0
    budget.reserve(question())


def test_a_clock_set_back_opens_no_window_again():
    now = [2.0 * DAY]
    budget = Budget(Limit("0.0008", window="day"), prices=BOOK, clock=lambda: now[0])
    budget.reserve(question()).settle_cost(7 * 10**8)
    now[0] -= DAY
    with pytest.raises(BudgetExceededError):
        budget.reserve(question())


def test_what_nobody_settles_is_taken_back_or_charged(clock):
    budget = budget_of(Limit(1, window="day"), clock=clock, lease=60)
    never_sent, lost = budget.reserve(question()), budget.reserve(question())
    lost.send()
    clock.advance(61)
    account = budget.balance(budget.limits[0])
    assert (account.spent, account.promised, budget.accounts.open) == (lost.amount, 0, 0)
    assert budget.accounts.expired == 2
    with pytest.raises(BudgetExceededError, match="expired"):
        never_sent.send()
    lost.settle(answer(Usage(input_tokens=1)))
    assert budget.balance(budget.limits[0]).spent == 2_500_000, "late news put it right"


def test_late_news_gives_nothing_back_to_another_window(clock):
    budget = budget_of(Limit(1, window="minute"), clock=clock, lease=60)
    lost = budget.reserve(question())
    lost.send()
    clock.advance(61)
    budget.reserve_amount(5).settle_cost(5)
    clock.advance(61)
    budget.reserve_amount(7).settle_cost(7)
    lost.settle(answer(Usage(input_tokens=1)))
    assert budget.balance(budget.limits[0]).spent == 7


def test_a_call_in_the_air_at_the_turn_of_a_window_counts_in_the_new_one(clock):
    budget = budget_of(Limit(1, window="minute"), clock=clock)
    reservation = budget.reserve(question())
    clock.advance(60)
    assert budget.balance(budget.limits[0]).promised == reservation.amount
    reservation.settle_cost(3)
    assert budget.balance(budget.limits[0]).spent == 3


def test_costs_above_the_worst_case_are_charged_and_counted():
    budget = budget_of(Limit("0.001"))
    budget.reserve_amount(10).settle_cost(10**9 + 1)
    assert (budget.balance(budget.limits[0]).spent, budget.accounts.overruns) == (10**9 + 1, 1)
    with pytest.raises(BudgetExceededError):
        budget.reserve_amount(0)


def test_a_restart_forgets_nothing(tmp_path, clock):
    file = tmp_path / "budget"
    limits = (Limit(1, per="user", window="day"), Limit(2, window="month"), Limit(3))
    budget = budget_of(*limits, clock=clock)
    assert budget.load(file) is False
    scope = Scope(tenant="t", user="ü")
    budget.reserve(question(scope=scope)).settle_cost(5)
    in_the_air = budget.reserve(question(scope=scope))
    budget.save(file)
    after = budget_of(*limits, clock=clock)
    assert after.load(file) is True
    for limit in limits:
        assert after.balance(limit, scope=scope).spent == 5 + in_the_air.amount
    clock.advance(DAY)
    tomorrow = budget_of(*limits, clock=clock)
    tomorrow.load(file)
    assert [tomorrow.balance(limit, scope=scope).spent > 0 for limit in limits] == [False, True, True]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ConfigurationError, match="damaged"):
        budget_of(*limits).load(file)


def test_accounts_of_windows_that_are_over_are_dropped(monkeypatch, clock):
    monkeypatch.setattr("resopt.route.budget_accounts.SWEEP", 50)
    budget = budget_of(Limit(1, per="user", window="minute"), clock=clock)
    budget.accounts._sweep_at = 50
    for number in range(500):
        budget.reserve_amount(10, scope=Scope(user=str(number))).settle_cost(10)
        clock.advance(10)
    assert len(budget.accounts._balances) <= 60
    assert len(budget.accounts._ends) <= 200


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limit(-1),
        lambda: Limit("a lot"),
        lambda: Limit(True),
        lambda: Limit(1, per="planet"),
        lambda: Limit(1, window="year"),
        lambda: Limit(1, over="shrug"),
        lambda: Limit(1, per="request", window="day"),
        lambda: Limit(1, name="u"),
        lambda: Budget(prices=BOOK),
        lambda: Budget(1, prices=BOOK),
        lambda: Budget(Limit(1), prices=PRICES),
        lambda: budget_of(Limit(1), output_tokens=0),
        lambda: budget_of(Limit(1), degrade="gpt-4o-mini"),
        lambda: budget_of(Limit(1), lease=0),
        lambda: budget_of(Limit(1)).reserve_amount(1.5),
    ],
)
def test_what_makes_no_sense_is_refused(make):
    with pytest.raises(ConfigurationError):
        make()


def test_a_budget_of_zero_closes():
    with pytest.raises(BudgetExceededError):
        budget_of(Limit(0)).reserve(question())


# In the pipeline.


@pytest.mark.anyio
async def test_the_pipeline_makes_no_call_that_does_not_fit():
    provider = Scripted()
    budget = budget_of(Limit("0.0012"))
    async with AsyncOptimizer(provider, prices=BOOK, gates=[budget]) as optimizer:
        await optimizer.complete(question("One?"))
        assert budget.balance(budget.limits[0]).spent == CALL_COST
        assert (await optimizer.complete(question("One?"))).trace.outcome == "hit"
        with pytest.raises(BudgetExceededError):
            await optimizer.complete(question("Two?", max_tokens=100))
        assert (provider.calls, budget.accounts.open) == (1, 0)
        assert [record.error for record in optimizer.ledger.records] == [None, None, "BudgetExceededError"]


def test_the_blocking_pipeline_too():
    budget = budget_of(Limit("0.0012"))
    with Optimizer(Twin(), prices=BOOK, gates=[budget]) as optimizer:
        optimizer.complete(question("One?"))
        with pytest.raises(BudgetExceededError):
            optimizer.complete(question("Two?", max_tokens=100))
    assert budget.balance(budget.limits[0]).spent == CALL_COST


@pytest.mark.anyio
async def test_a_caller_who_leaves_is_charged_for_what_may_be_billed():
    provider = Scripted()
    provider.gate = anyio.Event()
    budget = budget_of(Limit(1))
    async with AsyncOptimizer(provider, prices=BOOK, gates=[budget]) as optimizer:
        with anyio.move_on_after(0.01):
            await optimizer.complete(question())
        await wait_for(lambda: budget.accounts.open == 0)
    account = budget.balance(budget.limits[0])
    assert (account.spent, account.promised) == (budget.worst_case(question()), 0)


@pytest.mark.anyio
async def test_a_cheaper_model_answers_when_the_budget_says_so():
    provider = Scripted()
    budget = budget_of(Limit("0.0012", over="degrade"), degrade=["gpt-4o", "gpt-4o-mini"])
    cache = ResponseCache()
    async with AsyncOptimizer(provider, cache=cache, prices=BOOK, stages=[budget.stage], gates=[budget]) as optimizer:
        assert (await optimizer.complete(question("One?"))).model == "gpt-4o"
        second = await optimizer.complete(question("Two?", max_tokens=50))
        assert second.model == "gpt-4o-mini"
        assert [step.action for step in second.trace.steps if step.stage == "budget"] == ["degraded"]
        assert optimizer.ledger.records[-1].mechanism == "budget"
        with pytest.raises(BudgetExceededError):
            await optimizer.complete(question("Three?", max_tokens=5000))


def test_a_limit_that_rejects_is_not_degraded():
    budget = budget_of(Limit("0.0001"), degrade=["gpt-4o-mini"])
    assert budget.stage.prepare(question()) is None


def test_many_threads_share_one_budget():
    budget = budget_of(Limit("0.000001"))
    won = []

    def take():
        for _ in range(200):
            try:
                reservation = budget.reserve_amount(1000)
            except BudgetExceededError:
                continue
            won.append(1)
            reservation.settle_cost(1000)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1000
    assert budget.balance(budget.limits[0]).spent == 10**6


def test_two_limits_on_one_account_count_a_call_once():
    soft, hard = Limit(1, over="degrade"), Limit(2)
    budget = budget_of(soft, hard)
    reservation = budget.reserve_amount(100)
    assert [budget.balance(limit).promised for limit in (soft, hard)] == [100, 100]
    reservation.send()
    reservation.settle_cost(60)
    assert [budget.balance(limit).spent for limit in (soft, hard)] == [60, 60]
    with pytest.raises(BudgetExceededError) as caught:
        budget.reserve_amount(1_500_000_000_000)
    assert caught.value.over == "degrade"


def test_what_is_unknown_is_held_as_it_is_reserved():
    budget = budget_of(Limit(5), unknown="0.3", attempts=3)
    odd = Request.chat("x", model="nope", max_tokens=10)
    assert budget.reserve(odd).amount == budget.hold(odd).amount == 300_000_000_000


def test_work_that_costs_nothing_outlives_a_sweep(tmp_path):
    budget = Budget(Limit(5, per="user"), prices=PriceBook({"free": (0, 0), "gpt-4o": (2.5, 10)}))
    free = Request.chat("x", model="free", max_tokens=10, scope=Scope(user="ann"))
    budget.hold(free, Order(key="k", seconds=1e6))
    for number in range(10_050):
        budget.reserve_amount(1, scope=Scope(user=f"{number}")).release()
    budget.save(tmp_path / "budget")
    after = budget_of(Limit(5, per="user"))
    assert after.load(tmp_path / "budget")
    assert after.held("k") is not None
    assert after.held("l") is None


def test_names_without_bytes_have_accounts_and_are_saved(tmp_path):
    limits = (Limit(1, per="user"), Limit(1, per="tag"), Limit(1, per="tenant", name="\udc80"))
    budget = budget_of(*limits)
    scope = Scope(user="\ud800", tenant="\udc80")
    reservation = budget.reserve_amount(5, scope=scope, tags=("\ud800",))
    reservation.send()
    budget.save(tmp_path / "budget")
    after = budget_of(*limits)
    assert after.load(tmp_path / "budget")
    assert after.balance(limits[0], scope=scope).spent == 5
    assert after.balance(limits[1], tag="\ud800").spent == 5
    assert after.balance(limits[2], scope=scope).spent == 5


@pytest.mark.parametrize("count", [lambda _: 3.5, lambda _: -1, lambda _: None, lambda _: 1 // 0])
def test_a_counter_that_does_not_count_is_a_clear_error(count):
    with pytest.raises(ConfigurationError, match="count"):
        budget_of(Limit(1), count=count).reserve(Request.chat("x", model="gpt-4o", max_tokens=1))


@pytest.mark.parametrize("options", [{"lease": "x"}, {"lease": 0}, {"degrade": 5}, {"degrade": "x"}, {"count": 3}])
def test_more_options_that_make_no_sense(options):
    with pytest.raises(ConfigurationError):
        budget_of(Limit(1), **options)


def test_what_is_in_the_air_at_midnight_is_saved_in_the_new_window(clock, tmp_path):
    clock.advance(DAY - clock.now() % DAY - 1)
    budget = budget_of(Limit(1, window="day"), clock=clock)
    budget.reserve_amount(100).send()
    clock.advance(600)
    budget.save(tmp_path / "budget")
    after = budget_of(Limit(1, window="day"), clock=clock)
    assert after.load(tmp_path / "budget")
    assert after.balance(after.limits[0]).spent == 100
