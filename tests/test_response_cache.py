"""The response cache: who gets which stored answer, what is stored, for how long, and how it is dropped."""

import random

import pytest

from asking import USAGE, ask, body
from resopt import Freshness, ManualClock, Request, Response, ResponseCache, Scope, ToolCall
from resopt.cache.freshness_rules import Rule
from resopt.errors import ConfigurationError, ResoptError, UnkeyableError

QUESTION = "How do I reset my router?"
PERSONAL = "What is my account balance?"
TIMELY = "What time is it right now?"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def cache(clock):
    return ResponseCache(clock=clock, wall_clock=lambda: 1_000_000.0)


def answer(text="Press the button.", **fields):
    usual = {"model": "gpt-4o", "finish_reason": "stop", "usage": USAGE, "body": b'{"id":1}'}
    return Response(text=text, **(usual | fields))


def texts(cache, *requests):
    return [found and found.text for found in map(cache.lookup, requests)]


# Finding


def test_a_stored_answer_is_found_with_the_reason(cache):
    request = ask(QUESTION)
    assert cache.lookup(request) is None
    assert cache.admit(request, answer()).action == "kept"
    hit = cache.lookup(request)
    assert (hit.text, hit.body, hit.usage) == ("Press the button.", b'{"id":1}', USAGE)
    assert (hit.trace.outcome, hit.trace.mechanism, hit.trace.key) == ("hit", "exact", cache.key(request))
    assert [step.stage for step in hit.trace.steps] == ["cache"]


@pytest.mark.parametrize(
    "spelling", ["how do i reset my router", "  How do I  reset my router ??", "HOW do I reset my router."]
)
def test_folded_matching_finds_other_spellings_and_says_so(cache, spelling):
    cache.admit(ask(QUESTION), answer())
    assert cache.lookup(ask(spelling)).trace.mechanism == "folded"
    exact = ResponseCache(matching="exact")
    exact.admit(ask(QUESTION), answer())
    assert exact.lookup(ask(spelling)) is None
    assert exact.lookup(ask(QUESTION)).trace.mechanism == "exact"


def test_a_question_in_one_part_is_folded_and_says_so(cache):
    def part(text):
        return Request(body=body(("user", [{"type": "text", "text": text}])))

    cache.admit(part(QUESTION), answer())
    assert cache.lookup(part(QUESTION)).trace.mechanism == "exact"
    assert cache.lookup(part(QUESTION.lower())).trace.mechanism == "folded"


def test_only_the_last_question_is_folded(cache):
    cache.admit(Request(body=body(("system", "Be BRIEF."), ("user", "Hi"), ("user", QUESTION))), answer())
    assert cache.lookup(Request(body=body(("system", "Be BRIEF."), ("user", "Hi"), ("user", QUESTION.upper()))))
    assert not cache.lookup(Request(body=body(("system", "Be brief."), ("user", "Hi"), ("user", QUESTION))))
    assert not cache.lookup(Request(body=body(("system", "Be BRIEF."), ("user", "hi"), ("user", QUESTION))))


def test_model_parameters_and_policy_separate_answers():
    old = ResponseCache(policy=("route-1",))
    keys = {
        old.key(ask(QUESTION)),
        old.key(ask(QUESTION, model="gpt-4o-mini")),
        old.key(ask(QUESTION, temperature=0.5)),
        old.key(ask(QUESTION, something_new=1)),
        ResponseCache(policy=("route-2",)).key(ask(QUESTION)),
        ResponseCache().key(ask(QUESTION)),
        ResponseCache(namespace="other").key(ask(QUESTION)),
        ResponseCache(secret=b"secret").key(ask(QUESTION)),
    }
    assert len(keys) == 8
    assert old.key(ask(QUESTION, user="abuse-id")) == old.key(ask(QUESTION))


@pytest.mark.parametrize(("mode", "found"), [("default", True), ("only", True), ("bypass", False), ("refresh", False)])
def test_cache_modes(cache, mode, found):
    cache.admit(ask(QUESTION), answer())
    assert (cache.lookup(ask(QUESTION, cache=mode)) is not None) is found


