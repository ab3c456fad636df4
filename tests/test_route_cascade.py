"""Cascades: what an answer is checked for, when a stronger model is asked, and what all of it costs."""

import math
from types import SimpleNamespace

import anyio
import pytest

from resopt import (
    AnswerScorer,
    ConfigurationError,
    CostAwareRouter,
    ModelRouter,
    PriceBook,
    Request,
    Response,
    RoutingError,
    Tier,
    ToolCall,
    Usage,
)
from resopt.errors import ProviderError, ProviderTimeoutError, QueueFullError, RateLimitError, ServerError
from resopt.route.answers import count
from resopt.route.attempts import Escalations, cheapest_start
from resopt.route.checks import STANDARD, Check, inspect
from resopt.route.figures import final_answer, numbers_in, sums
from resopt.route.schema import fault_in

PRICES = PriceBook({"mini": (0.1, 1), "mid": (1, 4), "big": (10, 30)})
USAGE = Usage(input_tokens=100, output_tokens=50)
QUESTION = "How many apples does Ann have, if she had 12 and ate 5?"


def said(text, model="mini", finish="stop", **fields):
    return Response(text=text, model=model, usage=USAGE, finish_reason=finish, **fields)


def spent(*models):
    return sum(PRICES.cost(model, USAGE) for model in models)


