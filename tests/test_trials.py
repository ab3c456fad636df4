"""The switches in the pipeline: rollout, experiments, guardrails, budgets and feedback, over the real simulator."""

import random
import subprocess
import sys
import time

import anyio
import msgspec
import pytest

import resopt
from asking import CALL_COST, PRICES, Scripted, Twin, ask, wait_for
from provider_faces import KEY
from resopt import (
    AsyncOptimizer,
    Budget,
    BudgetExceededError,
    CacheMissError,
    ConfigurationError,
    Experiment,
    Feedback,
    Guardrails,
    Limit,
    LLMVerifier,
    ManualClock,
    OpenAIProvider,
    Optimizer,
    PriceBook,
    ResponseCache,
    Rollout,
    Scope,
    SemanticCache,
    append_signals,
)  # fmt: skip
from resopt.cache import eligible
from resopt.cache.freshness import GENERIC
from resopt.cli import main
from resopt.cli.report import compared, read_export
from resopt.metrics.export import read_lines
from resopt.quality.signals import Decision
from resopt.stage import Prepared
from resopt.stages import Gated
from resopt.types import Billed, Detour, Step
from wrapping import USAGE, all_of, face, serving, settled, simulated

__all__ = ["face", "serving", "simulated"]

pytestmark = pytest.mark.anyio
BOOK = PriceBook({**PRICES, "gpt-4o-mini": (0.25, 1.0)})


class Cheaper:
    """A stage that asks gpt-4o-mini in place of what was asked for."""

    name, policy = "route", "1"

    def prepare(self, request):
        other = msgspec.structs.replace(request, body={**request.body, "model": "gpt-4o-mini"})
        return Prepared(other, Step("route", "gpt-4o-mini", "always"), mechanism="route")

    def again(self, request, response):
        return None

    def learn(self, request, response):
        return None


def by(user, text="What is Python?", **fields):
    return ask(text, scope=Scope(user=user), **fields)


def arms(experiment, count=40):
    """Some users of each arm."""
    users = [f"user {number}" for number in range(count)]
    found = {}
    for user in users:
        found.setdefault(experiment.assign(user), []).append(user)
    return found


# Rollout.


async def test_a_stage_is_on_for_its_share_of_users_and_no_answer_crosses_over():
    provider = Scripted()
    rollout = Rollout({"model_routing": 50})
    users = [f"user {number}" for number in range(20)]
    inside = [user for user in users if rollout.enabled(user, "model_routing")]
    async with AsyncOptimizer(provider, stages=[Cheaper()], rollout=rollout) as optimizer:
        models = {user: (await optimizer.complete(by(user))).model for user in users}
    assert {user for user, model in models.items() if model == "gpt-4o-mini"} == set(inside) != set()
    assert provider.calls == 2, "each side shares its own answer, and never the other's"


async def test_the_cache_is_switched_like_any_stage():
    provider = Scripted()
    async with AsyncOptimizer(provider, rollout=Rollout({"caching": 0})) as optimizer:
        first, second = [await optimizer.complete(ask("What is Python?")) for _ in range(2)]
        assert (first.trace.outcome, second.trace.outcome, provider.calls) == ("bypass", "bypass", 2)
        assert first.trace.steps[0].reason == "switched off for this user"
        optimizer.trials.rollout.set("caching", 100)
        await optimizer.complete(ask("What is Python?"))
        assert (await optimizer.complete(ask("What is Python?"))).trace.outcome == "hit"


async def test_keys_are_those_of_before_when_nothing_is_switched_off():
    request, plain = by("u"), SemanticCache()
    optimizer = AsyncOptimizer(Scripted(), cache=SemanticCache(), rollout=Rollout({"caching": 100, "semantic": 100}))
    assert optimizer.cache.key(request) == plain.key(request)
    off = AsyncOptimizer(Scripted(), cache=SemanticCache(), rollout=Rollout({"semantic": 0}))
    assert off.cache.key(request) != plain.key(request)
    assert off.cache.allowed("semantic", request) is False
    assert optimizer.cache.allowed("semantic", request) is True