def test_a_bypass_stores_nothing_and_needs_no_key(cache):
    request = Request(body={"messages": [{"role": "user", "content": object()}]}, cache="bypass")
    assert cache.plan(request).key is None
    assert cache.admit(request, answer()).action == "refused"
    assert len(cache) == 0


@pytest.mark.parametrize("mode", ["default", "refresh", "only"])
@pytest.mark.parametrize("state", [{"previous_response_id": "resp_1"}, {"conversation": {"id": "conv_1"}}])
def test_what_builds_on_the_providers_state_is_never_stored(cache, state, mode):
    request = Request(api="openai.responses", body={"model": "m", "input": QUESTION, **state}, cache=mode)
    plan = cache.plan(request)
    assert (plan.key, plan.steps[0].action, plan.steps[0].reason.split(":")[0]) == (None, "bypass", next(iter(state)))
    assert cache.admit(request, answer()).action == "refused"
    with cache.filling(request, plan) as filling:
        assert filling.admit(answer()).action == "refused"
    assert (cache.lookup(request), len(cache)) == (None, 0)
    alone = Request(api="openai.responses", body={"model": "m", "input": QUESTION, next(iter(state)): None})
    assert cache.admit(alone, answer()).action == "kept"
    assert cache.lookup(request) is None


def test_a_body_that_is_no_plain_data_is_refused_with_the_path(cache):
    import numpy as np

    request = Request(body=body(("user", np.zeros(2))))
    for use in (cache.lookup, cache.plan, lambda r: cache.admit(r, answer())):
        with pytest.raises(UnkeyableError, match=r"messages\[0\]\.content"):
            use(request)


# Whose answers


def test_ten_thousand_mixed_requests_leak_nothing():
    """Every answer carries the name of whom it was made for; nobody ever reads another name."""
    draw = random.Random(7)
    cache = ResponseCache(max_size=None)
    shared = personal = 0
    for _ in range(10_000):
        scope = Scope(
            tenant=draw.choice([None, "", "a", "b"]),
            user=draw.choice([None, "", "u", "v", "a"]),
            namespace=draw.choice(["", "n", "a"]),
        )
        mine = draw.random() < 0.5
        text = draw.choice([PERSONAL, "Where is my order?"] if mine else [QUESTION, "What is Python?"])
        text = draw.choice([text, text.upper(), f" {text.lower()} "])
        content = draw.choice([text, [{"type": "text", "text": text}], [{"type": "text", "text": text}, {"type": "x"}]])
        request = Request(body=body(("user", content)), scope=scope)
        owner = (scope.tenant, scope.namespace, scope.user if mine else "everyone")
        hit = cache.lookup(request)
        if hit is None:
            kept = cache.admit(request, answer(repr(owner))).action == "kept"
            assert kept == (not mine or bool(scope.user))
        else:
            assert hit.text == repr(owner)
            assert not mine or scope.user
            shared, personal = shared + (not mine), personal + mine
    assert shared > 1_000
    assert personal > 1_000


@pytest.mark.parametrize(
    "conversation",
    [
        [("user", PERSONAL)],
        [("user", [{"type": "text", "text": PERSONAL}])],
        [("user", [{"type": "text", "text": PERSONAL}, {"type": "image_url", "image_url": {"url": "x"}}])],
        [("user", PERSONAL), ("system", "Be brief.")],
        [("user", PERSONAL), ("assistant", "Your balance is")],
        [("system", PERSONAL)],
    ],
)
def test_a_personal_question_in_any_form_is_for_one_user(cache, conversation):
    def by(user):
        return Request(body=body(*conversation), scope=Scope(user=user))

    assert cache.admit(by("ann"), answer("ann's")).action == "kept"
    assert texts(cache, by("ann"), by("bob"), by(None), by("")) == ["ann's", None, None, None]
    assert cache.entry(by("ann")).user == "ann"
    assert cache.entry(by("bob")) is None
    assert cache.admit(by(None), answer()).action == "refused"
    assert cache.admit(by(""), answer()).action == "refused"


