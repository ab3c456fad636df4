"""The pipeline: how requests end, what they cost, who shares what, and what a failing stage may do."""

import random

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asking import CALL_COST, PRICES, USAGE, Scripted, ask, body, outcomes, wait_for
from resopt import AsyncOptimizer, Freshness, Ledger, ManualClock, Request, Response, ResponseCache, Scope
from resopt.errors import (
    CacheMissError,
    ClosedError,
    ConfigurationError,
    FlightRecursionError,
    InvalidRequestError,
    ProviderResponseError,
    ServerError,
    UnkeyableError,
)

pytestmark = pytest.mark.anyio

QUESTION = "How do I reset my router?"
PERSONAL = "What is my account balance?"
TIMELY = "What time is it right now?"


@pytest.fixture
def provider():
    return Scripted()


@pytest.fixture
def optimizer(provider):
    return AsyncOptimizer(provider, prices=PRICES)


def run_without_loop(coroutine):
    """Drive a coroutine that must end at once: one `send`, no event loop anywhere."""
    with pytest.raises(StopIteration) as end:
        coroutine.send(None)
    return end.value.value


def books(optimizer):
    """Spent, avoided and baseline of all records; they must balance one by one."""
    records = optimizer.ledger.records
    for record in records:
        assert record.cost + record.avoided_cost == record.baseline_cost
    return sum(record.cost for record in records), sum(record.avoided_cost for record in records)


# How requests end


async def test_a_miss_asks_once_and_says_what_was_done(optimizer, provider):
    response = await optimizer.complete(QUESTION, temperature=0)
    trace = response.trace
    assert response.text == f"1: {QUESTION}"
    assert (trace.outcome, trace.mechanism, trace.age, trace.usage) == ("miss", None, None, USAGE)
    assert (trace.cost, trace.baseline_cost, trace.avoided, trace.baseline_latency) == (CALL_COST, CALL_COST, 0, 0.5)
    assert [(step.stage, step.action) for step in trace.steps] == [
        ("flight", "asked"),
        ("provider", "scripted"),
        ("admit", "kept"),
    ]
    (record,) = optimizer.ledger.records
    assert (record.id, record.outcome, record.model, record.stages) == (trace.id, "miss", "gpt-4o", trace.steps)
    assert provider.requests[0].body["temperature"] == 0


async def test_a_hit_costs_nothing_and_says_why(optimizer, provider):
    first = await optimizer.complete(QUESTION)
    second = await optimizer.complete(Request.chat(QUESTION.lower()))
    trace = second.trace
    assert (second.text, second.body, provider.calls) == (first.text, first.body, 1)
    assert (trace.outcome, trace.mechanism, trace.cost, trace.avoided) == ("hit", "folded", 0, CALL_COST)
    assert trace.usage.total_tokens == 0
    assert second.usage == USAGE
    assert trace.key == first.trace.key
    assert trace.age >= 0
    assert trace.id != first.trace.id
    assert (await optimizer.complete(QUESTION)).trace.mechanism == "exact"
    assert outcomes(optimizer) == ["miss", "hit", "hit"]
    assert books(optimizer) == (CALL_COST, 2 * CALL_COST)


async def test_equal_calls_at_one_time_share_one(optimizer, provider):
    provider.gate = anyio.Event()
    responses = []

    async def one():
        responses.append(await optimizer.complete(QUESTION))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(one)
        await wait_for(lambda: provider.calls)
        provider.gate.set()
    assert provider.calls == 1
    assert len({id(response) for response in responses}) == 5
    assert sorted(response.trace.outcome for response in responses) == ["coalesced"] * 4 + ["miss"]
    assert {response.trace.mechanism for response in responses} == {None, "coalesced"}
    assert books(optimizer) == (CALL_COST, 4 * CALL_COST)


async def test_requests_that_build_on_the_providers_state_are_all_sent(optimizer, provider):
    request = Request(api="openai.responses", body={"model": "gpt-4o", "input": "Go on", "previous_response_id": "r"})
    answers = [await optimizer.complete(request) for _ in range(2)]
    assert [answer.text for answer in answers] == ["1: Go on", "2: Go on"]
    assert answers[0].trace.steps[0].reason.startswith("previous_response_id: ")
    assert (outcomes(optimizer), len(optimizer.cache)) == (["bypass"] * 2, 0)