async def test_questions_in_other_words_are_switched_too_and_meet_no_answer_of_the_other_side():
    question, other = "How do I reset my password?", "How can I reset my password?"
    provider = Scripted()
    cache = SemanticCache(profile="balanced", audit_share=0, label_share=0)
    async with AsyncOptimizer(provider, cache=cache, rollout=Rollout({"semantic_caching": 50})) as optimizer:
        sides = {}
        for user in (f"user {number}" for number in range(20)):
            sides.setdefault(optimizer.trials.rollout.enabled(user, "semantic_caching"), user)
        for user, mechanisms in ((sides[True], {"semantic"}), (sides[False], {None})):
            await optimizer.complete(by(user, question))
            assert {(await optimizer.complete(by(user, other))).trace.mechanism} == mechanisms
    assert provider.calls == 3


async def test_verifiers_and_rewriters_are_under_the_budget():
    question, other = "How do I reset my password?", "How should I reset my password?"
    budget = budget_of(Limit("0.0008"))
    provider = Scripted()
    cache = SemanticCache(verifier=LLMVerifier(model="gpt-4o-mini"), audit_share=0, label_share=0)
    async with AsyncOptimizer(provider, cache=cache, prices=BOOK, gates=[budget]) as optimizer:
        await optimizer.complete(ask(question, max_tokens=20))
        with pytest.raises(BudgetExceededError):
            await optimizer.complete(ask(other, max_tokens=20))
    assert [request.model for request in provider.requests] == ["gpt-4o", "gpt-4o-mini"]
    assert budget.balance(budget.limits[0]).spent == CALL_COST + CALL_COST // 10


async def test_anonymous_questions_of_both_sides_never_meet():
    rollout = Rollout({"model_routing": 50})
    cache = SemanticCache(profile="balanced", audit_share=0, label_share=0)
    optimizer = AsyncOptimizer(Scripted(), cache=cache, stages=[Cheaper()], rollout=rollout)
    asked = [f"How do I reset my password{extra}?" for extra in ("", " now", " today", " here", " again", " please")]
    keys = {}
    for question in asked:
        request = ask(question)
        side = rollout.switches("route", question)
        found = eligible.asked(request, GENERIC)
        keys.setdefault(side, set()).add(optimizer.cache.key.scoped(found.scope, "x", of=found.request))
    assert set(keys) == {True, False}
    assert not keys[True] & keys[False]


@pytest.mark.parametrize("name", ["modle_routing", "prompt_optimization", "semantic_caching", "prefetching", "x"])
async def test_names_that_switch_nothing_here_are_warned_of(name):
    with pytest.warns(RuntimeWarning, match=f"the rollout's '{name}' switches nothing.*cache.*model_routing"):
        AsyncOptimizer(Scripted(), stages=[Cheaper()], rollout=Rollout({"caching": 50, name: 50}))
    with pytest.warns(RuntimeWarning, match="the stage 'rout' of the experiment 'trial' switches nothing"):
        AsyncOptimizer(Scripted(), stages=[Cheaper()], experiments=[Experiment("trial", stage="rout")])


class Crowd(Scripted):
    """Counts how many are asked at once."""

    def __init__(self):
        super().__init__()
        self.inside = self.most = 0

    async def complete(self, request):
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await anyio.sleep(0.1)
            return await super().complete(request)
        finally:
            self.inside -= 1


@pytest.mark.parametrize("tier", ["standard", "flex"])
async def test_who_has_batching_switched_off_is_asked_one_after_the_other(tier):
    most = {}
    for share in (0, 100):
        provider = Crowd()
        async with AsyncOptimizer(provider, rollout=Rollout({"request_batching": share})) as optimizer:
            answers = await optimizer.gather([by(f"u{number}", f"{number}?") for number in range(8)], tier=tier)
        assert len({answer.trace.id for answer in answers}) == 8
        most[share] = provider.most
    assert most == {0: 1, 100: 8}
    rollout = Rollout({"batch": 50})
    provider = Crowd()
    async with AsyncOptimizer(provider, rollout=rollout) as optimizer:
        await optimizer.gather([by(f"u{number}", f"{number}?") for number in range(20)], 20, tier=tier)
    assert provider.most == sum(rollout.enabled(f"u{number}", "batch") for number in range(20)) + 1


