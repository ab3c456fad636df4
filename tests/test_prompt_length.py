"""Caps on answers: learned by template, with head-room, taken back when they cut."""

import msgspec
import pytest

from asking import Twin, answered
from resopt import (
    AnswerLength,
    Budget,
    ConfigurationError,
    CostAwareRouter,
    Limit,
    PriceBook,
    PromptOptimizer,
    Request,
    Response,
    ResponseCache,
    Tier,
    Usage,
)
from resopt.providers.simulated_answers import answer as simulated_answer
from resopt.providers.simulated_answers import count_tokens
from resopt.stage import Prepared
from resopt.types import Step
from wrapping import MODEL, USAGE, all_of, face, serving, settled, simulated  # noqa: F401 - fixtures


def chat(question="What is 1?", **fields):
    return Request.chat(question, system="Answer.", **fields)


def claude(**fields):
    body = {"model": "claude-sonnet-5", "max_tokens": 4096, "system": "Answer.", "messages": [], **fields}
    return Request(body=body, api="anthropic.messages")


def answer(tokens, finish="stop"):
    return Response(text="a", model="m", usage=Usage(output_tokens=tokens), finish_reason=finish)


def taught(request, tokens=200, times=60, **options):
    length = AnswerLength(**options)
    for _ in range(times):
        length.learn(request, answer(tokens))
    return length


def test_a_template_has_a_cap_once_it_is_known():
    length = taught(chat(), times=49)
    assert length.plan(chat()) is None
    length.learn(chat(), answer(200))
    cap = length.plan(chat("What is 2?"))
    assert 295 <= cap <= 310
    assert length.plan(Request.chat("What is 1?", system="Another.")) is None
    assert length.plan(chat(model="gpt-5")) is None


def test_short_answers_leave_room_all_the_same():
    assert taught(chat(), tokens=1).plan(chat()) == 64


def test_without_a_system_prompt_the_question_without_its_numbers_is_the_template():
    length = taught(Request.chat("Invoice 17: total?"))
    assert length.plan(Request.chat("Invoice 4711: total?")) is not None
    assert length.plan(Request.chat("Something else?")) is None


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (chat(), "max_completion_tokens"),
        (claude(), "max_tokens"),
        (
            Request(body={"model": "gpt-5", "instructions": "Answer.", "input": "x"}, api="openai.responses"),
            "max_output_tokens",
        ),
    ],
)
def test_each_shape_has_its_field(request_, field):
    length = taught(request_)
    capped, cap = length.capped(request_)
    assert 295 <= capped.body[field] == cap.tokens <= 310
    assert capped.body is not request_.body
    assert request_.body.get(field) in (None, 4096)
    assert cap.lifted(capped) == request_
    assert cap.lifted(request_) is request_
    changed = msgspec.structs.replace(capped, body={**capped.body, "user": "ann"})
    assert cap.lifted(changed).body == {**request_.body, "user": "ann"}


def test_what_the_caller_has_set_stays():
    length = taught(chat())
    assert length.capped(chat(max_tokens=10))[0].body["max_tokens"] == 10
    assert length.plan(chat(max_completion_tokens=5000)) is None
    own = claude(max_tokens=50)
    length = taught(own)
    assert length.capped(own) == (own, None)


@pytest.mark.parametrize("make", [chat, claude])
def test_streams_have_no_cap_unless_asked_for(make):
    streamed = make(stream=True)
    assert taught(streamed, times=500).plan(streamed) is None
    assert taught(streamed, times=199, streams=True).plan(streamed) is None
    assert taught(streamed, times=200, streams=True).plan(streamed) == 400  # twice the longest
    assert 295 <= taught(streamed, times=200, streams=True).plan(make()) <= 310


@pytest.mark.parametrize("make", [chat, claude])
def test_a_stream_that_was_cut_is_no_longer_capped_nor_its_like(make):
    streamed = make(stream=True)
    length = taught(streamed, times=200, streams=True)
    _, cap = length.capped(streamed)
    length.cut(cap, streamed=True)
    assert (length.cuts, length.repeated) == (1, 0)
    assert length.capped(streamed) == (streamed, None)
    assert length.plan(make()) is not None, "what can be asked for again is capped as before"