def test_a_second_look_counts_as_one_lookup(cache):
    mine = ask(PERSONAL, scope=Scope(user="ann"))
    cache.lookup(mine)
    assert (cache.stats.hits, cache.stats.misses) == (0, 1)
    cache.admit(mine, answer())
    cache.lookup(mine)
    assert (cache.stats.hits, cache.stats.misses, cache.stats.hit_rate) == (1, 1, 0.5)


def test_without_rules_every_question_is_for_all():
    cache = ResponseCache(freshness=False)
    cache.admit(ask(PERSONAL, scope=Scope(user="ann")), answer())
    assert cache.lookup(ask(PERSONAL, scope=Scope(user="bob")))


# What is stored


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"finish_reason": "length"}, "length"),
        ({"finish_reason": "content_filter"}, "content_filter"),
        ({"finish_reason": "refusal"}, "refusal"),
        ({"finish_reason": "something_new"}, "something_new"),
        ({"finish_reason": None}, "interrupted"),
        ({"text": ""}, "empty"),
        ({"text": " \n"}, "empty"),
        ({"finish_reason": "tool_calls", "text": ""}, "empty"),
    ],
)
def test_only_complete_answers_are_stored(cache, fields, reason):
    step = cache.admit(ask(QUESTION), answer(**fields))
    assert (step.stage, step.action) == ("admit", "refused")
    assert reason in step.reason
    assert len(cache) == 0
    assert cache.lookup(ask(QUESTION)) is None
    assert cache.stats.not_admitted == {step.reason: 1}


def test_tool_calls_are_an_answer(cache):
    call = ToolCall(id="1", name="f", arguments="{}")
    cache.admit(ask(QUESTION), answer(text="", finish_reason="tool_calls", tool_calls=(call,)))
    assert cache.lookup(ask(QUESTION)).tool_calls == (call,)


def test_what_is_stored_cannot_be_changed_from_outside(cache):
    calls, reply = [ToolCall(id="1", name="f", arguments="{}")], bytearray(b'{"a":[1]}')
    request = ask(QUESTION)
    cache.admit(request, answer(tool_calls=calls, body=reply))
    calls.clear()
    reply[:] = b"[]       "
    request.body["messages"][0]["content"] = "another"
    first = cache.lookup(ask(QUESTION))
    first.json()["a"].append(2)
    second = cache.lookup(ask(QUESTION))
    assert len(second.tool_calls) == 1
    assert second.json() == {"a": [1]}
    assert first is not second


def test_a_heavy_answer_is_refused_and_a_long_question_counts():
    cache = ResponseCache(max_bytes="2KB")
    assert cache.admit(ask(QUESTION), answer("x" * 3_000)).reason == "heavier than max_bytes"
    assert cache.admit(ask("x" * 3_000), answer()).reason == "heavier than max_bytes"
    assert cache.stats.refused == 2
    for number in range(50):
        cache.admit(ask(f"Question {number}"), answer())
        assert cache.stats.bytes <= 2_000
    assert 3 <= len(cache) < 10


def test_the_least_recently_used_goes_first():
    cache = ResponseCache(max_size=2)
    one, two, three = ask("one thing"), ask("two things"), ask("three things")
    for request in (one, two):
        cache.admit(request, answer(request.question))
    cache.lookup(one)
    cache.admit(three, answer("three things"))
    assert texts(cache, one, two, three) == ["one thing", None, "three things"]


# For how long


def test_answers_expire_by_the_cache_or_the_request(cache, clock):
    cache.admit(ask(QUESTION), answer("hour"))
    cache.admit(ask("What is Python?", ttl=10), answer("ten"))
    cache.admit(ask("What is Rust?", ttl=7200), answer("two hours"))
    both = ask(QUESTION), ask("What is Python?"), ask("What is Rust?")
    clock.advance(9.9)
    assert texts(cache, *both) == ["hour", "ten", "two hours"]
    clock.advance(0.2)
    assert texts(cache, *both) == ["hour", None, "two hours"]
    clock.advance(3600)
    assert texts(cache, *both) == [None, None, "two hours"]
    clock.advance(3600)
    assert texts(cache, *both) == [None, None, None]
    assert cache.stats.expirations == 3


