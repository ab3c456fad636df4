"""Budgets of routers and cascades used by themselves: every attempt and every judge's call is set aside and settled."""

import json
import threading
from contextlib import suppress

import anyio
import openai
import pytest

import resopt
from asking import OnlyOnce
from provider_faces import KEY, provider_for
from resopt import (
    Budget,
    BudgetExceededError,
    ConfigurationError,
    CostAwareRouter,
    Judge,
    Limit,
    ModelRouter,
    PriceBook,
    Request,
    Scope,
    Tier,
)
from resopt.errors import ServerError
from resopt.route.checks import Check
from resopt.route.wishes import current

PRICES = PriceBook({"gpt-4o-mini": (0.15, 0.6), "gpt-4o": (2.5, 10), "claude-haiku-4-5": (1, 5)})
TIERS = (Tier("fast", "gpt-4o-mini"), Tier("powerful", "gpt-4o"))
FACES = ["blocking", "asyncio", "trio"]


def account(budget, limit=None, **whose):
    return budget.balance(budget.limits[0] if limit is None else limit, **whose)


def chat(text="What is Python?", **fields):
    return Request.chat(text, model="auto", **{"max_tokens": 60, **fields})


def weak(request, response):
    """A check that no answer of the cheap model passes."""
    return "it is the cheap model's" if response.model.startswith("gpt-4o-mini") else None


NEVER = Check("never", 1.0, weak)


@pytest.fixture(params=FACES)
def face(request):
    return request.param


@pytest.fixture
def made():
    """Providers that a test has made, and judges."""
    return []


@pytest.fixture
def provider(made, server):
    """Make a provider."""

    def provider(**settings):
        made.append(provider_for(server, **settings))
        return made[-1]

    return provider


async def closed(made):
    for each in made:
        if isinstance(each, Judge):
            each.close()
        else:
            await each.aclose()


@pytest.fixture
def judging(made, provider):
    """Make a model that judges."""

    def judging(**options):
        made.append(Judge(provider=provider(), model="claude-haiku-4-5", **options))
        return made[-1]

    return judging


@pytest.fixture
def play(face, made):
    """Ask `call(router)` on one face: `call` gets the router's blocking and its async method."""

    def play(router, blocking, later):
        if face == "blocking":
            try:
                return blocking(router)
            finally:
                router.close()
                anyio.run(closed, made)

        async def session():
            try:
                return await later(router)
            finally:
                await router.aclose()
                await closed(made)

        return anyio.run(session, backend=face)

    return play


def routed(play, router, request, **wishes):
    return play(
        router,
        lambda each: each.route_and_execute(request, **wishes),
        lambda each: each.aroute_and_execute(request, **wishes),
    )


def climbed(play, cascade, request, **wishes):
    return play(
        cascade, lambda each: each.execute_blocking(request, **wishes), lambda each: each.execute(request, **wishes)
    )


def test_a_router_sets_aside_and_settles(play, provider, server):
    budget = Budget(Limit(1, per="user"), prices=PRICES)
    router = ModelRouter(TIERS, prices=PRICES, provider=provider(), gates=[budget])
    request = chat(scope=Scope(user="ann"))
    _, model, dollars = routed(play, router, request, min_tier="powerful")
    assert model == "gpt-4o"
    held = account(budget, scope=request.scope)
    assert (held.spent, held.promised, budget.accounts.open) == (round(dollars * 10**12), 0, 0)
    assert account(budget).spent == 0, "nobody's account is another"


def test_a_router_asks_nobody_over_budget(play, provider, server):
    budget = Budget(Limit("0.0000001"), prices=PRICES)
    router = ModelRouter(TIERS, prices=PRICES, provider=provider(), gates=[budget])
    with pytest.raises(BudgetExceededError):
        routed(play, router, chat())
    assert (server.stats().requests, budget.accounts.open) == (0, 0)
    assert router.health.is_clear, "a model is not ill because there is no money"


