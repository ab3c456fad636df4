"""Stages and gates: what they change, what it costs, what a failing one may do, streams and real clients included."""

import msgspec
import openai
import pytest

import resopt
from asking import Scripted, Twin, ask, outcomes
from provider_faces import KEY
from resopt import AsyncOptimizer, ConfigurationError, Ledger, Optimizer, ResoptError, ResponseCache, Usage
from resopt.stage import Prepared
from resopt.types import Billed, Detour, Step

pytestmark = pytest.mark.anyio

PRICES = {"gpt-4o": (2.5, 10.0), "gpt-4o-mini": (0.25, 1.0)}
LARGE = 100 * 2_500_000 + 20 * 10_000_000
"""Picodollars of one answer (100 + 20 tokens) by gpt-4o; gpt-4o-mini takes a tenth."""


class Cheaper:
    """Asks gpt-4o-mini in place of gpt-4o, and again the one asked for when an answer has a bad word in it."""

    name = "route"

    def __init__(self, policy="1"):
        self.policy = policy
        self.learnt = []
        self.error = None
        self.bad = None

    def prepare(self, request):
        if self.error is not None:
            raise self.error
        other = msgspec.structs.replace(request, body={**request.body, "model": "gpt-4o-mini"})
        return Prepared(other, Step("route", "gpt-4o-mini", "always"), mechanism="route")

    def again(self, request, response):
        if self.bad is None or request.model == "gpt-4o":
            return None
        return Prepared(
            msgspec.structs.replace(request, body={**request.body, "model": "gpt-4o"}),
            Step("route", "gpt-4o", self.bad),
        )

    def learn(self, request, response):
        self.learnt.append((request.model, response.model))


class Shorter(Cheaper):
    name = "prompt"

    def prepare(self, request):
        return Prepared(request, Step("prompt", "shortened"), shortened=40)


class Counting:
    """A gate that counts who is inside, and can be closed."""

    name = "counting"

    def __init__(self):
        self.inside = 0
        self.settled = []
        self.closed = None

    async def enter(self, request):
        if self.closed is not None:
            raise self.closed
        self.inside += 1
        return self

    def settle(self, response, error):
        self.inside -= 1
        self.settled.append((None if response is None else response.model, type(error).__name__))

    def blocking(self):
        return self


@pytest.fixture
def stage():
    return Cheaper()


@pytest.fixture
def gate():
    return Counting()