def test_one_long_answer_keeps_the_cap_of_streams_high():
    streamed = chat(stream=True)
    length = taught(streamed, times=2000, streams=True)
    length.learn(streamed, answer(3000))
    assert length.plan(chat()) < 400
    assert length.plan(streamed) == 6000


def long_question():
    """A question whose simulated answer is longer than the least cap."""
    for number in range(100):
        talk = [{"role": "user", "content": f"Why is rule {number} one?"}]
        if count_tokens(simulated_answer(0, MODEL, talk)) > 80:
            return talk
    raise AssertionError("no answer is long")


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # the library leaves them to trio
def test_a_stream_cut_by_our_cap_is_marked_and_not_kept_and_the_next_is_whole(simulated, face):  # noqa: F811
    talk = long_question()
    length = AnswerLength(least=1, streams=True)
    for _ in range(4):
        length.learn(Request(body={"model": MODEL, "messages": talk}), answer(5))
    stage = PromptOptimizer(None, length=length)

    async def story(face):
        async with face.client(simulated, wrapping={"stages": [stage]}) as client:
            ends, texts, streams = [], [], []
            for _ in range(3):
                stream = await settled(client.chat.completions.create(model=MODEL, messages=talk, stream=True, **USAGE))
                streams.append(stream)  # the library's generators outlive it on trio: `tell` collects them
                chunks = [chunk for chunk in await all_of(stream) if chunk.choices]
                ends.append(chunks[-1].choices[0].finish_reason)
                texts.append("".join(chunk.choices[0].delta.content or "" for chunk in chunks))
            return ends, texts, client.resopt.ledger.records

    ends, (first, second, third), records = face.tell(story)
    assert ends == ["length", "stop", "stop"]
    assert count_tokens(first) == 64
    assert second.startswith(first)
    assert second == third
    assert [record.outcome for record in records] == ["miss", "miss", "hit"]
    assert [step.action for step in records[0].stages if step.stage == "prompt"] == ["capped", "cut"]
    assert [step.action for step in records[1].stages if step.stage == "prompt"] == []
    assert records[0].usage.output_tokens == 64
    assert records[0].cost < records[1].cost
    assert stage.figures.cut == length.cuts == 1
    assert stage.figures.repeated == 0


def test_a_cap_that_cut_grows_and_a_cut_answer_teaches_nothing():
    length = taught(chat())
    capped, cap = length.capped(chat())
    before = length.plan(chat())
    length.learn(capped, answer(before, "length"))
    length.cut(cap, streamed=False)
    assert length.repeated == 1
    assert length.plan(chat()) >= 1.4 * before
    for _ in range(3):
        length.learn(chat(), answer(900))
    assert length.plan(chat()) > 900


def test_other_shapes_and_unknown_usage_teach_nothing():
    other = Request(body={"model": "m", "input": "x"}, api="openai.embeddings")
    length = taught(other)
    assert length.plan(other) is None
    blank = msgspec.structs.replace(answer(1), usage=None)
    length.learn(chat(), blank)
    assert length.plan(chat()) is None


def test_templates_are_bounded():
    length = AnswerLength(least=1)
    for number in range(4200):
        length.learn(chat(model=f"m{number}"), answer(10))
    assert length.plan(chat(model="m0")) is None
    assert length.plan(chat(model="m4199")) == 64