async def test_bypass_neither_looks_nor_stores_nor_shares(optimizer, provider):
    await optimizer.complete(QUESTION)
    response = await optimizer.complete(QUESTION, cache="bypass")
    assert (response.text, response.trace.outcome, response.trace.key) == (f"2: {QUESTION}", "bypass", None)
    assert response.trace.steps[0].stage == "cache"
    assert optimizer.lookup(QUESTION, cache="bypass") is None
    assert optimizer.lookup(QUESTION).text == f"1: {QUESTION}"
    provider.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(lambda: optimizer.complete(QUESTION, cache="bypass"))
        await wait_for(lambda: provider.calls == 5)
        provider.gate.set()
    assert outcomes(optimizer) == ["miss"] + ["bypass"] * 4
    assert books(optimizer) == (5 * CALL_COST, 0)


async def test_refresh_asks_again_and_stores(optimizer, provider):
    await optimizer.complete(QUESTION)
    assert (await optimizer.complete(QUESTION, cache="refresh")).trace.outcome == "miss"
    hit = await optimizer.complete(QUESTION)
    assert (hit.text, hit.trace.outcome, provider.calls) == (f"2: {QUESTION}", "hit", 2)


async def test_only_never_asks(optimizer, provider):
    with pytest.raises(CacheMissError, match="only"):
        await optimizer.complete(QUESTION, cache="only")
    await optimizer.complete(QUESTION)
    assert (await optimizer.complete(QUESTION, cache="only")).trace.outcome == "hit"
    assert (provider.calls, outcomes(optimizer)) == (1, ["error", "miss", "hit"])
    assert optimizer.ledger.records[0].error == "CacheMissError"


async def test_an_error_is_counted_and_not_remembered(optimizer, provider):
    provider.error = ServerError("down", status=500)
    for _ in range(2):
        with pytest.raises(ServerError) as caught:
            await optimizer.complete(QUESTION)
        assert caught.value is provider.error
    provider.error = None
    assert (await optimizer.complete(QUESTION)).trace.outcome == "miss"
    assert outcomes(optimizer) == ["error", "error", "miss"]
    assert (provider.calls, len(optimizer.cache), books(optimizer)) == (3, 1, (CALL_COST, 0))


async def test_a_cancelled_caller_is_counted(optimizer, provider):
    provider.gate = anyio.Event()
    with anyio.move_on_after(0.05):
        await optimizer.complete(QUESTION)
    assert outcomes(optimizer) == ["cancelled"]
    provider.gate.set()
    assert (await optimizer.complete(QUESTION)).trace.outcome == "miss"


async def test_lookup_asks_nobody_and_leaves_no_record(optimizer, provider):
    assert optimizer.lookup(QUESTION) is None
    await optimizer.complete(QUESTION)
    assert optimizer.lookup(ask(QUESTION)).trace.outcome == "hit"
    assert (provider.calls, outcomes(optimizer)) == (1, ["miss"])


# A hit waits for nothing


def test_a_hit_needs_no_event_loop(optimizer):
    for question, scope in ((QUESTION, Scope()), (PERSONAL, Scope(user="ann"))):
        request = ask(question, scope=scope)
        optimizer.cache.set(question, "stored", scope=scope)
        assert run_without_loop(optimizer.complete(request)).text == "stored"


# Money


async def test_spent_and_avoided_make_the_baseline_over_mixed_traffic(optimizer, provider):
    draw = random.Random(3)

    async def one():
        question = draw.choice([QUESTION, QUESTION.upper(), PERSONAL, TIMELY, "What is Python?", "What is Rust?"])
        mode = draw.choice(["default"] * 6 + ["bypass", "refresh"])
        await optimizer.complete(question, scope=Scope(user=draw.choice(["ann", "bob", None])), cache=mode)

    async with anyio.create_task_group() as group:
        for _ in range(300):
            group.start_soon(one)
            if draw.random() < 0.3:
                await checkpoint()
    spent, avoided = books(optimizer)
    assert len(optimizer.ledger.records) == 300
    assert spent == provider.answered * CALL_COST
    assert spent + avoided == 300 * CALL_COST
    assert {"hit", "miss", "coalesced", "bypass"} == set(outcomes(optimizer))