async def test_another_model_is_asked_and_the_difference_is_its_own(stage, gate):
    provider = Scripted()
    optimizer = AsyncOptimizer(provider, prices=PRICES, stages=[stage], gates=[gate])
    response = await optimizer.complete(ask("What is Python?"))
    assert response.model == "gpt-4o-mini"
    assert provider.requests[0].model == "gpt-4o-mini"
    assert [step.stage for step in response.trace.steps] == ["flight", "route", "provider", "admit"]
    record = optimizer.ledger.records[0]
    assert (record.model, record.served_model, record.mechanism) == ("gpt-4o", "gpt-4o-mini", "route")
    assert (record.cost, record.baseline_cost, record.avoided) == (LARGE // 10, LARGE, {"route": LARGE * 9 // 10})
    assert stage.learnt == [("gpt-4o-mini", "gpt-4o-mini")]
    assert (gate.inside, gate.settled) == (0, [("gpt-4o-mini", "NoneType")])
    hit = await optimizer.complete(ask("What is Python?"))
    assert hit.trace.outcome == "hit"
    assert optimizer.ledger.records[1].avoided == {"exact": LARGE}
    assert provider.calls == 1


async def test_two_mechanisms_share_what_was_avoided(stage):
    optimizer = AsyncOptimizer(Scripted(), prices=PRICES, stages=[stage, Shorter()])
    await optimizer.complete(ask("What is Python?"))
    await optimizer.complete(ask("What is Python?"))
    missed, hit = optimizer.ledger.records
    assert missed.avoided == {"prompt": 40 * 2_500_000, "route": LARGE * 9 // 10}
    assert missed.cost == LARGE // 10
    assert missed.baseline_cost == LARGE + 40 * 2_500_000 == hit.baseline_cost == hit.avoided["exact"]
    assert (missed.usage.input_tokens, missed.avoided_usage.input_tokens) == (100, 40)
    report = optimizer.ledger.summary()
    savings = {saving.mechanism: saving.avoided for saving in report.savings}
    assert savings == {"exact": hit.baseline_cost, **missed.avoided}
    assert sum(savings.values()) == report.avoided == report.baseline - report.spent
    other = Ledger(PRICES)
    other.merge(optimizer.ledger)
    assert {saving.mechanism: saving.avoided for saving in other.summary().savings} == savings


async def test_a_second_attempt_is_billed_to_who_wanted_it(stage, gate):
    provider = Scripted()
    stage.bad = "empty"
    optimizer = AsyncOptimizer(provider, prices=PRICES, stages=[stage], gates=[gate])
    response = await optimizer.complete(ask("What is Python?"))
    assert response.model == "gpt-4o"
    record = optimizer.ledger.records[0]
    assert (record.cost, record.baseline_cost) == (LARGE + LARGE // 10, LARGE)
    assert record.avoided == {"route": -LARGE // 10}
    assert record.usage == Usage(input_tokens=200, output_tokens=40)
    assert len(gate.settled) == 2
    hit = await optimizer.complete(ask("What is Python?"))
    assert (hit.trace.cost, optimizer.ledger.records[1].avoided) == (0, {"exact": LARGE})


async def test_when_the_second_attempt_fails_the_first_answer_counts(stage):
    provider = Scripted()
    stage.bad = "empty"
    first = provider.complete

    async def complete(request):
        if request.model == "gpt-4o":
            raise ResoptError("down")
        return await first(request)

    provider.complete = complete
    optimizer = AsyncOptimizer(provider, prices=PRICES, stages=[stage])
    response = await optimizer.complete(ask("What is Python?"))
    assert response.model == "gpt-4o-mini"
    assert optimizer.ledger.records[0].cost == LARGE // 10
    assert ("provider", "failed") in [(step.stage, step.action) for step in response.trace.steps]


async def test_a_stage_that_fails_is_skipped_and_counted(stage, caplog):
    stage.error = RuntimeError("broken")
    optimizer = AsyncOptimizer(Scripted(), prices=PRICES, stages=[stage])
    response = await optimizer.complete(ask("What is Python?"))
    assert response.model == "gpt-4o"
    assert optimizer.skipped == {"route": 1}
    assert "broken" in caplog.text


@pytest.mark.parametrize("part", ["stage", "gate"])
async def test_a_refusal_reaches_the_caller(stage, gate, part):
    provider = Scripted()
    error = ResoptError("over budget")
    stage.error, gate.closed = (error, None) if part == "stage" else (None, error)
    first = Counting()
    optimizer = AsyncOptimizer(provider, prices=PRICES, stages=[stage], gates=[first, gate])
    with pytest.raises(ResoptError, match="over budget"):
        await optimizer.complete(ask("What is Python?"))
    assert (provider.calls, outcomes(optimizer), first.inside) == (0, ["error"], 0)


async def test_what_fails_upstream_is_settled_too(gate):
    provider = Scripted()
    provider.error = ResoptError("down")
    optimizer = AsyncOptimizer(provider, prices=PRICES, gates=[gate])
    with pytest.raises(ResoptError, match="down"):
        await optimizer.complete(ask("What is Python?"))
    assert (gate.inside, gate.settled) == (0, [(None, "ResoptError")])


async def test_optimizers_of_another_policy_share_a_cache_but_no_answer():
    cache, provider = ResponseCache(), Scripted()
    plain = AsyncOptimizer(provider, cache=cache)
    one = AsyncOptimizer(provider, cache=cache, stages=[Cheaper("1")])
    two = AsyncOptimizer(provider, cache=cache, stages=[Cheaper("2")])
    for optimizer in (plain, one, two):
        await optimizer.complete(ask("What is Python?"))
        await optimizer.complete(ask("What is Python?"))
        assert outcomes(optimizer) == ["miss", "hit"]
    assert provider.calls == 3
    assert len(cache) == cache.stats.entries == 3
    assert one.cache.stats == cache.stats


def test_blocking_optimizers_have_them_too(stage, gate):
    with Optimizer(Twin(), prices=PRICES, stages=[stage], gates=[gate]) as optimizer:
        assert optimizer.complete(ask("What is Python?")).model == "gpt-4o-mini"
    assert gate.settled == [("gpt-4o-mini", "NoneType")]


@pytest.mark.parametrize("given", [{"stages": [object()]}, {"gates": [object()]}])
def test_what_is_none_is_refused(given):
    with pytest.raises(ConfigurationError, match="object is no"):
        AsyncOptimizer(Scripted(), **given)


@pytest.mark.parametrize("stream", [False, True])
def test_a_wrapped_client_goes_through_them(server, stage, gate, stream):
    client = resopt.wrap(
        openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0), prices=PRICES, stages=[stage], gates=[gate]
    )
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is Python?"}], "stream": stream}
    if stream:
        asked["stream_options"] = {"include_usage": True}
    for _ in range(2):
        answer = client.chat.completions.create(**asked)
        models = {chunk.model for chunk in answer} if stream else {answer.model}
        assert models == {"gpt-4o-mini"}
    missed, hit = client.resopt.ledger.records
    assert (missed.outcome, missed.mechanism, hit.outcome) == ("miss", "route", "hit")
    assert missed.avoided_cost == 9 * missed.cost
    assert stage.learnt == [("gpt-4o-mini", "gpt-4o-mini")]
    assert gate.settled == [("gpt-4o-mini", "NoneType")]
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").chat.completions.create(**asked)
    assert gate.inside == 0


class Listening(Counting):
    def __init__(self):
        super().__init__()
        self.begun = []

    def first_chunk(self, seconds):
        self.begun.append(seconds)
        raise RuntimeError("of no consequence")


def test_gates_hear_once_when_a_stream_begins(server):
    gate = Listening()
    client = resopt.wrap(openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0), gates=[gate])
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is Python?"}]}
    for _ in range(2):
        assert list(client.chat.completions.create(**asked, stream=True))
    client.chat.completions.create(**asked | {"model": "gpt-4o-mini"})
    assert len(gate.begun) == 1
    assert gate.begun[0] > 0
    assert gate.inside == 0
    assert client.resopt.skipped == {"counting": 1}


# The ledger's part


def test_a_discount_is_what_was_deferred():
    record = Ledger(PRICES).record(
        outcome="miss",
        model="gpt-4o",
        latency=1,
        usage=Usage(input_tokens=100, output_tokens=20),
        detour=Detour(discount=50),
    )
    assert (record.cost, record.avoided, record.mechanism) == (LARGE // 2, {"deferred": LARGE // 2}, "deferred")


def test_a_hit_that_took_a_call_costs_what_it_cost():
    mini = Billed("rewrite", "gpt-4o-mini", Usage(input_tokens=100, output_tokens=20))
    record = Ledger(PRICES).record(
        outcome="hit", mechanism="rewrite", model="gpt-4o", latency=1, usage=Usage(input_tokens=100, output_tokens=20),
        detour=Detour(also=(mini,)),
    )  # fmt: skip
    assert (record.cost, record.baseline_cost, record.avoided) == (LARGE // 10, LARGE, {"rewrite": LARGE * 9 // 10})
    assert record.usage == mini.usage


def test_an_unknown_price_is_unknown():
    for detour in (Detour(mechanism="route"), Detour(also=(Billed("judge", "nobody", Usage(input_tokens=1)),))):
        record = Ledger(PRICES).record(
            outcome="miss",
            model="gpt-4o",
            served_model="unpriced",
            latency=1,
            usage=Usage(input_tokens=9),
            detour=detour,
        )
        assert record.cost is None
        assert record.avoided == {}


def test_calls_of_our_own_cost_money_and_are_no_requests():
    ledger = Ledger(PRICES)
    ledger.record(outcome="miss", model="gpt-4o", latency=1, usage=Usage(input_tokens=100, output_tokens=20))
    record = ledger.background("audit", "gpt-4o-mini", Usage(input_tokens=100, output_tokens=20), latency=2)
    assert (record.cost, record.baseline_cost, record.avoided) == (LARGE // 10, 0, {"audit": -LARGE // 10})
    report = ledger.summary()
    assert (report.requests, report.spent, report.baseline) == (1, LARGE + LARGE // 10, LARGE)
    assert {figures.model: (figures.requests, figures.calls) for figures in report.models} == {
        "gpt-4o": (1, 1),
        "gpt-4o-mini": (0, 1),
    }
    assert report.latency.requests == 1
    assert "audit" in str(report)