def test_a_timely_question_is_not_stored(cache):
    plan = cache.plan(ask(TIMELY))
    assert plan.key is None
    assert (plan.steps[0].stage, plan.steps[0].action) == ("freshness", "bypass")
    assert cache.admit(ask(TIMELY), answer()).action == "refused"


SHORT = Rule(name="price", kind="time_sensitive", action="short", ttl=300.0, anywhere=(r"\bprice\b",), words="price")


@pytest.mark.parametrize(
    ("of_cache", "of_request", "served"),
    [(3600, None, 300), (60, None, 60), (None, None, 300), (3600, 10, 10), (60, 200, 200), (3600, 7200, 300)],
)
def test_a_rule_shortens_the_time_and_never_lengthens_it(of_cache, of_request, served):
    clock = ManualClock()
    cache = ResponseCache(of_cache, clock=clock, freshness=Freshness([SHORT]))
    request = ask("The price of tea?", ttl=of_request)
    assert cache.admit(request, answer()).action == "kept"
    clock.advance(served - 0.5)
    assert cache.lookup(request)
    clock.advance(1)
    assert cache.lookup(request) is None


def test_ages():
    clock, now = ManualClock(), [0.0]
    cache = ResponseCache(None, clock=clock, wall_clock=lambda: now[0])
    for number, wait in enumerate([30_000.0, 60_000.0, 10_000.0, 2_000.0, 300.0, 59.0]):
        cache.admit(ask(f"Question {number}"), answer())
        clock.advance(wait)
        now[0] += wait
    assert list(cache.age_distribution().values()) == [1, 1, 1, 1, 1, 1]
    assert cache.lookup(ask("Question 5")).trace.age == pytest.approx(59)
    assert cache.entry(ask("Question 0")).stored_at == 0.0
    figures = cache.figures()
    assert (figures["entries"], figures["ages"], figures["bytes"] > 0) == (6, cache.age_distribution(), True)


# Dropping


@pytest.fixture
def filled(cache):
    cache.admit(ask("one thing", tags=("kb", "x")), answer("1", model="gpt-4o-2024-08-06"))
    cache.admit(ask("two things", tags=("kb",), model="mini"), answer("2", model="mini"))
    cache.admit(ask(PERSONAL, scope=Scope(user="ann")), answer("3"))
    return cache


@pytest.mark.parametrize(
    ("by", "left"),
    [
        ({"tag": "kb"}, "3"),
        ({"tag": "x"}, "23"),
        ({"tag": "y"}, "123"),
        ({"model": "gpt-4o"}, "2"),
        ({"model": "gpt-4o-2024-08-06"}, "23"),
        ({"user": "ann"}, "12"),
        ({"user": "bob"}, "123"),
        ({"older_than": 1}, "123"),
        ({"older_than": 0}, ""),
    ],
)
def test_answers_are_dropped_by_what_they_are(filled, clock, by, left):
    clock.advance(0.5)
    requests = ask("one thing"), ask("two things", model="mini"), ask(PERSONAL, scope=Scope(user="ann"))
    assert filled.invalidate(**by) == 3 - len(left)
    assert "".join(text or "" for text in texts(filled, *requests)) == left
    assert len(filled) == len(left)


def test_answers_are_dropped_by_key_and_all_together(filled):
    hit = filled.lookup(ask(PERSONAL, scope=Scope(user="ann")))
    assert filled.invalidate(key=hit.trace.key) == 1
    assert filled.invalidate(key=hit.trace.key) == 0
    filled.clear()
    assert len(filled) == 0


@pytest.mark.parametrize(
    "by",
    [
        {}, {"tag": "a", "model": "b"}, {"tag": 3}, {"model": 3}, {"user": 3}, {"key": "abc"}, {"key": b"short"},
        {"older_than": "x"}, {"older_than": -1}, {"older_than": float("nan")},
    ],
)  # fmt: skip
def test_dropping_by_nothing_or_nonsense_is_refused(filled, by):
    with pytest.raises(ConfigurationError):
        filled.invalidate(**by)
    assert len(filled) == 3