class Models:
    """Answers by model, in turn; an exception is raised."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def __call__(self, request):
        self.asked.append(request.model)
        answer = self.answers[request.model]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Response) else said(answer, request.model)


def cascade(models, tiers=("mini", "mid", "big"), **options):
    named = [Tier(model, model, call=models) for model in tiers]
    options = {"prices": PRICES, "budget_per_request": 1.0, **options}
    return CostAwareRouter(tiers=named, **options)


# Checks


def faults(text, request=None, **fields):
    request = Request.chat(QUESTION) if request is None else request
    return [fault.check for fault in inspect(STANDARD, request, said(text, **fields))[1]]


@pytest.mark.parametrize(
    ("text", "fields", "check"),
    [
        ("", {}, "empty"),
        ("  \n", {}, "empty"),
        ("12 - 5 = 7, so", {"finish": "length"}, "truncated"),
        ("7", {"finish": "content_filter"}, "truncated"),
        ("I'm sorry, but I can't help with that.", {}, "refusal"),
        ("Es tut mir leid, das geht nicht. 7", {}, "refusal"),
        ("no", {"finish": "refusal"}, "refusal"),
        ("```python\nprint(12 - 5)", {}, "parse"),
        ("She has twelve and then she eats five and is left with more of them. 12 5 7 " * 8, {}, "repetition"),
        ("It depends on the season.", {}, "final answer"),
        ("Ann has 412 apples and 99 pears.", {}, "numbers"),
        ("12 - 5 = 8", {}, "numbers"),
    ],
)
def test_a_check_finds_what_it_is_for(text, fields, check):
    assert check in faults(text, **fields)


@pytest.mark.parametrize(
    "text",
    [
        "12 - 5 = 7 apples.",
        "Ann had 12, ate 5, and has seven.",
        "12-5=7\n#### 7",
        "7",
        "412",
        "5 of 12 is 42 %, so she keeps 58 % of them, which are 7.",
        "She ate 5 of 12; had she thrice as many, 36, then 31 were left, but so it is 7.",
    ],
)
def test_good_answers_pass(text):
    assert faults(text) == []
    assert faults("Paris is the capital.", Request.chat("What is the capital of France?")) == []


@pytest.mark.parametrize(
    ("question", "words", "fits"),
    [
        ("Write an essay of 500 words about Rome.", 1, False),
        ("Write an essay of 500 words about Rome.", 480, True),
        ("Write an essay of 500 words about Rome.", 2_000, False),
        ("In at most 50 words: what is Rome?", 1, True),
        ("In at most 50 words: what is Rome?", 200, False),
        ("Explain in detail how a tree splits.", 3, False),
        ("Explain in detail how a tree splits.", 80, True),
        ("word " * 100 + "Which is right, A or B?", 1, True),
        ("What does a 100-word document cost?", 1, True),
    ],
)
def test_length_is_held_against_what_was_asked_for(question, words, fits):
    said_words = " ".join(f"w{number}" for number in range(words))
    assert ("length" not in faults(said_words, Request.chat(question))) == fits


@pytest.mark.parametrize(
    ("text", "declined"),
    [
        ("I can't help with that.", True),
        ("As an AI model, I cannot provide that.", True),
        ("Sorry, but we are unable to do so.", True),
        ("Unfortunately, I cannot answer this.", True),
        ("I\u2019m sorry, I can\u2019t do that.", True),
        ("I'm sorry to hear that you can't log in. Here is what to do:", False),
        ("Sorry for the delay! Your parcel is on its way.", False),
        ("Unfortunately the shop closes at five.", False),
        ("I can't wait to show you: here it is.", False),
    ],
)
def test_an_apology_is_no_refusal(text, declined):
    assert ("refusal" in faults(text, Request.chat("What now?"))) == declined


def test_tool_calls_are_answers():
    call = ToolCall(id="1", name="f", arguments="{}")
    assert faults("", Request.chat("What now?"), tool_calls=(call,), finish="tool_calls") == []


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "kind": {"enum": ["a", "b"]},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"tag": {"type": "string"}},
}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"name": "x", "age": 3, "kind": "a", "tags": ["t"], "note": None}, None),
        ({"name": "x", "age": 3.0}, None),
        ({}, "$.name is missing"),
        ({"name": 1}, "$.name must be of type string"),
        ({"name": "x", "age": True}, "$.age must be of type integer"),
        ({"name": "x", "age": -1}, "$.age must be at least 0"),
        ({"name": "x", "age": 151}, "$.age must be at most 150"),
        ({"name": "x", "kind": "c"}, "$.kind must be one of ['a', 'b']"),
        ({"name": "x", "tags": [1]}, "$.tags[0] must be of type string"),
        ({"name": "x", "tags": []}, "$.tags must have at least 1 items"),
        ({"name": "x", "note": 3}, "$.note fits none of its choices"),
        ({"name": "x", "more": 1}, "$.more is not foreseen"),
        ([], "$ must be of type object"),
    ],
)
def test_a_schema_is_followed_or_not(value, why):
    assert fault_in(value, SCHEMA) == why


def test_schemas_of_every_api_are_found():
    chat = {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}}
    responses = {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}}
    messages = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    for fields in (chat, responses, messages):
        request = Request.chat("Who?", **fields)
        assert faults('{"name": "x"}', request) == []
        assert faults('{"name": 1}', request) == ["schema"]
        assert faults("Ann", request) == ["schema"]
    as_json = Request.chat("Who?", response_format={"type": "json_object"})
    assert faults("Ann", as_json) == ["parse"]
    assert faults('{"a": 1}', as_json) == []


def test_schemas_that_make_no_sense_let_everything_pass():
    endless = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
    for schema in (None, 3, {}, {"type": "weird"}, {"$ref": "#/nowhere"}, endless, {"required": None, "properties": 1}):
        assert fault_in({"a": [1]}, schema) is None


def test_a_check_of_ones_own_and_one_that_fails():
    mine = Check("order", 1.0, lambda request, response: None if "order" in response.text else "no order")
    broken = Check("broken", 1.0, lambda request, response: 1 / 0)
    assert inspect([broken, mine], Request.chat("x"), said("your order"))[0] == 1.0
    quality, found = inspect([broken, mine], Request.chat("x"), said("hello"))
    assert (quality, found[0].why) == (0.0, "no order")
    for bad in (
        lambda: Check("", 1.0, len),
        lambda: Check("a", 0, len),
        lambda: Check("a", 2, len),
        lambda: Check("a", 1.0, 3),
    ):
        with pytest.raises(ConfigurationError):
            bad()


def test_sums_are_checked_without_a_model():
    assert sums("3 * 4 + 1 = 13 and 10 / 4 = 2.5 and $1,000 - 1 = $999") == (3, 0)
    assert sums("3 * 4 + 1 = 15 and 2 x 2 = 4 and 6 ÷ 3 = 1") == (1, 2)
    assert sums("1 / 0 = 5, 20% = 3, x = 4, 1 = 1") == (0, 0)
    assert numbers_in("1,200.50 and 3") == [1200.5, 3.0]
    assert final_answer("so\n#### 1,200 eggs\n") == "1,200 eggs"
    assert final_answer("The answer is: 12.") == "12."
    assert final_answer(r"thus \boxed{42}") == "42"
    assert final_answer("nothing") is None


# The way up


@pytest.mark.anyio
async def test_a_good_cheap_answer_is_the_end_of_it():
    models = Models(mini="12 - 5 = 7")
    response, cost, model = await cascade(models).execute_with_fallback(QUESTION)
    assert (response.text, model, models.asked) == ("12 - 5 = 7", "mini", ["mini"])
    assert cost == spent("mini") / 1e12


@pytest.mark.anyio
async def test_a_stronger_model_is_asked_when_the_answer_will_not_do():
    models = Models(mini="", mid="I'm sorry, I can't.", big="12 - 5 = 7")
    result = await cascade(models).execute(QUESTION)
    assert (result.response.text, result.model, result.accepted, result.ended) == (
        "12 - 5 = 7",
        "big",
        True,
        "accepted",
    )
    assert result.cost == spent("mini", "mid", "big")
    assert [(attempt.model, attempt.verdict.quality) for attempt in result.attempts] == [
        ("mini", 0),
        ("mid", 0),
        ("big", 1),
    ]
    assert str(result.attempts[0].verdict) == "quality 0.00 by checks: the answer is empty"


@pytest.mark.parametrize(
    ("options", "asked", "ended"),
    [
        ({"max_attempts": 1}, ["mini"], "attempts"),
        ({"max_attempts": 2}, ["mini", "mid"], "attempts"),
        ({"budget_per_request": 0.0008}, ["mini"], "budget"),
        ({"budget_per_request": None, "tiers": ("mini", "mid")}, ["mini", "mid"], "highest tier"),
    ],
)
def test_attempts_and_money_have_limits(options, asked, ended):
    models = Models(mini="Ann has 412 apples and 99 pears.", mid="It depends.", big="7")
    result = cascade(models, **options).execute_blocking(QUESTION)
    assert (models.asked, result.ended, result.accepted) == (asked, ended, False)
    assert result.response.text == "Ann has 412 apples and 99 pears.", "the best there was"
    assert result.cost == spent(*asked)
    assert result.cost <= 1e12


def test_a_deadline_ends_the_way_up():
    now = [0.0]

    def slow(request):
        now[0] += 3
        return said("", request.model)

    result = cascade(slow, deadline=5, clock=lambda: now[0]).execute_blocking(QUESTION)
    assert ([attempt.seconds for attempt in result.attempts], result.ended) == ([3, 3], "deadline")


@pytest.mark.anyio
async def test_a_call_that_outlasts_the_deadline_is_cut_off():
    async def call(request):
        if request.model != "mini":
            await anyio.sleep_forever()
        return said("", "mini")

    result = await cascade(call, deadline=0.05).execute(QUESTION)
    assert (result.model, result.ended) == ("mini", "deadline")
    assert "did not answer within the deadline" in result.attempts[1].error
    assert result.cost is None, "a call that was cut off may be billed"
    with pytest.raises(ProviderTimeoutError):
        await cascade(call, ("mid",), deadline=0.05).execute(QUESTION)


@pytest.mark.parametrize("blocking", [True, False])
def test_a_model_that_fails_is_an_attempt_and_another_is_asked(blocking):
    models = Models(mini=ServerError("down"), mid="12 - 5 = 7")
    router = cascade(models)
    result = router.execute_blocking(QUESTION) if blocking else anyio.run(router.execute, QUESTION)
    assert (result.model, result.cost) == ("mid", spent("mid"))
    assert result.attempts[0].error == "ServerError: down"
    failing = Models(mini=ServerError("one"), mid=ServerError("two"), big=ServerError("three"))
    with pytest.raises(ProviderError, match="three"):
        cascade(failing).execute_blocking(QUESTION)
    foreign = Models(mini=OSError("of another library"), mid="12 - 5 = 7")
    assert cascade(foreign).execute_blocking(QUESTION).model == "mid"
    worse = Models(mini="Ann has 412 apples and 99 pears.", mid=ServerError("down"), big=ServerError("down"))
    assert cascade(worse).execute_blocking(QUESTION).model == "mini"


def test_a_stream_is_never_switched():
    models = Models(mini="", mid="", big="")
    request = Request.chat(QUESTION, model="big", stream=True)
    result = cascade(models).execute_blocking(request)
    assert (len(models.asked), result.ended) == (1, "stream")
    assert result.start.startswith("a stream is never switched")
    assert cascade(models).prepare(request).request.model == result.model


def test_wishes_count_on_the_way_up():
    models = Models(mini="", mid="", big="12 - 5 = 7")
    assert cascade(models).execute_blocking(QUESTION, deny=["mid"]).model == "big"
    assert models.asked == ["mini", "big"]
    assert cascade(models).execute_blocking(QUESTION, critical=True).attempts[0].model == "big"
    result = cascade(models).execute_blocking(QUESTION, max_tier="mid")
    assert [attempt.model for attempt in result.attempts] == ["mini", "mid"]


# Money


def test_a_budget_fails_closed():
    models = Models(mini="7")
    with pytest.raises(ConfigurationError, match="needs the price of 'mini'"):
        cascade(models, prices=None).execute_blocking(QUESTION)
    with pytest.raises(RoutingError, match="more than the budget"):
        cascade(models, budget_per_request=0.000001).execute_blocking(QUESTION)
    assert models.asked == []
    assert cascade(models, prices=None, budget_per_request=None).execute_blocking(QUESTION).cost is None


def test_an_answer_without_usage_has_an_unknown_cost_and_no_successor_within_a_budget():
    models = Models(mini=Response(text="", model="mini"), mid="7")
    result = cascade(models).execute_blocking(QUESTION)
    assert (result.cost, result.ended, models.asked) == (None, "budget", ["mini"])


def test_where_cheap_answers_fail_the_cascade_begins_higher():
    dear = PriceBook({"mini": (9, 29), "big": (10, 30)})
    models = Models(mini="", big="12 - 5 = 7")
    router = cascade(models, ("mini", "big"), prices=dear)
    starts = [router.execute_blocking(QUESTION).attempts[0].model for _ in range(20)]
    assert starts[-1] == "big"
    cheap = cascade(models, ("mini", "big"))
    assert {cheap.execute_blocking(QUESTION).attempts[0].model for _ in range(20)} == {"mini"}


def test_a_tier_in_between_is_passed_over_when_that_is_cheaper():
    near = PriceBook({"mini": (0.1, 1), "mid": (9, 29), "big": (10, 30)})
    models = Models(mini="", mid="12 - 5 = 7", big="12 - 5 = 7")
    assert cascade(models, prices=near).execute_blocking(QUESTION).model == "big"
    assert models.asked == ["mini", "big"]
    assert cascade(models).execute_blocking(QUESTION).model == "mid"


def test_a_tier_that_labels_have_dropped_is_asked_no_more():
    models = Models(mini="", mid="12 - 5 = 7", big="12 - 5 = 7")
    up = cascade(models)
    rows = [
        (f"question {number} of {number % 7}", {"mini": number % 2, "mid": 0.0, "big": 1.0}) for number in range(80)
    ]
    up.router.fit(rows)
    assert list(up.router.dropped) == [1]
    assert up.execute_blocking(QUESTION).model == "big"
    assert models.asked == ["mini", "big"]


def test_the_cheapest_beginning_is_the_one_whose_expected_cost_is_least():
    for costs in ([1, 10, 100], [9, 10, 100], [50, 60, 100], [99, 99.5, 100]):
        for chances in ([0.1, 0.1, 0.1], [0.9, 0.2, 0.1], [0.5, 0.95, 0.1]):
            expected = {2: costs[2]}
            expected[1] = costs[1] + chances[1] * expected[2]
            expected[0] = costs[0] + chances[0] * min(expected[1], expected[2])
            place, _ = cheapest_start(costs, chances, [0, 1, 2])
            assert expected[place] == min(expected.values())
    assert cheapest_start([1, None], [0.9, 0.9], [0, 1])[0] == 0


def test_escalations_are_learnt_by_how_much_is_asked():
    learnt = Escalations(2)
    assert learnt.chance(0, 0.0) < learnt.chance(0, 1.0)
    for _ in range(200):
        learnt.count(0, 0.95, failed=True)
        learnt.count(0, 0.05, failed=False)
    assert learnt.chance(0, 0.95) > 0.9 > 0.1 > learnt.chance(0, 0.05)


# Scorer and judge


def answers(count=200):
    rows = []
    for number in range(count):
        good = number % 3 != 0
        result = number + 5 if good else number + 6
        rows.append((f"What is {number} and 5 in total?", f"{number} + 5 = {result}\n#### {result}", good))
    return rows


def test_a_scorer_learns_from_labelled_answers():
    scorer = AnswerScorer.fit(answers())
    assert scorer.score("What is 70 and 5 in total?", "70 + 5 = 75\n#### 75") > 0.7
    assert scorer.score("What is 70 and 5 in total?", "70 + 5 = 76\n#### 76") < 0.3
    back = AnswerScorer.from_bytes(scorer.to_bytes())
    assert back == scorer
    for data in (b"", scorer.to_bytes()[:-1], b"\0" + scorer.to_bytes()[1:]):
        with pytest.raises(ConfigurationError, match="checksum"):
            AnswerScorer.from_bytes(data)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([("a", "b", True)] * 10, "at least 50"),
        ([("a", "b", True)] * 60, "alike"),
        ([("a", "b", 3)] * 60, "label of row 0"),
        ([("a", 3, True)] * 60, "row 0 must be str"),
        ([("a", "b")] * 60, "row 0 must be"),
    ],
)
def test_labels_of_answers_that_make_no_sense_are_refused(rows, why):
    with pytest.raises(ConfigurationError, match=why):
        AnswerScorer.fit(rows)


def test_counts_are_finite_for_any_text():
    texts = ("", "9" * 5_000, "#### ", "1/0=3 \\boxed{}", "\ud800", "-" * 999, "0." + "3" * 400 + " = 1", "1e999")
    for question in texts:
        for answer in texts:
            assert all(math.isfinite(value) for value in count(question, answer))


def test_a_scorer_decides_what_checks_let_pass():
    scorer = AnswerScorer.fit(answers())
    models = Models(mini="70 + 5 = 76\n#### 76", mid="70 + 5 = 75\n#### 75")
    result = cascade(models, scorer=scorer, quality_threshold=0.6).execute_blocking("What is 70 and 5 in total?")
    assert (result.model, result.attempts[0].verdict.by) == ("mid", "scorer")


@pytest.mark.parametrize(
    ("verdict", "quality", "reason"),
    [
        (0.9, 0.9, ""),
        ((0.2, "wrong city"), 0.2, "wrong city"),
        (True, 1.0, ""),
        (7, 1.0, "the judge had no verdict: 7 does not lie between 0 and 1"),
        (-1, 1.0, "the judge had no verdict: -1 does not lie between 0 and 1"),
        (SimpleNamespace(score=0.1, reason="no", cost=0), 0.1, "no"),
        (math.nan, 1.0, "the judge had no verdict"),
        (None, 1.0, "the judge had no verdict"),
    ],
)
def test_a_judge_speaks_last_and_nan_is_no_verdict(verdict, quality, reason):
    result = cascade(Models(mini="7", mid="7", big="7"), judge=lambda *_: verdict, max_attempts=1).execute_blocking(
        "Why?"
    )
    assert (result.attempts[0].verdict.quality, result.attempts[0].verdict.reason) == (quality, reason)


@pytest.mark.parametrize(
    ("error", "cost"),
    [
        (QueueFullError("the queue is full"), 0),
        (ZeroDivisionError("its own"), 0),
        (RateLimitError("not now", status=429), 0),
        (ProviderTimeoutError("late"), None),
    ],
)
def test_a_judge_that_fails_takes_no_paid_answer_with_it(error, cost):
    def judge(*_):
        raise error

    result = cascade(Models(mini="7", mid="7", big="7"), judge=judge).execute_blocking("Why?")
    assert (result.response.text, result.accepted, len(result.attempts)) == ("7", True, 1)
    assert f"the judge failed: {type(error).__name__}" in result.attempts[0].verdict.reason
    assert result.cost == (None if cost is None else spent("mini"))


@pytest.mark.anyio
async def test_an_async_judge_is_awaited_and_billed_and_asked_only_what_others_let_pass():
    asked = []

    async def judge(question, answer, context):
        asked.append(answer)
        return SimpleNamespace(score=0.0 if answer == "bad" else 1.0, reason="", cost=77)

    models = Models(mini="", mid="bad", big="good")
    result = await cascade(models, judge=judge).execute("Why?")
    assert (result.model, asked) == ("big", ["bad", "good"])
    assert result.cost == spent("mini", "mid", "big") + 2 * 77
    with pytest.raises(ConfigurationError, match="judge is async"):
        cascade(Models(mini="fine"), judge=judge).execute_blocking("Why?")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"budget_per_request": 0}, "budget_per_request"),
        ({"quality_threshold": 2}, "quality_threshold"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"deadline": -1}, "deadline"),
        ({"checks": [3]}, "Check"),
        ({"scorer": 3}, "AnswerScorer"),
        ({"judge": 3}, "judge"),
        ({"router": ModelRouter([Tier("a", "m")]), "prices": PRICES}, "not both"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, why):
    with pytest.raises(ConfigurationError, match=why):
        CostAwareRouter(**options)


def test_the_pattern_can_be_written_as_it_stands():
    router = CostAwareRouter(budget_per_request=0.01, quality_threshold=0.85)
    assert [tier.model for tier in router.tiers] == ["gpt-4o-mini", "gpt-4o"]
    with pytest.raises(ConfigurationError, match="needs the price"):
        router.execute_blocking("What is Python?")