def test_batching_is_switched_for_callers_that_block_too():
    asked = []

    class Slow(Twin):
        async def complete(self, request):
            asked.append("in")
            time.sleep(0.002)  # noqa: ASYNC251 - a provider that blocks
            asked.append("out")
            return await super().complete(request)

        def blocking(self):
            return self

    with Optimizer(Slow(), rollout=Rollout({"request_batching": 0})) as optimizer:
        assert len(optimizer.gather([f"{number}?" for number in range(8)], model="gpt-4o")) == 8
    assert asked == ["in", "out"] * 8


# Experiments.


async def test_an_experiment_splits_users_counts_its_records_and_is_read_back(tmp_path, capsys):
    file = tmp_path / "resopt.jsonl"
    experiment = Experiment("cheaper", stage="route", ramp=(100,))
    quality = Feedback(log=lambda signal: append_signals(file, signal))
    optimizer = AsyncOptimizer(Scripted(), prices=BOOK, stages=[Cheaper()], experiments=[experiment], quality=quality)
    answers = {}
    for number in range(60):
        answers[number] = await optimizer.complete(by(f"user {number}", f"Question {number % 30}?"))
    for number, answer in answers.items():
        arm = experiment.assign(f"user {number}")
        assert answer.trace.steps[0] == Step("experiment", arm, "cheaper")
        assert (answer.model == "gpt-4o-mini") == (arm == "treatment")
        optimizer.feedback(answer, thumbs="up" if arm == "control" else "down")
    result = experiment.result()
    counts = {arm: figures.requests for arm, figures in result.arms.items()}
    assert sum(counts.values()) == 60
    assert result.arms["treatment"].cost_per_request < result.arms["control"].cost_per_request
    assert result.metrics[0].values == (counts["control"], counts["treatment"])
    assert (result.metrics[0].control, result.metrics[0].treatment) == (1.0, 0.0)
    assert optimizer.ledger.export(file) == 60
    assert optimizer.ledger.export(file) == 0
    assert {kind for _, kind, _ in read_lines(file)} == {"record", "signal"}
    assert main(["report", str(file), "--experiment", "cheaper", "--json"]) == 0
    read = msgspec.json.decode(capsys.readouterr().out)
    assert {arm: figures["requests"] for arm, figures in read["arms"].items()} == counts
    assert read["metrics"][0]["values"] == list(result.metrics[0].values)
    assert main(["report", str(file), "--experiment", "cheaper"]) == 0
    assert "Experiment cheaper" in capsys.readouterr().out
    assert main(["report", str(file)]) == 0
    whole = capsys.readouterr().out
    assert "60 requests" in whole
    assert "by gpt-4o-mini" in whole
    assert main(["report", str(file), "--experiment", "dearer"]) == 2
    assert "it has cheaper" in capsys.readouterr().err


async def test_an_experiment_that_harms_is_switched_off_while_it_runs():
    experiment = Experiment("cheaper", stage="route", ramp=(100,))
    optimizer = AsyncOptimizer(Scripted(), prices=BOOK, stages=[Cheaper()], experiments=[experiment])
    for number in range(600):
        answer = await optimizer.complete(by(f"user {number}", "What is Python?"))
        optimizer.feedback(answer, accepted=experiment.assign(f"user {number}") != "treatment")
        if experiment.status == "rolled_back":
            break
    assert experiment.status == "rolled_back"
    treated = next(
        f"user {number}" for number in range(99) if Experiment("cheaper", ramp=(100,)).treats(f"user {number}")
    )
    assert (await optimizer.complete(by(treated, "Anything else?"))).model == "gpt-4o"


async def test_errors_count_in_their_arm():
    provider, experiment = Scripted(), Experiment("trial", ramp=(100,))
    provider.error = CacheMissError("down")
    optimizer = AsyncOptimizer(provider, experiments=[experiment])
    user = arms(experiment)["treatment"][0]
    with pytest.raises(CacheMissError):
        await optimizer.complete(by(user))
    assert experiment.result().arms["treatment"].errors == 1
    assert optimizer.ledger.records[0].stages == (Step("experiment", "treatment", "trial"),)


async def test_an_experiment_that_breaks_breaks_no_answer():
    experiment = Experiment("trial", ramp=(100,))
    experiment.observe = experiment.step = None
    optimizer = AsyncOptimizer(Scripted(), experiments=[experiment])
    assert (await optimizer.complete(by("u"))).text
    assert set(optimizer.skipped) == {"marks", "watch"}


# Feedback.