@pytest.mark.parametrize("by", [{"tag": "kb"}, {"model": "gpt-4o"}, {"key": None}, "clear"])
def test_an_answer_invalidated_in_the_making_is_not_stored(cache, by):
    request = ask(QUESTION, tags=("kb",))
    plan = cache.plan(request)
    with cache.filling(request, plan) as filling:
        if by == "clear":
            cache.clear()
        else:
            cache.invalidate(**(by if by != {"key": None} else {"key": plan.key}))
        step = filling.admit(answer())
    assert (step.action, "invalidated" in step.reason, len(cache)) == ("refused", True, 0)
    with cache.filling(request, plan) as filling:
        cache.invalidate(tag="other")
        assert filling.admit(answer()).action == "kept"


def test_an_invalidation_between_the_check_and_the_storing_is_honoured(cache, monkeypatch):
    request = ask(QUESTION, tags=("kb",))
    plan, admit = cache.plan(request), cache.admit

    def invalidated_first(*args, **kwargs):
        cache.invalidate(tag="kb")  # as another thread may, after `filling` looked
        return admit(*args, **kwargs)

    monkeypatch.setattr(cache, "admit", invalidated_first)
    with cache.filling(request, plan) as filling:
        assert filling.admit(answer()).action == "refused"
    assert cache.lookup(request) is None


def test_an_invalidated_user_s_answer_in_the_making_is_not_stored(cache):
    request = ask(PERSONAL, scope=Scope(user="ann"))
    with cache.filling(request, cache.plan(request)) as filling:
        cache.invalidate(user="ann")
        assert filling.admit(answer()).action == "refused"


def test_what_is_no_request_or_response_is_refused_by_name(cache):
    for use in (cache.lookup, cache.plan, lambda wrong: cache.admit(wrong, answer())):
        for wrong in ("What?", {"model": "m"}, None):
            with pytest.raises(ConfigurationError, match="request must be a Request"):
                use(wrong)
    with pytest.raises(ConfigurationError, match="response must be a Response"):
        cache.admit(ask(QUESTION), "text")
    assert len(cache) == 0


# The pattern's own words


def test_get_and_set(cache):
    assert cache.get("What is Python?") is None
    assert cache.set("What is Python?", "A language.") is True
    assert cache.get("what is python") == "A language."
    assert cache.get("What is Python?", model="mini") is None
    assert cache.set("What is Python?", answer("A snake."), model="mini", system="Zoo") is True
    assert cache.get("What is Python?", model="mini", system="Zoo") == "A snake."
    assert cache.set("What is Rust?", "") is False
    assert cache.set(PERSONAL, "17") is False
    assert cache.set(PERSONAL, "17", scope=Scope(user="ann")) is True
    assert cache.get(PERSONAL) is None
    with pytest.raises(ConfigurationError, match="response"):
        cache.set("What is Rust?", 3)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"ttl_seconds": -1}, "ttl_seconds"),
        ({"ttl_seconds": "1h"}, "ttl_seconds"),
        ({"max_size": 0}, "max_size"),
        ({"max_size": 2.5}, "max_size"),
        ({"max_bytes": "huge"}, "max_bytes"),
        ({"max_bytes": -1}, "max_bytes"),
        ({"matching": "fuzzy"}, "matching"),
        ({"freshness": "english"}, "freshness"),
        ({"namespace": 3}, "namespace"),
        ({"secret": "text"}, "secret"),
        ({"policy": 3}, "policy"),
        ({"clock": 3}, "clock"),
        ({"wall_clock": 3}, "wall_clock"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options, named):
    with pytest.raises(ResoptError, match=named):
        ResponseCache(**options)


def test_a_snapshot_shares_nothing_that_a_caller_can_change():
    from resopt.cache.kept import snapshot

    data, parts = bytearray(b"ab"), [{"text": "one"}]
    kept = snapshot({"data": data, "parts": parts, "pair": (parts, 1)})
    data[0], parts[0]["text"] = 0x7A, "two"
    parts.append("three")
    assert kept == {"data": b"ab", "parts": [{"text": "one"}], "pair": ([{"text": "one"}], 1)}