@pytest.mark.parametrize(("prices", "usage"), [(None, USAGE), ({"another": (1, 1)}, USAGE), (PRICES, None)])
async def test_an_unknown_price_is_unknown_and_counted(prices, usage):
    optimizer = AsyncOptimizer(Scripted(usage=usage), prices=prices)
    for _ in range(2):
        trace = (await optimizer.complete(QUESTION)).trace
        assert (trace.baseline_cost, trace.avoided) == (None, None)
    assert [record.cost for record in optimizer.ledger.records] == [None, 0]
    assert optimizer.ledger.summary().unknown_prices == 2


async def test_a_dated_model_is_priced_by_the_name_asked_for():
    optimizer = AsyncOptimizer(Scripted(model="gpt-4o-2024-08-06"), prices=PRICES)
    assert (await optimizer.complete(QUESTION)).trace.cost == CALL_COST
    assert (await optimizer.complete(QUESTION)).trace.avoided == CALL_COST
    assert optimizer.cache.invalidate(model="gpt-4o") == 1


# Cancellation


async def test_many_callers_and_cancellations_make_one_call(optimizer, provider):
    provider.gate = anyio.Event()
    draw, answered, scopes = random.Random(5), [], []

    async def one():
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            answered.append((await optimizer.complete(QUESTION)).text)

    async with anyio.create_task_group() as group:
        for _ in range(200):
            group.start_soon(one)
        await wait_for(lambda: provider.calls and len(scopes) == 200)
        for scope in [scopes[0], *draw.sample(scopes[1:], 49)]:  # the leader among them
            scope.cancel()
            if draw.random() < 0.5:
                await checkpoint()
        provider.gate.set()
    counted = outcomes(optimizer)
    assert (provider.calls, answered) == (1, [f"1: {QUESTION}"] * 150)
    assert [counted.count(name) for name in ("miss", "coalesced", "cancelled")] == [1, 149, 50]
    assert books(optimizer) == (CALL_COST, 149 * CALL_COST)
    assert len(optimizer.flight) == 0


async def test_an_answer_nobody_waits_for_is_billed_once_to_who_asked(optimizer, provider):
    """The provider shields its call, so it is answered and billed after its only caller has left."""
    finish, complete = anyio.Event(), provider.complete

    async def shielded(request):
        with anyio.CancelScope(shield=True):
            await finish.wait()
            return await complete(request)

    provider.complete = shielded
    provider.fields["model"] = "gpt-4o-2024-08-06"
    with anyio.move_on_after(0.05):
        await optimizer.complete(QUESTION, scope=Scope(tenant="acme"))
    assert books(optimizer) == (0, 0)
    finish.set()
    await wait_for(lambda: len(optimizer.ledger.records) == 2)
    left, unclaimed = optimizer.ledger.records
    assert (left.outcome, unclaimed.outcome, unclaimed.model) == ("cancelled", "cancelled", "gpt-4o")
    assert (left.cost, unclaimed.cost, unclaimed.scope) == (0, CALL_COST, left.scope)
    assert (await optimizer.complete(QUESTION, scope=Scope(tenant="acme"))).trace.outcome == "hit"


async def test_a_provider_that_asks_for_its_own_answer_gets_an_error(optimizer, provider):
    async def circular(request):
        return await optimizer.complete(request)

    provider.complete = circular
    with anyio.fail_after(5), pytest.raises(FlightRecursionError):
        await optimizer.complete(QUESTION)


# Isolation


async def test_concurrent_personal_questions_are_never_shared(optimizer, provider):
    provider.gate = anyio.Event()
    texts = {}
    forms = (PERSONAL, [{"type": "text", "text": PERSONAL}])
    complete = provider.complete

    async def personal(request):
        await complete(request)
        return await Scripted(text=f"for {request.scope.user}").complete(request)

    provider.complete = personal

    async def one(user, form, number):
        request = Request(body=body(("user", forms[form])), scope=Scope(user=user))
        texts[user, form, number] = (await optimizer.complete(request)).text

    async with anyio.create_task_group() as group:
        for user in ("ann", "bob", None, ""):
            for form in (0, 1):
                for number in (0, 1):
                    group.start_soon(one, user, form, number)
        await wait_for(lambda: provider.calls == 12)  # two for each of ann and bob, four for each nobody
        provider.gate.set()
    assert all(text == f"for {user}" for (user, _, _), text in texts.items())
    assert outcomes(optimizer).count("coalesced") == 4
    assert len(optimizer.cache) == 4


