"""The router and the cascade as stages: over the simulated provider, on every face, and with real clients."""

import anyio
import openai
import pytest

import resopt
from asking import Scripted, Twin, answered
from provider_faces import KEY, provider_for
from resopt import (
    AsyncOptimizer,
    CostAwareRouter,
    ModelRouter,
    PriceBook,
    Request,
    RoutePolicy,
    Tier,
    routing,
)
from resopt.errors import ServerError
from resopt.route.health import Health
from resopt.stage import Gate, Stage

EASY = "What is the capital of France?"
HARD = (
    "If a train with 12 cars, each holding 40 people, leaves at 9 and another at 10, not counting those who stay, "
    "write a function that proves how many people in total arrive, and assume that half of all cars are empty unless "
    "stated otherwise; consider every case, name each assumption, and give the result per car."
)
PRICES = {"gpt-4o": (2.5, 10.0), "gpt-4o-mini": (0.15, 0.6)}
TIERS = (Tier("fast", "gpt-4o-mini"), Tier("powerful", "gpt-4o"))


def router(**options):
    return ModelRouter(TIERS, prices=PriceBook(PRICES), **options)


def cascade(**options):
    return CostAwareRouter(budget_per_request=1.0, tiers=TIERS, prices=PriceBook(PRICES), **options)


@pytest.mark.parametrize("stage", [router, cascade])
def test_the_quality_of_tiers_is_told_by_the_routers_names(server, stage):
    said = resopt.Feedback()
    with resopt.Optimizer(provider_for(server), prices=PRICES, stages=[stage()], quality=said) as optimizer:
        for text in (EASY, HARD):
            optimizer.feedback(optimizer.complete(text, model="gpt-4o"), score=1.0)
    assert "fast" in {figures.name for figures in said.report().tiers} <= {"fast", "powerful"}
    own = resopt.Feedback(tiers={"gpt-4o-mini": "my own"})
    with resopt.Optimizer(provider_for(server), prices=PRICES, stages=[stage()], quality=own) as optimizer:
        optimizer.feedback(optimizer.complete(EASY, model="gpt-4o"), score=1.0)
        assert [figures.name for figures in own.report().tiers] == ["my own"]


def test_they_are_what_the_pipeline_takes():
    assert isinstance(router(), Stage)
    assert isinstance(cascade(), Stage)
    assert isinstance(Health(), Gate)


@pytest.fixture(params=["asyncio", "trio", "blocking"])
def complete(request):
    """Send requests through a pipeline on one face; the answers and the records."""

    def run(provider, requests, **options):
        optimizer, answers = answered(request.param, provider, requests, prices=PRICES, **options)
        return answers, list(optimizer.ledger.records)

    return run


def test_questions_go_to_their_tiers_and_the_difference_is_the_routers(server, complete):
    stage = router()
    asked = [Request.chat(text) for text in (EASY, HARD, EASY)]
    answers, records = complete(provider_for(server), asked, stages=[stage], gates=[stage.health])
    assert [answer.model for answer in answers] == ["gpt-4o-mini", "gpt-4o", "gpt-4o-mini"]
    missed, strong, hit = records
    assert (missed.model, missed.served_model, missed.mechanism) == ("gpt-4o", "gpt-4o-mini", "route")
    usage = missed.usage
    assert missed.cost == PriceBook(PRICES).cost("gpt-4o-mini", usage)
    assert missed.baseline_cost == PriceBook(PRICES).cost("gpt-4o", usage)
    assert missed.avoided == {"route": missed.baseline_cost - missed.cost}
    assert (strong.mechanism, strong.avoided) == (None, {})
    assert hit.outcome == "hit"
    step = next(step for step in answers[0].trace.steps if step.stage == "route")
    assert step.action == "gpt-4o-mini"
    assert "length in bytes" in step.reason
    assert stage.distribution == {"fast": 1, "powerful": 1}
    assert stage.health.is_clear


def test_a_model_of_nobodys_tier_is_untouched(server, complete):
    answers, records = complete(provider_for(server), [Request.chat(EASY, model="gpt-3.5-turbo")], stages=[router()])
    assert answers[0].model == "gpt-3.5-turbo"
    assert records[0].mechanism is None


def test_a_cascade_asks_again_when_the_answer_is_blank(server, complete):
    stage = cascade()
    blank = Request.chat(f"{EASY} [simulate: blank]")
    answers, records = complete(provider_for(server), [blank], stages=[stage])
    assert answers[0].model == "gpt-4o"
    record = records[0]
    assert record.cost == sum(PriceBook(PRICES).cost(model, answers[0].usage) for model in ("gpt-4o-mini", "gpt-4o"))
    assert record.avoided == {"route": record.baseline_cost - record.cost}
    assert record.avoided_cost < 0, "two calls cost more than one"
    reasons = [step.reason for step in answers[0].trace.steps if step.stage == "route"]
    assert reasons[0].startswith("the cheapest first")
    assert "the answer is empty" in reasons[1]


def test_a_cascade_is_content_with_a_good_answer(server, complete):
    answers, records = complete(provider_for(server), [Request.chat(EASY)], stages=[cascade()])
    assert (answers[0].model, records[0].mechanism) == ("gpt-4o-mini", "route")
    assert len(server.requests()) == 1


def test_a_cascade_in_the_pipeline_keeps_to_its_limits(server, complete):
    blank = Request.chat(f"{EASY} [simulate: blank]")
    for options in ({"max_attempts": 1}, {"budget_per_request": 0.0001}):
        stage = CostAwareRouter(tiers=TIERS, prices=PriceBook(PRICES), **options)
        answers, _ = complete(provider_for(server), [blank], stages=[stage])
        assert answers[0].model == "gpt-4o-mini"