@pytest.mark.parametrize(
    "options", [{"quantile": 0.2}, {"quantile": True}, {"head_room": 0.5}, {"least": 0}, {"least": 1.5}, {"streams": 1}]
)
def test_bad_options_are_named(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        AnswerLength(**options)


# ---- with other stages


class Wordy(Twin):
    """Answers with so many words, unless a cap forbids it."""

    words = 40

    async def complete(self, request):
        self.requests.append(request)
        cap = request.body.get("max_completion_tokens")
        count = min(self.words, cap or self.words)
        finish = "stop" if count == self.words else "length"
        usage = Usage(input_tokens=20, output_tokens=count)
        text = " ".join(["word"] * count)
        return Response(text=text, model=request.model, usage=usage, finish_reason=finish, body=b'{"a":[1]}')


class Marking:
    """A stage that writes the body anew."""

    name, policy = "marking", "1"

    def prepare(self, request):
        body = {**request.body, "user": "ann"}
        return Prepared(msgspec.structs.replace(request, body=body), Step("marking", "marked"))

    def again(self, request, response):
        return None

    def learn(self, request, response):
        pass


TIERS = ("mini", "mid", "big")
PRICES = PriceBook({"mini": (0.1, 1), "mid": (1, 4), "big": (10, 30)})


def cascade(**options):
    tiers = [Tier(name, name) for name in TIERS]
    return CostAwareRouter(tiers=tiers, prices=PRICES, budget_per_request=1.0, checks=[], **options)


@pytest.mark.parametrize("way", ["blocking", "asyncio", "trio"])
@pytest.mark.parametrize(
    "around",
    [
        lambda stage: [stage],
        lambda stage: [stage, Marking()],
        lambda stage: [Marking(), stage],
        lambda stage: [cascade(), stage],
        lambda stage: [stage, cascade()],
        lambda stage: [cascade(judge=lambda *_: 1.0), stage, Marking()],
    ],
)
def test_what_our_cap_cut_off_is_asked_again_before_anybody_judges_it(way, around):
    stage, provider = PromptOptimizer(None, length=AnswerLength(least=3)), Wordy()
    stages = around(stage)
    questions = [Request.chat(f"What about {number}?", system="Tell.", model="mini") for number in range(5)]
    answered(way, provider, questions, stages=stages, prices=PRICES)
    provider.words, before = 400, provider.calls
    optimizer, (answer_,) = answered(
        way, provider, [Request.chat("And?", system="Tell.", model="mini")], stages=stages, prices=PRICES
    )
    caps = [(one.model, one.body.get("max_completion_tokens")) for one in provider.requests[before:]]
    assert caps == [("mini", 64), ("mini", None)]
    assert (answer_.finish_reason, len(answer_.text.split())) == ("stop", 400)
    (record,) = optimizer.ledger.records
    assert record.usage.output_tokens == 464, "both are billed"
    assert record.cost + record.avoided_cost == record.baseline_cost
    assert stage.figures.repeated == 1


def test_a_stronger_model_is_asked_without_the_cap_of_the_weaker():
    stage, provider = PromptOptimizer(None, length=AnswerLength(least=3)), Wordy()
    question = Request.chat("What about it?", system="Tell.", model="mini")
    answered("blocking", provider, [question] * 5, stages=[stage], cache=ResponseCache(ttl_seconds=1e-9))
    strict = cascade(judge=lambda question, answer, context: 0.0)
    before = provider.calls
    answered("blocking", provider, [question], stages=[strict, stage], prices=PRICES)
    caps = [(one.model, one.body.get("max_completion_tokens")) for one in provider.requests[before:]]
    assert caps == [("mini", 64), ("mid", None), ("big", None)]


def test_shadow_mode_says_what_a_cap_would_have_cut():
    stage, provider = PromptOptimizer(None, length=AnswerLength(least=3), shadow=True), Wordy()
    questions = [Request.chat(f"What about {number}?", system="Tell.", model="mini") for number in range(5)]
    answered("blocking", provider, questions, stages=[stage])
    provider.words = 400
    answered("blocking", provider, [Request.chat("And?", system="Tell.", model="mini")], stages=[stage])
    assert all("max_completion_tokens" not in one.body for one in provider.requests)
    assert stage.figures.repeated == 1


def test_a_budget_that_degrades_counts_on_the_cap():
    prices = PriceBook({"mid": (1, 4), "mini": (0.1, 1)})
    budget = Budget(Limit("0.002", over="degrade"), prices=prices, degrade=["mini"])
    stage, provider = PromptOptimizer(None, length=AnswerLength(least=1)), Wordy()
    stage.length.learn(Request.chat("x", system="Tell.", model="mid"), answer(40))
    questions = [Request.chat(f"What about {number}?", system="Tell.", model="mid") for number in range(12)]
    answered("blocking", provider, questions, stages=[stage, budget.stage], gates=[budget], prices=prices)
    models = [request.model for request in provider.requests]
    assert models[0] == "mid"
    assert models[-1] == "mini"