async def test_ten_thousand_requests_of_many_scopes_never_share_across(provider):
    optimizer = AsyncOptimizer(provider, cache=ResponseCache(max_size=500), ledger=Ledger(keep=0))
    draw = random.Random(11)

    async def owner(request):
        await checkpoint()
        scope = request.scope
        mine = request.question.lower().startswith("what is my")
        return await Scripted(text=repr((scope.tenant, scope.namespace, scope.user if mine else "*"))).complete(request)

    provider.complete = owner

    async def caller():
        for _ in range(200):
            scope = Scope(
                tenant=draw.choice([None, "a", "b"]),
                user=draw.choice([None, "a", "b", "c"]),
                namespace=draw.choice(["", "a", "b"]),
            )
            question = draw.choice([PERSONAL, PERSONAL.upper(), QUESTION, f"What is {draw.randrange(20)}?"])
            mine = question.lower().startswith("what is my")
            mode = draw.choice(["default"] * 9 + ["refresh"])
            response = await optimizer.complete(question, scope=scope, cache=mode)
            assert response.text == repr((scope.tenant, scope.namespace, scope.user if mine else "*"))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(caller)
    assert optimizer.ledger.summary().requests == 10_000
    assert optimizer.ledger.hit_rate > 0.3


async def test_what_is_sent_is_what_was_keyed(optimizer, provider):
    """The caller reuses the body for its next question before the provider has read it."""
    request = Request(body=body(("user", "What is Python?")))
    sent = []

    async def read_late(request):
        await provider.gate.wait()
        sent.append(request.question)
        return await Scripted().complete(request)

    provider.gate, provider.complete = anyio.Event(), read_late
    async with anyio.create_task_group() as group:
        group.start_soon(optimizer.complete, request)
        await wait_for(lambda: len(optimizer.flight))
        request.body["messages"][0]["content"] = "What is Rust?"
        request.body["model"] = "another"
        provider.gate.set()
    assert sent == ["What is Python?"]
    assert optimizer.lookup("What is Python?").text == "1: What is Python?"
    assert optimizer.lookup("What is Rust?") is None
    assert optimizer.ledger.records[0].model == "gpt-4o"


async def test_the_caller_s_body_is_not_changed(optimizer, provider):
    request = Request(body=body(("system", "S"), ("user", "  What is\r\nPython??  "), extra={"a": [1, (2, 3)]}))
    before = repr(request.body)
    await optimizer.complete(request)
    assert repr(request.body) == before == repr(provider.requests[0].body)


# What is kept


@pytest.mark.parametrize(
    "fields", [{"finish_reason": "length"}, {"finish_reason": "content_filter"}, {"finish_reason": None}, {"text": " "}]
)
async def test_an_answer_that_is_not_whole_reaches_its_caller_only(fields):
    provider = Scripted(**fields)
    optimizer = AsyncOptimizer(provider, prices=PRICES)
    for _ in range(2):
        response = await optimizer.complete(QUESTION)
        assert response.trace.outcome == "miss"
        assert (response.trace.steps[-1].stage, response.trace.steps[-1].action) == ("admit", "refused")
    assert (provider.calls, len(optimizer.cache)) == (2, 0)


async def test_answers_expire_and_obey_their_request():
    clock = ManualClock()
    optimizer = AsyncOptimizer(Scripted(), cache=ResponseCache(60, clock=clock))
    await optimizer.complete(QUESTION)
    await optimizer.complete("What is Python?", ttl=10, tags=("kb",))
    clock.advance(30)
    assert (await optimizer.complete(QUESTION)).trace.outcome == "hit"
    assert (await optimizer.complete("What is Python?", tags=("kb",))).trace.outcome == "miss"
    assert optimizer.cache.invalidate(tag="kb") == 1
    clock.advance(31)
    assert (await optimizer.complete(QUESTION)).trace.outcome == "miss"


async def test_an_invalidation_while_the_answer_is_made_is_honoured(optimizer, provider):
    provider.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: optimizer.complete(QUESTION, tags=("kb",)))
        await wait_for(lambda: provider.calls)
        optimizer.cache.invalidate(tag="kb")
        provider.gate.set()
    assert len(optimizer.cache) == 0
    assert "invalidated" in optimizer.ledger.records[0].stages[-1].reason