async def test_a_thumb_down_takes_a_stored_answer_out_whatever_it_is_named_by():
    provider = Scripted()
    optimizer = AsyncOptimizer(provider, prices=BOOK)
    for name in (lambda answer: answer, lambda answer: answer.trace.id):
        await optimizer.complete(ask("What is Python?"))
        hit = await optimizer.complete(ask("What is Python?"))
        assert hit.trace.outcome == "hit"
        optimizer.feedback(name(hit), thumbs="up", task_success=True)
        assert (await optimizer.complete(ask("What is Python?"))).trace.outcome == "hit"
        optimizer.feedback(name(hit), thumbs="down")
        assert (await optimizer.complete(ask("What is Python?"))).trace.outcome == "miss"
    optimizer.feedback(await optimizer.complete(ask("Two?")), thumbs="down")
    assert (await optimizer.complete(ask("Two?"))).trace.outcome == "miss", "an answer just made is stored too"
    report = optimizer.ledger.summary()
    assert {figures.name for figures in report.quality.mechanisms} == {"exact", "(as asked)"}
    assert "Quality against the baseline" in str(report)
    assert report.to_dict()["quality"]["overall"]["task_success"]["count"] == 2


async def test_a_log_that_fails_keeps_no_bad_answer():
    def fails(_):
        raise OSError("the disk is full")

    def changed(_):
        raise RuntimeError("nobody listens")

    experiment = Experiment("trial", ramp=(100,), on_change=changed)
    optimizer = AsyncOptimizer(Scripted(), quality=Feedback(log=fails, retries=60.0), experiments=[experiment])
    answer = await optimizer.complete(by("ann"))
    assert optimizer.feedback(answer, thumbs="down")
    again = await optimizer.complete(by("ann"))
    assert again.trace.outcome == "miss"
    assert optimizer.trials.quality.failed == {"log": 2}, "the thumb, and that it was asked again"
    assert optimizer.trials.quality.report().overall.retries == 1
    assert not optimizer.skipped


async def test_a_cache_that_knows_pairs_is_told_of_bad_ones():
    told = []

    class Knows(ResponseCache):
        def report_bad_hit(self, which):
            told.append(which)
            raise ConfigurationError("nothing is known of it")

    optimizer = AsyncOptimizer(Scripted(), cache=Knows())
    answer = await optimizer.complete(ask("What is Python?"))
    optimizer.feedback(answer, thumbs="down")
    optimizer.feedback(answer.trace.id, thumbs="down")
    assert told == [answer, answer.trace.id]
    assert (await optimizer.complete(ask("What is Python?"))).trace.outcome == "miss"


async def test_feedback_on_nothing_known_is_refused():
    optimizer = AsyncOptimizer(Scripted())
    with pytest.raises(ConfigurationError, match="nothing is known"):
        optimizer.feedback("0-1", thumbs="up")
    with pytest.raises(ConfigurationError, match="not on int"):
        optimizer.feedback(7, thumbs="up")
    with pytest.raises(ConfigurationError, match="say something"):
        optimizer.feedback(await optimizer.complete("Hi"))
    assert optimizer.ledger.summary().quality is None


async def test_the_same_question_of_the_same_user_again_says_that_the_answer_was_no_good():
    optimizer = AsyncOptimizer(Scripted(), quality=Feedback(retries=60.0))
    await optimizer.complete(by("ann", "One?"))
    await optimizer.complete(by("bob", "One?"))
    assert not optimizer.trials.quality.report().said
    await optimizer.complete(by("ann", "One?", cache="refresh"))
    await optimizer.complete(ask("One?"))
    await optimizer.complete(ask("One?"))
    report = optimizer.trials.quality.report()
    assert report.overall.retries == 1
    assert [figures.name for figures in report.mechanisms] == ["(as asked)"], "it was the first answer, not a hit"
    patient = AsyncOptimizer(Scripted(), quality=Feedback(retries=1e-9))
    for _ in range(2):
        await patient.complete(by("ann", "One?"))
    assert patient.trials.quality.report().overall.retries == 0