def test_wishes_reach_the_stage_and_are_never_answered_for_others(server, complete):
    stage = router()
    provider = provider_for(server)
    with routing(critical=True):
        first, _ = complete(provider, [Request.chat(EASY)], stages=[stage])
    second, _ = complete(provider_for(server), [Request.chat(EASY)], stages=[stage])
    with routing(pin=True):
        third, _ = complete(provider_for(server), [Request.chat(EASY)], stages=[stage])
    assert [answers[0].model for answers in (first, second, third)] == ["gpt-4o", "gpt-4o-mini", "gpt-4o"]


@pytest.mark.parametrize("kind", [router, cascade])
@pytest.mark.anyio
async def test_one_callers_wishes_change_nobody_elses_key(kind):
    optimizer = AsyncOptimizer(Scripted(), prices=PRICES, stages=[kind()])
    models = []
    for wishes in ({}, {"critical": True}, {}, {"critical": True}, {"pin": True}, {"max_tier": "fast"}):
        with routing(**wishes):
            models.append((await optimizer.complete(Request.chat(EASY))).model)
    assert models == ["gpt-4o-mini", "gpt-4o", "gpt-4o-mini", "gpt-4o", "gpt-4o", "gpt-4o-mini"]
    assert [record.outcome for record in optimizer.ledger.records] == ["miss", "miss", "hit", "hit", "miss", "miss"]
    with routing(critical=True):
        assert optimizer.lookup(Request.chat(EASY)).model == "gpt-4o"
    assert optimizer.lookup(Request.chat(EASY)).model == "gpt-4o-mini"


@pytest.mark.parametrize("kind", ["router", "cascade"])
@pytest.mark.anyio
async def test_what_no_tier_can_do_is_left_to_the_model_asked_for(kind):
    blind = tuple(Tier(tier.name, tier.model, tools=False) for tier in TIERS)
    plain = ModelRouter(blind)
    stage = plain if kind == "router" else CostAwareRouter(None, router=plain)
    optimizer = AsyncOptimizer(Scripted(), stages=[stage])
    tools = [{"type": "function", "function": {"name": "f"}}]
    response = await optimizer.complete(Request.chat(EASY, tools=tools))
    assert response.model == "gpt-4o"
    assert "it cannot call tools" in response.trace.steps[1].reason
    with pytest.raises(resopt.RoutingError), routing(max_tier="fast"):
        await optimizer.complete(Request.chat(EASY, tools=tools))
    with pytest.raises(resopt.RoutingError):
        await optimizer.complete(Request.chat(EASY, model="auto", tools=tools))


@pytest.mark.anyio
async def test_another_policy_has_answers_of_its_own():
    from resopt import ResponseCache

    cache, provider = ResponseCache(), Scripted()
    for policy in (RoutePolicy.share(powerful=0.1), RoutePolicy.share(powerful=0.2)):
        optimizer = AsyncOptimizer(provider, cache=cache, stages=[router(policy=policy)])
        for _ in range(2):
            await optimizer.complete(Request.chat(EASY))
    assert provider.calls == 2


@pytest.mark.anyio
async def test_a_model_that_fails_rests_by_way_of_the_gate():
    provider, stage = Scripted(), router(health=Health(failures=2))
    provider.error = ServerError("down")
    optimizer = AsyncOptimizer(provider, stages=[stage], gates=[stage.health])
    for number in range(2):
        with pytest.raises(ServerError):
            await optimizer.complete(Request.chat(f"{EASY} {number}"))
    provider.error = None
    response = await optimizer.complete(Request.chat(EASY))
    assert response.model == "gpt-4o"
    assert "it has failed lately and rests" in response.trace.steps[1].reason


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", [router, cascade])
def test_real_clients_are_routed_and_streams_never_switched(server, kind, stream):
    stage = kind()
    client = resopt.wrap(
        openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0), prices=PRICES, stages=[stage]
    )
    question = f"{EASY} [simulate: blank]" if stream else EASY
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": question}], "stream": stream}
    if stream:
        asked["stream_options"] = {"include_usage": True}
    answer = client.chat.completions.create(**asked)
    assert ({chunk.model for chunk in answer} if stream else {answer.model}) == {"gpt-4o-mini"}
    assert len(server.requests()) == 1
    record = client.resopt.ledger.records[0]
    assert (record.mechanism, record.model, record.served_model) == ("route", "gpt-4o", "gpt-4o-mini")


def test_alone_it_asks_the_provider_on_every_face(server, ask):
    provider = provider_for(server)
    stage = router(provider=provider)
    up = CostAwareRouter(budget_per_request=1.0, router=stage)

    async def both():
        routed = await stage.aroute_and_execute(EASY)
        result = await up.execute(f"{EASY} [simulate: blank]")
        await stage.aclose()
        await provider.aclose()
        return routed, result

    if ask.face == "blocking":
        routed = stage.route_and_execute(EASY)
        result = up.execute_blocking(f"{EASY} [simulate: blank]")
        up.close()
    else:
        routed, result = anyio.run(both, backend=ask.face)
    response, model, cost = routed
    assert (response.model, model) == ("gpt-4o-mini", "gpt-4o-mini")
    assert cost == PriceBook(PRICES).cost("gpt-4o-mini", response.usage) / 1e12
    assert [attempt.model for attempt in result.attempts] == ["gpt-4o-mini", "gpt-4o"]


def test_a_provider_without_a_blocking_twin_is_said_clearly():
    with pytest.raises(resopt.ConfigurationError, match="no blocking twin"):
        router(provider=Scripted()).route_and_execute(EASY)
    assert router(provider=Twin()).route_and_execute(EASY)[1] == "gpt-4o-mini"