async def test_callers_cannot_change_each_other_s_answers(optimizer):
    first = await optimizer.complete(QUESTION)
    first.json()["a"].append("changed")
    second = await optimizer.complete(QUESTION)
    assert second.json() == {"a": [1]}
    assert second is not await optimizer.complete(QUESTION)


async def test_a_timely_question_is_always_asked(optimizer, provider):
    for _ in range(2):
        response = await optimizer.complete(TIMELY)
        assert response.trace.outcome == "bypass"
        assert response.trace.steps[0].stage == "freshness"
    assert (provider.calls, len(optimizer.cache)) == (2, 0)


# Bad input


@pytest.mark.parametrize(
    ("request_", "parameters", "error"),
    [
        (3, {}, ConfigurationError),
        (None, {}, ConfigurationError),
        (b"text", {}, ConfigurationError),
        ({"model": "m"}, {}, ConfigurationError),
        (Request(body={}), {"temperature": 0}, ConfigurationError),
        ("x", {"prompt": "y"}, ConfigurationError),
        ("x", {"scope": "ann"}, ConfigurationError),
        ("x", {"cache": "never"}, ConfigurationError),
        ("x", {"ttl": -1}, ConfigurationError),
        ("x", {"system": 3}, InvalidRequestError),
        ("x", {"stop": object()}, UnkeyableError),
        ("x", {"top_p": float("nan")}, UnkeyableError),
        ("x", {"logit_bias": {1: 2}}, UnkeyableError),
    ],
)
async def test_bad_input_gets_one_error_and_one_record(optimizer, provider, request_, parameters, error):
    with pytest.raises(error):
        await optimizer.complete(request_, **parameters)
    assert [record.error for record in optimizer.ledger.records] == [error.__name__]
    assert (provider.calls, len(optimizer.cache), optimizer.skipped) == (0, 0, {})


@pytest.mark.parametrize("mode", ["default", "refresh", "only"])
async def test_a_body_that_cannot_be_keyed_is_named_by_its_path(optimizer, provider, mode):
    import numpy as np

    request = Request(body=body(("system", "S"), ("user", np.zeros(3))), cache=mode)
    with pytest.raises(UnkeyableError, match=r"messages\[1\]\.content.*ndarray"):
        await optimizer.complete(request)
    assert (outcomes(optimizer), provider.calls) == (["error"], 0)


class Nameless:
    async def complete(self, request): ...
    async def aclose(self): ...


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"provider": None}, "complete"),
        ({"provider": "openai"}, "complete"),
        ({"provider": Nameless()}, "name"),
        ({"cache": {}}, "cache"),
        ({"cache": True}, "cache"),
        ({"ledger": []}, "ledger"),
        ({"prices": PRICES, "ledger": Ledger()}, "both"),
        ({"prices": 3}, "prices"),
    ],
)
def test_arguments_of_the_wrong_type_are_refused_by_name(arguments, named):
    with pytest.raises(ConfigurationError, match=named):
        AsyncOptimizer(**({"provider": Scripted()} | arguments))


@pytest.mark.parametrize("returned", [None, "text", {"choices": []}])
@pytest.mark.parametrize("mode", ["default", "bypass"])
async def test_a_provider_that_returns_no_response_is_an_error(optimizer, provider, returned, mode):
    async def wrong(request):
        return returned

    provider.complete = wrong
    with pytest.raises(ProviderResponseError, match=type(returned).__name__):
        await optimizer.complete(QUESTION, cache=mode)
    assert (outcomes(optimizer), len(optimizer.cache)) == (["error"], 0)


# Closing


async def test_a_closed_optimizer_says_so_and_can_still_be_read(provider):
    async with AsyncOptimizer(provider, prices=PRICES) as optimizer:
        await optimizer.complete(QUESTION)
    assert provider.closed == 1
    for question in (QUESTION, "What is new?"):
        with pytest.raises(ClosedError):
            await optimizer.complete(question)
    assert (optimizer.lookup(QUESTION).text, provider.calls) == (f"1: {QUESTION}", 1)
    assert outcomes(optimizer) == ["miss", "error", "error"]


