"""Shadows that the pipeline starts: over the simulator, on every face, in the background, with books."""

import json
import threading

import anyio
import anyio.lowlevel
import msgspec
import openai
import pytest

import resopt
from asking import PRICES, OnlyOnce, Scripted, Twin, answered
from provider_faces import KEY, provider_for
from resopt import (
    AsyncOptimizer,
    Budget,
    ConfigurationError,
    Experiment,
    Judge,
    Limit,
    PriceBook,
    Request,
    Response,
    Rollout,
    Shadow,
)
from resopt.stage import Prepared
from resopt.types import Step, ToolCall, Usage

BOOK = PriceBook({**PRICES, "judge-1": (1, 5)})
JUDGED = Usage(input_tokens=50, output_tokens=5)


class Louder:
    """A stage that shouts the question."""

    name, policy = "prompt", "1"

    def said(self, question):
        return question.upper()

    def prepare(self, request):
        messages = [{"role": "user", "content": self.said(request.question)}]
        return Prepared(
            Request(**{**fields_of(request), "body": {**request.body, "messages": messages}}), Step("prompt", "louder")
        )

    def again(self, request, response):
        return None

    def learn(self, request, response):
        return None


class Deeper(Louder):
    """A stage that asks for more, which the simulator's answers show."""

    def said(self, question):
        return f"{question} And why?"


def fields_of(request):
    return {name: getattr(request, name) for name in request.__struct_fields__}


class Pairs:
    """A model that judges, and remembers the pairs of answers that it was shown; it likes whichever is louder."""

    name = "pairs"

    def __init__(self):
        self.asked, self.gate, self.error = [], None, None
        self.lock = threading.Lock()

    async def complete(self, request):
        with self.lock:
            self.asked.append(request)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        text = request.body["messages"][-1]["content"]
        first = text[text.index("[first answer") : text.index("[end of first")]
        louder = "WHAT" in first or "and why" in first.lower()
        return Response(text="FIRST: louder" if louder else "SECOND: louder", model="judge-1", usage=JUDGED)

    def blocking(self):
        return self

    async def aclose(self):
        """Nothing is open."""


def body_of(arrived):
    return json.loads(arrived.body)


def judge_of(model, **options):
    return Judge(provider=model, model="judge-1", **options)


def shadow_of(model, **options):
    return Shadow("louder", stage="prompt", judge=judge_of(model), **{"share": 100, **options})


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def complete(request):
    """Answer questions on one face, in turn, and close; the optimizer."""

    def run(provider, questions, *, times=1, **options):
        options = {"prices": BOOK, "stages": [Louder()], **options}
        requests = [Request.chat(each, max_tokens=600) for each in questions for _ in range(times)]
        optimizer, optimizer.answers = answered(request.param, provider, requests, **options)
        return optimizer

    return run


QUESTIONS = [f"What is {thing}?" for thing in ("Python", "Rust", "Go")]


def test_closing_waits_until_all_are_compared_and_the_books_have_it(complete, server):
    """With the stage on for everybody its answers are the candidates; the baseline is asked in the shadow."""
    model = Pairs()
    shadow = shadow_of(model)
    limit, tagged = Limit(5), Limit(5, per="tag", name="judge")
    budget = Budget(limit, tagged, prices=BOOK)
    provider = provider_for(server)
    optimizer = complete(provider, QUESTIONS, times=2, stages=[Deeper()], experiments=[shadow], gates=[budget])
    result = shadow.result()
    assert (result.pairs, result.wins, result.failed, result.no_verdict) == (3, 3, 0, 0)
    sent = [body_of(each)["messages"][-1]["content"] for each in server.requests()]
    assert sorted(sent) == sorted([*QUESTIONS, *(f"{each} And why?" for each in QUESTIONS)]), "hits are not compared"
    assert budget.balance(tagged, tag="judge").spent == 6 * BOOK.cost("judge-1", JUDGED), "both orders"
    records = optimizer.ledger.records
    assert {(record.outcome, record.mechanism) for record in records} == {
        ("miss", None),
        ("hit", "exact"),
        ("background", "shadow"),
        ("background", "judge"),
    }
    assert budget.balance(limit).spent == sum(record.cost for record in records)
    assert budget.accounts.open == 0


def test_the_candidate_is_the_stages_whichever_the_user_got(complete):
    model = Pairs()
    shadow = shadow_of(model)
    provider = Twin()
    optimizer = complete(provider, QUESTIONS, experiments=[shadow], rollout=Rollout({"prompt_optimization": 0}))
    assert [answer.text[3:] for answer in optimizer.answers] == QUESTIONS
    assert shadow.result().wins == 3
    assert sorted(request.question for request in provider.requests) == sorted(
        [*QUESTIONS, *(question.upper() for question in QUESTIONS)]
    )


def test_experiments_and_shadows_go_together(complete):
    shadow = shadow_of(Pairs())
    experiment = Experiment("trial", stage="prompt", ramp=[100], per_step=10_000)
    optimizer = complete(Twin(), [f"What is {number}?" for number in range(20)], experiments=[experiment, shadow])
    said = {answer.text[-9:].isupper() for answer in optimizer.answers}
    assert said <= {True, False}
    assert shadow.result().wins == 20
    requests = [arm.requests for arm in experiment.result().arms.values()]
    assert sum(requests) == 20, "what is asked in the shadow is in no arm"


def test_only_the_share_is_asked_twice(complete):
    shadow, provider = shadow_of(Pairs(), share=20), Twin()
    complete(provider, [f"What is {number}?" for number in range(100)], experiments=[shadow])
    pairs = shadow.result().pairs
    assert 5 <= pairs <= 40
    assert provider.calls == 100 + pairs