def test_a_router_asks_a_lower_tier_where_the_budget_says_so(play, provider, server):
    budget = Budget(Limit("0.0005", over="degrade"), prices=PRICES)
    router = ModelRouter(TIERS, prices=PRICES, provider=provider(), gates=[budget])
    hard = chat("Which is faster, Python or Ruby, if neither is compiled, and why are there, in the end, two of them?")
    _, model, dollars = routed(play, router, hard, mode="accurate", session="s")
    assert model == "gpt-4o-mini"
    assert account(budget).spent == round(dollars * 10**12)
    assert (list(router.distribution.values()), list(router.answered.values())) == ([0, 1], [1, 0])
    for wish in ({"min_tier": "powerful"}, {"critical": True}):
        other = ModelRouter(TIERS, prices=PRICES, provider=provider(), gates=[budget])
        with pytest.raises(BudgetExceededError):
            routed(play, other, chat(), **wish)


def test_a_model_that_fails_costs_nothing(play, provider, server):
    budget = Budget(Limit(1), prices=PRICES)
    provider = provider(max_attempts=1)
    router = ModelRouter(TIERS, prices=PRICES, provider=provider, gates=[budget])
    server.next_faults("500")
    with pytest.raises(ServerError):
        routed(play, router, chat())
    assert (account(budget).spent, account(budget).promised, budget.accounts.open) == (0, 0, 0)


def test_every_attempt_and_the_judge_are_in_the_budget(play, provider, judging, server):
    """The judge's calls count in the account of the user whose answer it judges, and in the result's cost."""
    limit, tagged = Limit(1, per="user"), Limit(1, per="tag", name="judge")
    budget = Budget(limit, tagged, prices=PRICES)
    judge = judging()
    cascade = CostAwareRouter(
        tiers=TIERS,
        prices=PRICES,
        provider=provider(),
        checks=[NEVER],
        judge=judge,
        gates=[budget],
    )
    scope = Scope(user="ann")
    result = climbed(play, cascade, chat(scope=scope))
    assert [attempt.model for attempt in result.attempts] == ["gpt-4o-mini", "gpt-4o"]
    assert judge.calls == 1, "what a check has refused is not judged"
    (call,) = result.attempts[1].verdict.billed
    assert result.attempts[1].verdict.cost == PRICES.cost(call.model, call.usage) > 0
    assert account(budget, limit, scope=scope).spent == result.cost
    assert account(budget, tagged, tag="judge").spent == result.attempts[1].verdict.cost
    assert budget.accounts.open == 0
    assert server.stats().requests == 3


def test_a_judge_with_the_same_budget_pays_once(play, provider, judging, server):
    budget = Budget(Limit(1), prices=PRICES)
    judge = judging(budget=budget)
    cascade = CostAwareRouter(tiers=TIERS, prices=PRICES, provider=provider(), judge=judge.score, gates=[budget])
    result = climbed(play, cascade, chat())
    assert judge.calls == len(result.attempts) > 0
    assert account(budget).spent == result.cost


def test_the_way_up_ends_where_the_budget_does(play, provider, server):
    budget = Budget(Limit("0.0005"), prices=PRICES)
    cascade = CostAwareRouter(tiers=TIERS, prices=PRICES, provider=provider(), checks=[NEVER], gates=[budget])
    result = climbed(play, cascade, chat())
    assert (result.ended, result.model, len(result.attempts)) == ("budget", "gpt-4o-mini", 1)
    assert account(budget).spent == result.cost
    broke = CostAwareRouter(
        tiers=TIERS, prices=PRICES, provider=provider(), gates=[Budget(Limit("0.0000001"), prices=PRICES)]
    )
    with pytest.raises(BudgetExceededError):
        climbed(play, broke, chat())


def test_an_answer_there_is_comes_back_when_the_next_call_finds_the_queue_full(play, provider, server):
    cascade = CostAwareRouter(tiers=TIERS, prices=PRICES, provider=provider(), checks=[NEVER], gates=[OnlyOnce()])
    result = climbed(play, cascade, chat())
    assert (result.model, len(result.attempts), result.accepted) == ("gpt-4o-mini", 1, False)