async def test_a_second_attempt_by_a_stronger_model_is_counted_against_the_first():
    class Escalates(Cheaper):
        def again(self, request, response):
            if request.model == "gpt-4o":
                return None
            back = msgspec.structs.replace(request, body={**request.body, "model": "gpt-4o"})
            return Prepared(back, Step("route", "gpt-4o", "empty"))

    optimizer = AsyncOptimizer(Scripted(), prices=BOOK, stages=[Escalates()], quality=Feedback(retries=60.0))
    await optimizer.complete(by("ann", "One?"))
    await optimizer.complete(by("bob", "One?"))
    report = optimizer.trials.quality.report()
    assert [(figures.name, figures.escalations) for figures in report.models] == [("gpt-4o-mini", 1)]


async def test_a_guardrail_switches_a_stage_off_in_its_namespace():
    quality = Feedback(guardrails=Guardrails({"route": 0.9}))
    optimizer = AsyncOptimizer(Scripted(), prices=BOOK, stages=[Cheaper()], quality=quality)
    scope, other = Scope(namespace="a"), Scope(namespace="b")
    for number in range(60):
        answer = await optimizer.complete(ask(f"Question {number}?", scope=scope))
        if answer.model != "gpt-4o-mini":
            break
        # By id: the ledger knows the scope. By response: the scope is found by its id.
        optimizer.feedback(answer.trace.id if number % 2 else answer, score=0.2)
    assert 1 < number < 59
    assert (await optimizer.complete(ask("Question 0?", scope=scope))).model == "gpt-4o", (
        "no answer of before is served"
    )
    assert (await optimizer.complete(ask("Question 0?", scope=other))).model == "gpt-4o-mini"
    assert "Held back by a guardrail: route in a" in str(optimizer.ledger.summary())


@pytest.mark.parametrize("mechanism", ["exact", "cache"])
async def test_a_guardrail_switches_the_cache_off(mechanism):
    provider = Scripted()
    optimizer = AsyncOptimizer(provider, quality=Feedback(guardrails=Guardrails({mechanism: 0.9})))
    outcomes = []
    while len(outcomes) < 200 and "bypass" not in outcomes:
        answer = await optimizer.complete(ask("What is Python?"))
        optimizer.feedback(answer, score=0.1 if answer.trace.mechanism else 1.0)
        outcomes.append(answer.trace.outcome)
    assert set(outcomes) == {"miss", "hit", "bypass"}
    assert provider.calls == 2
    assert f"Held back by a guardrail: {mechanism}" in str(optimizer.ledger.summary())


async def test_a_guardrail_of_the_budget_turns_away_who_would_get_worse_answers():
    budget = Budget(Limit("0.0012", over="degrade"), prices=BOOK, degrade=["gpt-4o-mini"])
    optimizer = AsyncOptimizer(
        Scripted(), prices=BOOK, stages=[budget.stage], gates=[budget],
        quality=Feedback(guardrails=Guardrails({"budget": 0.9})),
    )  # fmt: skip
    budget.reserve_amount(10**8 * 9)
    answer = await optimizer.complete(ask("What is Python?", max_tokens=20))
    assert (answer.model, Decision.of(answer).mechanism) == ("gpt-4o-mini", "budget")
    for number in range(60):
        optimizer.trials.quality.give(msgspec.structs.replace(Decision.of(answer), id=f"d{number}"), score=0.0)
    with pytest.raises(BudgetExceededError):
        await optimizer.complete(ask("What is Rust?", max_tokens=20))


@pytest.mark.parametrize("mechanism", ["hedge", "coalesced", "rout"])
async def test_a_guardrail_that_would_switch_nothing_is_refused(mechanism):
    with pytest.raises(ConfigurationError, match=r"switches nothing here.*cache.*prompt"):
        AsyncOptimizer(Scripted(), quality=Feedback(guardrails=Guardrails({mechanism: 0.9})))


# Budgets.


def budget_of(*limits, clock=None, **options):
    return Budget(*limits, prices=BOOK, **({} if clock is None else {"clock": clock.now}), **options)