# A stage that fails is skipped


class Breaks(Exception):  # noqa: N818
    pass


def breaks(*args, **kwargs):
    raise Breaks("on purpose")


@pytest.mark.parametrize("stage", ["lookup", "plan", "admit"])
async def test_a_cache_that_fails_is_skipped_counted_and_logged(optimizer, provider, monkeypatch, caplog, stage):
    monkeypatch.setattr(optimizer.cache, stage, breaks)
    for number in (1, 2):
        response = await optimizer.complete(f"{QUESTION} {number}")
        assert response.text.startswith(f"{number}:")
        assert response.trace.cost == CALL_COST
        if stage != "lookup":
            assert (stage, "skipped") in [(step.stage, step.action) for step in response.trace.steps]
    assert optimizer.skipped == {stage: 2}
    assert len([record for record in caplog.records if record.name == "resopt"]) == 1
    assert (provider.calls, books(optimizer)) == (2, (2 * CALL_COST, 0))


async def test_rules_that_fail_share_nothing(provider):
    class Broken(Freshness):
        def classify(self, question):
            return breaks()

    optimizer = AsyncOptimizer(provider, cache=ResponseCache(freshness=Broken()))
    for user in ("ann", "bob"):
        response = await optimizer.complete(PERSONAL, scope=Scope(user=user))
        assert response.trace.outcome == "bypass"
    assert (provider.calls, len(optimizer.cache)) == (2, 0)


async def test_a_ledger_that_fails_costs_nobody_an_answer_or_an_error(optimizer, provider, monkeypatch):
    monkeypatch.setattr(optimizer.ledger, "record", breaks)
    monkeypatch.setattr(optimizer.ledger, "hit", breaks)
    miss = await optimizer.complete(QUESTION)
    hit = await optimizer.complete(QUESTION)
    assert (miss.trace.outcome, hit.trace.outcome, hit.trace.cost) == ("miss", "hit", None)
    assert hit.trace.steps[-1].stage == "record"
    provider.error = ServerError("down")
    with pytest.raises(ServerError):
        await optimizer.complete("Another?")
    assert optimizer.skipped == {"record": 3}


@pytest.mark.parametrize("latency", [0.0, -1.0, float("nan"), float("inf")])
async def test_a_provider_s_nonsense_about_time_is_replaced_by_what_was_measured(optimizer, provider, latency):
    provider.fields["latency"] = latency
    for _ in range(2):
        assert 0 < (await optimizer.complete(QUESTION)).trace.baseline_latency < 5
    assert (optimizer.skipped, books(optimizer)) == ({}, (CALL_COST, CALL_COST))


async def test_an_answer_with_broken_parts_reaches_its_caller_and_is_not_kept(optimizer, provider):
    provider.fields["tool_calls"] = None
    assert (await optimizer.complete(QUESTION)).text == f"1: {QUESTION}"
    assert (optimizer.skipped, len(optimizer.cache)) == ({"admit": 1}, 0)


async def test_who_asks_after_an_invalidation_gets_an_answer_made_after_it():
    release = anyio.Event()
    numbers = iter(range(1, 9))

    class Slow:
        name = "slow"

        async def complete(self, request):
            number = next(numbers)
            if number == 1:
                await release.wait()
            return Response(text=f"answer {number}", model="gpt-4o", finish_reason="stop")

        async def aclose(self):
            pass

    got = {}

    async def ask(name):
        got[name] = (await optimizer.complete("What is Python?")).text

    async with AsyncOptimizer(Slow()) as optimizer, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "before")
        await anyio.wait_all_tasks_blocked()
        optimizer.cache.clear()
        await ask("after")
        release.set()
    assert got == {"before": "answer 1", "after": "answer 2"}
    assert optimizer.lookup("What is Python?").text == "answer 2"


async def test_a_call_cut_off_is_counted_because_nobody_knows_its_price():
    class Endless:
        name = "endless"

        async def complete(self, request):
            await anyio.sleep_forever()

        async def aclose(self):
            pass

    async with AsyncOptimizer(Endless(), prices=PRICES) as optimizer:
        with anyio.move_on_after(0.05):
            await optimizer.complete(QUESTION)
        await wait_for(lambda: optimizer.cut_off == 1)
        assert outcomes(optimizer) == ["cancelled"]