def test_what_goes_wrong_in_the_shadow_is_counted_and_hurts_nobody(complete):
    class Tired(Twin):
        async def complete(self, request):
            if request.question in QUESTIONS:  # the other arm's
                raise ValueError("tired")
            return await super().complete(request)

    shadow = shadow_of(Pairs())
    optimizer = complete(Tired(), QUESTIONS, experiments=[shadow])
    assert len(optimizer.answers) == 3
    assert (shadow.result().failed, shadow.result().pairs) == (3, 0)
    assert optimizer.skipped == {"shadow": 3}


def test_a_budget_that_is_spent_ends_comparisons_and_is_no_failure(complete):
    limit = Limit("0.0066")  # one answer and the promise of hardly another
    budget = Budget(limit, prices=BOOK)
    shadow, provider = shadow_of(Pairs()), Twin()
    complete(provider, QUESTIONS[:1], experiments=[shadow], gates=[budget])
    result = shadow.result()
    assert (result.failed, result.pairs, result.no_verdict) == (0, 0, 1)
    assert budget.balance(limit).spent <= 6_600_000_000
    assert budget.accounts.open == 0


def test_a_queue_that_is_full_is_no_failure_of_what_is_tried_out(complete):
    shadow = shadow_of(Pairs())
    optimizer = complete(Twin(), QUESTIONS[:1], experiments=[shadow], gates=[OnlyOnce()])
    result = shadow.result()
    assert (result.failed, result.pairs, result.no_verdict) == (0, 0, 1)
    assert optimizer.skipped == {}


def test_a_judge_without_a_verdict_is_no_verdict(complete):
    model = Pairs()
    model.error = ValueError("no idea")
    shadow = shadow_of(model)
    complete(Twin(), QUESTIONS, experiments=[shadow])
    assert (shadow.result().no_verdict, shadow.result().failed) == (3, 0)


def test_a_function_judges_and_may_wait(complete):
    async def longer(prompt, answer, context):
        await anyio.lowlevel.checkpoint()
        return float(answer.isupper())

    shadow = Shadow("louder", stage="prompt", judge=Judge(longer), share=100)
    complete(Twin(), QUESTIONS, experiments=[shadow])
    assert shadow.result().wins == 3


def test_calls_of_tools_are_no_text_to_compare(complete):
    class Calls(Twin):
        async def complete(self, request):
            answer = await super().complete(request)
            call = ToolCall(id="1", name="find", arguments=json.dumps(request.question))
            return msgspec.structs.replace(answer, text="", tool_calls=(call,), finish_reason="tool_calls")

    shadow, provider = shadow_of(Pairs()), Calls()
    complete(provider, QUESTIONS, experiments=[shadow])
    assert provider.calls == len(QUESTIONS)
    assert (shadow.result().ties, shadow.result().wins) == (0, 0)


@pytest.mark.anyio
async def test_nobody_waits_for_a_comparison_but_who_closes():
    model, shadow = Pairs(), None
    model.gate = anyio.Event()
    shadow = shadow_of(model)
    optimizer = AsyncOptimizer(Scripted(), prices=BOOK, stages=[Louder()], experiments=[shadow])
    for question in QUESTIONS:
        await optimizer.complete(Request.chat(question))
    assert optimizer.shadowing.under_way == 3
    closed = []

    async def close():
        await optimizer.close()
        closed.append(shadow.result().pairs)

    async with anyio.create_task_group() as group:
        group.start_soon(close)
        await anyio.wait_all_tasks_blocked()
        assert not closed
        assert optimizer.provider.closed == 0
        model.gate.set()
    assert closed == [3]
    assert optimizer.provider.closed == 1


@pytest.mark.anyio
async def test_who_cannot_wait_any_more_closes_all_the_same():
    model = Pairs()
    model.gate = anyio.Event()
    optimizer = AsyncOptimizer(Scripted(), stages=[Louder()], experiments=[shadow_of(model)])
    await optimizer.complete("What is Python?", model="gpt-4o")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await optimizer.close()
    assert optimizer.provider.closed == 1
    model.gate.set()


@pytest.mark.parametrize("kind", [openai.OpenAI, openai.AsyncOpenAI])
def test_streams_of_a_wrapped_client_are_compared_too(server, kind):
    shadow = shadow_of(Pairs())
    client = kind(base_url=server.base_url, api_key=KEY, max_retries=0)
    wrapped = resopt.wrap(client, prices=BOOK, stages=[Deeper()], experiments=[shadow])
    talk = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is Python?"}], "stream": True}

    async def session():
        events = [event async for event in await wrapped.chat.completions.create(**talk)]
        await wrapped.resopt.close()
        await client.close()
        return events

    if kind is openai.OpenAI:
        assert list(wrapped.chat.completions.create(**talk))
        wrapped.resopt.close()
        client.close()
    else:
        assert anyio.run(session)
    assert shadow.result().wins == 1
    streamed, other = server.requests()
    assert (body_of(streamed).get("stream"), body_of(other).get("stream")) == (True, None)


def test_a_shadow_needs_a_stage_of_the_pipeline_and_a_judge():
    judge = Judge(lambda *_: 1.0)
    with pytest.raises(ConfigurationError, match="needs the stage and a judge"):
        Shadow("x", stage="prompt")
    with pytest.raises(ConfigurationError, match="needs the stage and a judge"):
        Shadow("x", stage="prompt", judge=object())
    for shadow in (Shadow("x"), Shadow("x", stage="route", judge=judge)):
        with pytest.raises(ConfigurationError, match="a stage of the pipeline: prompt"):
            AsyncOptimizer(Scripted(), stages=[Louder()], experiments=[shadow])
    with pytest.raises(ConfigurationError, match="Experiments or Shadows"):
        AsyncOptimizer(Scripted(), experiments=["x"])