@pytest.mark.parametrize("patient", [True, False])
async def test_over_budget_a_stored_answer_past_its_time_is_served_where_both_allow_it(patient):
    clock = ManualClock()
    cache = ResponseCache(ttl_seconds=10, stale_seconds=1_000 if patient else None, clock=clock)
    budget = budget_of(Limit("0.0012", over="stale"))
    optimizer = AsyncOptimizer(Scripted(), cache=cache, prices=BOOK, gates=[budget])
    first = await optimizer.complete(ask("What is Python?", max_tokens=20))
    clock.advance(11)
    budget.reserve_amount(10**8 * 6)
    if patient:
        stale = await optimizer.complete(ask("What is Python?", max_tokens=20))
        assert (stale.text, stale.trace.outcome, stale.trace.mechanism) == (first.text, "hit", "stale")
        assert optimizer.ledger.records[-1].mechanism == "stale"
        with pytest.raises(BudgetExceededError):
            await optimizer.complete(ask("What is Rust?", max_tokens=20))
        cache.invalidate(key=first.trace.key)
    with pytest.raises(BudgetExceededError):
        await optimizer.complete(ask("What is Python?", max_tokens=20))


@pytest.mark.parametrize("how", [{"tag": "t"}, {"model": "gpt-4o"}, {"older_than": 0}])
async def test_what_is_invalidated_is_not_served_stale(how):
    clock = ManualClock()
    cache = ResponseCache(ttl_seconds=10, stale_seconds=100, clock=clock)
    request = ask("What is Python?", tags=("t",))
    optimizer = AsyncOptimizer(Scripted(), cache=cache)
    await optimizer.complete(request)
    clock.advance(1)
    assert cache.stale(request, cache.plan(request)) is not None
    cache.invalidate(**how)
    assert cache.stale(request, cache.plan(request)) is None
    weather = ask("What is the weather in Berlin now?")
    await optimizer.complete(weather)
    assert cache.stale(weather, cache.plan(weather)) is None, "what a rule has spoken of is never served past its time"
    for bad in (0, -1, True, "1"):
        with pytest.raises(ConfigurationError, match="stale_seconds"):
            ResponseCache(stale_seconds=bad)


async def test_who_waits_at_another_gate_and_leaves_is_charged_nothing():
    class Slow:
        name = "limits"

        async def enter(self, request):
            await anyio.sleep(60)

        def blocking(self):
            return self

    budget = budget_of(Limit(1))
    optimizer = AsyncOptimizer(Scripted(), prices=BOOK, gates=[budget, Slow()])
    with anyio.move_on_after(0.01):
        await optimizer.complete(ask("One?", max_tokens=5))
    await wait_for(lambda: budget.accounts.open == 0)
    assert budget.balance(budget.limits[0]).spent == 0


async def test_a_changed_mind_counts_once_in_an_experiment():
    experiment = Experiment("trial", ramp=(100,))
    optimizer = AsyncOptimizer(Scripted(), experiments=[experiment])
    answer = await optimizer.complete(by("ann"))
    for thumbs in ("up", "down", "up"):
        optimizer.feedback(answer, thumbs=thumbs)
    assert sum(experiment.result().metrics[0].values) == 1
    assert optimizer.ledger.summary().quality.overall.satisfaction.count == 1


@pytest.mark.parametrize("named", ["response", "id"])
async def test_several_voices_on_one_answer_are_one_value_of_an_experiment(tmp_path, named):
    """Four voices on each answer, nothing changed: hardly any of 20 experiments may be rolled back."""
    file, rolled_back = tmp_path / "resopt.jsonl", 0
    chance = random.Random(5)
    for number in range(20):
        experiment = Experiment(f"trial {number}", ramp=(100,))
        quality = Feedback(log=lambda signal: append_signals(file, signal)) if not number else None
        optimizer = AsyncOptimizer(Scripted(), experiments=[experiment], quality=quality)
        for user in range(300):
            answer = await optimizer.complete(by(f"user {user}", f"{number}?"))
            which, good = answer if named == "response" else answer.trace.id, chance.random() < 0.8
            optimizer.feedback(which, rating=5 if good else 1, accepted=good, task_success=good)
            optimizer.feedback(which, score=float(good), judge="a 1")
            optimizer.feedback(which, score=float(not good), judge="a 1")
        rolled_back += experiment.status == "rolled_back"
        if not number:
            assert sum(experiment.result().metrics[0].values) == 300
            optimizer.ledger.export(file)
            assert sum(compared(*read_export(file), "trial 0", split=50, margin=0.02).metrics[0].values) == 300
    assert rolled_back <= 3