@pytest.mark.parametrize("kind", [openai.OpenAI, openai.AsyncOpenAI])
def test_who_asks_a_wrapped_client_gets_the_attempt_that_counts(kind, server):
    cascade = CostAwareRouter(tiers=TIERS, prices=PRICES, checks=[NEVER])
    client = kind(base_url=server.base_url, api_key=KEY, max_retries=0)
    wrapped = resopt.wrap(client, prices=PRICES, stages=[cascade])
    talk = {"model": "auto", "messages": [{"role": "user", "content": "What is Python?"}]}

    async def session():
        async with client:
            return [await wrapped.chat.completions.create(**talk) for _ in range(2)]

    if kind is openai.OpenAI:
        with client:
            miss, hit = [wrapped.chat.completions.create(**talk) for _ in range(2)]
    else:
        miss, hit = anyio.run(session)
    assert [json.loads(sent.body)["model"] for sent in server.requests()] == ["gpt-4o-mini", "gpt-4o"]
    assert miss.model.startswith("gpt-4o")
    assert not miss.model.startswith("gpt-4o-mini")
    assert hit == miss
    assert (resopt.last(miss).outcome, resopt.last(hit).outcome) == ("miss", "hit")


def test_a_cascade_that_would_begin_too_dear_begins_lower_where_the_budget_says_so(play, provider, server):
    budget = Budget(Limit("0.0005", over="degrade"), prices=PRICES)
    cascade = CostAwareRouter(tiers=TIERS, prices=PRICES, provider=provider(), checks=[], gates=[budget])
    for _ in range(200):  # cheap answers have failed: it would begin at the top
        cascade.escalations.count(0, cascade.climb(chat(), current.get()).percentile, failed=True)
    assert cascade.climb(chat(), current.get()).place == 1
    result = climbed(play, cascade, chat())
    assert [attempt.model for attempt in result.attempts] == ["gpt-4o-mini"]


def test_a_judge_that_the_budget_forbids_has_no_verdict(play, provider, judging, server):
    budget = Budget(Limit("0.0003"), prices=PRICES)
    judge = judging()
    cascade = CostAwareRouter(tiers=TIERS, prices=PRICES, provider=provider(), judge=judge, gates=[budget])
    result = climbed(play, cascade, chat())
    assert result.accepted
    assert "no verdict" in result.attempts[0].verdict.reason
    assert (server.stats().requests, account(budget).spent) == (1, result.cost)


CALLERS = 64
LIMIT = Limit("0.008")


def crowd(provider, judging):
    budget = Budget(LIMIT, prices=PRICES)
    judge = judging()
    cascade = CostAwareRouter(
        tiers=TIERS, prices=PRICES, provider=provider(), checks=[NEVER], judge=judge, gates=[budget]
    )
    return budget, cascade


def check_crowd(budget, results, server):
    assert (account(budget).promised, budget.accounts.open) == (0, 0)
    billed = sum(result.cost for result in results)
    assert 0 < billed <= account(budget).spent <= 8_000_000_000
    assert 0 < server.stats().requests < 3 * CALLERS
    assert {result.ended for result in results} >= {"budget"}


def test_sixty_four_threads_never_overspend(provider, judging, made, server):
    budget, cascade = crowd(provider, judging)
    results, start = [], threading.Barrier(CALLERS)

    def caller(number):
        start.wait()
        with suppress(BudgetExceededError):
            results.append(cascade.execute_blocking(chat(f"What is {number} plus {number}?")))

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cascade.close()
    anyio.run(closed, made)
    check_crowd(budget, results, server)


@pytest.mark.anyio
async def test_sixty_four_tasks_some_of_which_leave_never_overspend(provider, judging, made, server):
    budget, cascade = crowd(provider, judging)
    results = []

    async def caller(number):
        with suppress(BudgetExceededError), anyio.move_on_after(0.01 if number % 7 == 0 else 60):
            results.append(await cascade.execute(chat(f"What is {number} plus {number}?")))

    async with anyio.create_task_group() as group:
        for number in range(CALLERS):
            group.start_soon(caller, number)
    await cascade.aclose()
    await closed(made)
    check_crowd(budget, results, server)


def test_gates_belong_to_who_asks():
    with pytest.raises(ConfigurationError, match="no gate"):
        ModelRouter(TIERS, gates=[object()])
    router = ModelRouter(TIERS)
    with pytest.raises(ConfigurationError, match="not both"):
        CostAwareRouter(router=router, gates=[Budget(Limit(1), prices=PRICES)])
