"""A judge in a cascade of the pipeline: asked where it can matter, held by the gates, paid in the request's record."""

import anyio
import anyio.lowlevel
import pytest

from asking import answered
from provider_faces import provider_for
from resopt import (
    Budget,
    ConfigurationError,
    CostAwareRouter,
    Judge,
    Limit,
    PriceBook,
    Request,
    Response,
    Scope,
    Tier,
)
from resopt.types import Usage

PRICES = PriceBook({"gpt-4o-mini": (0.15, 0.6), "gpt-4o": (2.5, 10), "judge-1": (1, 5)})
TIERS = (Tier("fast", "gpt-4o-mini"), Tier("powerful", "gpt-4o"))
JUDGED = Usage(input_tokens=50, output_tokens=5)
ANN = Scope(user="ann")


class Strict:
    """A model that judges: it scores every answer alike."""

    name = "strict"

    def __init__(self, score=1):
        self.score, self.requests, self.error = score, [], None

    async def complete(self, request):
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        return Response(text=f"{self.score}: so so", model="judge-1", usage=JUDGED)

    def blocking(self):
        return self

    async def aclose(self):
        """Nothing is open."""


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def complete(request, server):
    """Answer requests by one optimizer on one face: answers and records."""

    def run(requests, **options):
        optimizer, answers = answered(request.param, provider_for(server), requests, prices=PRICES, **options)
        return answers, list(optimizer.ledger.records)

    return run


def cascade(judge, **options):
    return CostAwareRouter(budget_per_request=1.0, tiers=TIERS, prices=PRICES, checks=[], judge=judge, **options)


def judge_of(model, **options):
    return Judge(provider=model, model="judge-1", **options)


def chat(text="What is Python?", **fields):
    return Request.chat(text, **{"max_tokens": 60, "scope": ANN, **fields})


def test_what_a_judge_scores_low_is_asked_again_and_everything_is_billed(complete, server):
    model, heard = Strict(score=1), []
    limit, tagged = Limit(1, per="user"), Limit(1, per="tag", name="judge")
    budget = Budget(limit, tagged, prices=PRICES)
    judge = judge_of(model, bill=lambda *call: heard.append(call))
    (answer,), (record,) = complete([chat()], stages=[cascade(judge)], gates=[budget])
    assert not answer.model.startswith("gpt-4o-mini")
    assert len(model.requests) == 1, "the last tier's answer counts whatever it is: nobody need judge it"
    assert [call.mechanism for call in answer.detour.also] == ["judge", "route"]
    cheap = answer.detour.also[1]
    parts = [(answer.model, answer.usage), (cheap.model, cheap.usage), ("judge-1", JUDGED)]
    assert record.cost == sum(PRICES.cost(model, usage) for model, usage in parts)
    assert budget.balance(limit, scope=ANN).spent == record.cost
    assert budget.balance(tagged, tag="judge").spent == PRICES.cost("judge-1", JUDGED)
    assert budget.accounts.open == 0
    assert heard == [], "the request's record has it: nobody is to count it twice"
    assert "by judge" in next(step.reason for step in answer.trace.steps if "judge" in step.reason)


def test_what_a_judge_likes_is_the_answer_and_the_judge_is_paid(complete, server):
    model = Strict(score=10)
    (answer, hit), records = complete([chat(), chat()], stages=[cascade(judge_of(model))])
    assert answer.model.startswith("gpt-4o-mini")
    assert len(model.requests) == 1, "a stored answer is not judged again"
    assert records[0].cost == PRICES.cost(answer.model, answer.usage) + PRICES.cost("judge-1", JUDGED)
    assert hit.trace.outcome == "hit"
    assert server.stats().requests == 1


def test_a_judge_that_breaks_or_may_not_be_asked_has_no_verdict(complete, server):
    model = Strict()
    model.error = ValueError("out of order")
    (answer,), (record,) = complete([chat()], stages=[cascade(judge_of(model))])
    assert answer.model.startswith("gpt-4o-mini")
    assert record.cost == PRICES.cost(answer.model, answer.usage)
    poor, dear = Strict(score=1), Limit("0.00005", per="tag", name="judge")
    budget = Budget(dear, prices=PRICES)
    (answer,), _ = complete([chat("And Rust?")], stages=[cascade(judge_of(poor))], gates=[budget])
    assert answer.model.startswith("gpt-4o-mini")
    assert (poor.requests, budget.accounts.open) == ([], 0)


@pytest.mark.parametrize("options", [{"max_attempts": 1}, {"budget_per_request": 0.00005}])
def test_nobody_is_asked_for_a_verdict_that_can_change_nothing(complete, server, options):
    model = Strict()
    stage = CostAwareRouter(**{"budget_per_request": 1.0, **options}, tiers=TIERS, prices=PRICES, judge=judge_of(model))
    complete([chat()], stages=[stage])
    assert model.requests == []


def test_a_function_judges_too(complete, server):
    asked = []

    def judge(question, answer, context):
        asked.append(question)
        return 0.0 if len(asked) == 1 else 1.0

    answers, _ = complete([chat(), chat("And Rust?")], stages=[cascade(judge)])
    assert [answer.model.startswith("gpt-4o-mini") for answer in answers] == [False, True]
    assert asked == ["What is Python?", "And Rust?"]


def test_a_judge_that_waits_is_refused_by_callers_that_block_and_awaited_by_others(request, complete, server):
    async def judge(question, answer, context):
        await anyio.lowlevel.checkpoint()
        return 0.0

    if "blocking" in request.node.name:
        with pytest.raises(ConfigurationError, match="async"):
            complete([chat()], stages=[cascade(judge)])
    else:
        (answer,), _ = complete([chat()], stages=[cascade(judge)])
        assert not answer.model.startswith("gpt-4o-mini")


def test_a_judge_that_fails_in_its_own_way_is_skipped(complete, server):
    def judge(question, answer, context):
        raise KeyError("rubric")

    (answer,), _ = complete([chat()], stages=[cascade(judge)])
    assert answer.model.startswith("gpt-4o-mini")
    assert any(step.action == "skipped" for step in answer.trace.steps)