async def test_calls_of_resopt_s_own_pass_the_gates_too():
    budget = budget_of(Limit("0.0008"))
    optimizer = AsyncOptimizer(Scripted(), prices=BOOK, gates=[budget])
    own = Gated(optimizer.stages, optimizer.provider)
    await own.complete(ask("Is this the same?", max_tokens=20))
    assert budget.balance(budget.limits[0]).spent == CALL_COST
    with pytest.raises(BudgetExceededError):
        await own.complete(ask("And this?", max_tokens=20))
    optimizer.provider.error = CacheMissError("down")
    budget.accounts._balances.clear()
    with pytest.raises(CacheMissError):
        await own.complete(ask("And this?", max_tokens=20))
    assert (budget.accounts.open, budget.balance(budget.limits[0]).spent) == (0, 0)


# Over the real simulator.


def test_embeddings_are_under_the_budget(face, simulated):
    budget = Budget(Limit("0.0002"), prices=PriceBook({"text-embedding-3-small": (1, 0)}))

    async def story(face):
        async with face.client(simulated, wrapping={"gates": [budget]}) as client:

            async def embedded(text):
                return await settled(client.embeddings.create(model="text-embedding-3-small", input=[text]))

            made = await embedded("One?")
            assert budget.balance(budget.limits[0]).spent == made.usage.prompt_tokens * 10**6 > 0
            with pytest.raises(BudgetExceededError):
                await embedded("Two? " * 100)
            assert budget.accounts.open == 0

    face.tell(story)


@pytest.fixture(scope="module")
def simulator():
    with resopt.SimulatedServer(time_scale=0) as server:
        yield server


def switched():
    return {
        "rollout": Rollout({"caching": 100, "model_routing": 50}),
        "experiments": [Experiment("cheaper", stage="route", ramp=(100,))],
        "quality": Feedback(retries=60.0, guardrails=Guardrails({"route": 0.5})),
    }


async def test_all_together_over_http(simulator):
    budget = budget_of(Limit("0.5", per="tenant", window="day"), Limit(1))
    async with AsyncOptimizer(
        OpenAIProvider(base_url=simulator.url + "/v1", api_key=KEY),
        prices=BOOK, stages=[Cheaper()], gates=[budget], **switched(),
    ) as optimizer:  # fmt: skip
        async with anyio.create_task_group() as group:
            answers = []

            async def one(number):
                request = by(f"user {number}", f"What is {number % 8}?", max_tokens=30)
                answers.append(await optimizer.complete(request))

            for number in range(32):
                group.start_soon(one, number)
        for answer in answers:
            optimizer.feedback(answer, thumbs="up")
        check_together(optimizer, budget, answers)


def test_all_together_over_http_blocking(simulator):
    budget = budget_of(Limit("0.5", per="tenant", window="day"), Limit(1))
    with Optimizer(
        OpenAIProvider(base_url=simulator.url + "/v1", api_key=KEY),
        prices=BOOK, stages=[Cheaper()], gates=[budget], **switched(),
    ) as optimizer:  # fmt: skip
        answers = [
            optimizer.complete(by(f"user {number}", f"What is {number % 8}?", max_tokens=30)) for number in range(32)
        ]
        for answer in answers:
            optimizer.feedback(answer, thumbs="up")
        check_together(optimizer.pipeline, budget, answers)


def check_together(optimizer, budget, answers):
    summary = optimizer.ledger.summary()
    assert budget.balance(budget.limits[1]).spent == summary.spent > 0
    assert budget.accounts.open == 0
    assert {answer.model.removesuffix("-2024-07-18") for answer in answers} >= {"gpt-4o-mini"}
    assert summary.quality.overall.satisfaction.mean == 1.0
    counted = optimizer.trials.experiments[0].result().arms
    assert sum(figures.requests for figures in counted.values()) == 32
    assert not optimizer.skipped


# Bare streams of the library leave generators behind on trio, which it warns of wherever the collector finds them.
leaves_generators = pytest.mark.filterwarnings(
    "ignore:Async generator:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@leaves_generators
def test_streams_are_switched_budgeted_and_scored_too(face, simulated):
    budget = budget_of(Limit(1), Limit("0.01", per="request"))
    wrapping = {"prices": BOOK, "stages": [Cheaper()], "gates": [budget], **switched()}

    async def story(face):
        async with face.client(simulated, wrapping=wrapping) as client:

            async def streamed(text, tokens=300):
                messages = [{"role": "user", "content": text}]
                asked = {"model": "gpt-4o", "messages": messages, "max_tokens": tokens, "stream": True, **USAGE}
                return await all_of(await settled(client.chat.completions.create(**asked)))

            ledger = client.resopt.ledger
            assert await streamed("What is Python?")
            spent = budget.balance(budget.limits[0])
            assert (spent.spent, spent.promised) == (ledger.summary().spent, 0)
            with pytest.raises(BudgetExceededError):
                await streamed("What is Rust?", 30_000)
            record = ledger.records[0]
            assert record.stages[0].stage == "experiment"
            await streamed("What is Python?")
            assert ledger.records[-1].outcome == "hit"
            client.resopt.feedback(record.id, thumbs="down")
            await streamed("What is Python?")
            assert ledger.records[-1].outcome == "miss"

    face.tell(story)


@leaves_generators
def test_a_stream_past_its_time_is_replayed_over_budget(face, simulated):
    clock = ManualClock()
    budget = budget_of(Limit("0.01", over="stale"))
    cache = ResponseCache(ttl_seconds=10, stale_seconds=100, clock=clock)

    async def story(face):
        async with face.client(simulated, wrapping={"prices": BOOK, "gates": [budget], "cache": cache}) as client:

            async def streamed(text):
                messages = [{"role": "user", "content": text}]
                asked = {"model": "gpt-4o", "messages": messages, "max_tokens": 300, "stream": True, **USAGE}
                return await all_of(await settled(client.chat.completions.create(**asked)))

            first = await streamed("What is Python?")
            clock.advance(11)
            budget.reserve_amount(10**10 - budget.balance(budget.limits[0]).spent)
            again = await streamed("What is Python?")
            assert [event.id for event in again] == [event.id for event in first]
            assert client.resopt.ledger.records[-1].mechanism == "stale"
            with pytest.raises(BudgetExceededError):
                await streamed("What is Rust?")

    face.tell(story)


def test_feedback_on_what_a_wrapped_client_returned(face, simulated):
    async def story(face):
        async with face.client(simulated) as client:

            async def ask_again():
                messages = [{"role": "user", "content": "What is Python?"}]
                return await settled(client.chat.completions.create(model="gpt-4o", messages=messages))

            for name in (lambda answer: answer, resopt.last):
                await ask_again()
                hit = await ask_again()
                assert resopt.last(hit).outcome == "hit"
                client.resopt.feedback(name(hit), thumbs="down")
                assert resopt.last(await ask_again()).outcome == "miss"

    face.tell(story)


def test_a_broken_export_is_named(tmp_path, capsys):
    file = tmp_path / "x.jsonl"
    assert main(["report", str(file)]) == 2
    file.write_text('{"line":"other"}\n\n{"line":"record","ts":1}\n')
    assert main(["report", str(file)]) == 2
    assert "line 3: a damaged record" in capsys.readouterr().err
    file.write_text("[]\n")
    assert main(["report", str(file)]) == 2
    file.write_text('{"line":"other"}\n')
    assert main(["report", str(file)]) == 0
    assert "no requests" in capsys.readouterr().out
    assert main(["report", str(file), "--experiment", "x"]) == 2


def test_the_verb_runs_in_a_process_of_its_own(tmp_path):
    file = tmp_path / "resopt.jsonl"
    with Optimizer(Twin(), prices=BOOK) as optimizer:
        optimizer.complete("Hi")
        optimizer.ledger.export(file)
    done = subprocess.run(
        [sys.executable, "-m", "resopt", "report", str(file)], capture_output=True, text=True, check=True
    )
    assert "1 requests" in done.stdout


@pytest.mark.parametrize("options", [{"rollout": {"caching": 1}}, {"experiments": ["x"]}, {"quality": len}])
def test_what_is_none_of_it_is_refused(options):
    with pytest.raises(ConfigurationError):
        AsyncOptimizer(Scripted(), **options)


def test_detours_tell_mechanisms_apart():
    from resopt.types import Response, Trace

    both = Response(text="", model="m", detour=Detour(mechanism="route", shortened=5), trace=Trace(id="a"))
    assert Decision.of(both).mechanisms == ("route", "prompt")
    only = Response(text="", model="m", detour=Detour(shortened=5, also=(Billed("route", "m", None),)))
    assert Decision.of(only).mechanisms == ("prompt",)
