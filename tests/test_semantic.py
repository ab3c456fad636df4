"""The semantic tier from end to end: what it serves, what it must not, what that costs, and how it is corrected."""

import json

import anyio
import anyio.lowlevel
import msgspec
import pytest

from asking import PRICES, Scripted, ask, body, outcomes, wait_for
from resopt import (
    AsyncOptimizer,
    CacheMissError,
    ConfigurationError,
    Embedder,
    LLMVerifier,
    ManualClock,
    MultiTierCache,
    Optimizer,
    Request,
    Response,
    Rewriter,
    Scope,
    SemanticCache,
)

pytestmark = pytest.mark.anyio

STORED = "How do I reset my password?"
OTHER_WORDS = "How can I reset my password?"
NEGATED = "How do I not reset my password?"
ELSEWHERE = "What does an overdraft cost?"
CALL = 100 * 2_500_000 + 20 * 10_000_000


class Knowing(Scripted):
    """Answers by topic, so that questions that mean the same get the same answer."""

    def __init__(self, **fields):
        super().__init__(**fields)
        self.says = {}

    async def complete(self, request):
        response = await super().complete(request)
        question = request.question
        for words, answer in self.says.items():
            if words in question:
                return msgspec.structs.replace(response, text=answer, body=chat(answer))
        answer = f"An answer about {'passwords' if 'password' in question else question}, in some more words."
        return msgspec.structs.replace(response, text=answer, body=chat(answer))


class Twin(Knowing):
    def blocking(self):
        return self


def chat(text):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "1", "model": "gpt-4o", "choices": [choice]}).encode()


@pytest.fixture
def provider():
    return Knowing()


def cache(**settings):
    return SemanticCache(**{"profile": "balanced", "audit_share": 0, "label_share": 0, **settings})


def optimizer_with(provider, **settings):
    return AsyncOptimizer(provider, cache=cache(**settings), prices=PRICES)


# What is served


async def test_a_question_in_other_words_is_answered_from_memory(provider):
    optimizer = optimizer_with(provider)
    first = await optimizer.complete(STORED)
    hit = await optimizer.complete(OTHER_WORDS)
    assert (hit.text, hit.trace.outcome, hit.trace.mechanism) == (first.text, "hit", "semantic")
    assert (hit.trace.cost, hit.trace.baseline_cost) == (0, CALL)
    assert STORED in hit.trace.steps[0].reason
    assert provider.calls == 1
    assert optimizer.skipped == {}
    assert optimizer.stats.hits == 1
    assert optimizer.stats.misses == 1


def test_blocking_callers_too():
    with Optimizer(Twin(), cache=cache(), prices=PRICES) as optimizer:
        optimizer.complete(STORED)
        assert optimizer.complete(OTHER_WORDS).trace.mechanism == "semantic"
        assert optimizer.lookup(OTHER_WORDS) is not None


async def test_exact_questions_never_come_to_it(provider):
    optimizer = optimizer_with(provider)
    await optimizer.complete(STORED)
    assert (await optimizer.complete(STORED.upper())).trace.mechanism == "folded"
    assert optimizer.cache.semantic.hits == 0


@pytest.mark.parametrize("other", [NEGATED, ELSEWHERE, "", "?", "\ud800 lone", "x" * 100_000])
async def test_what_means_something_else_is_asked(provider, other):
    optimizer = optimizer_with(provider)
    await optimizer.complete(STORED)
    response = await optimizer.complete(other)
    assert response.trace.outcome == "miss"
    assert provider.calls == 2
    assert optimizer.skipped == {}


async def test_a_refusal_is_named(provider):
    optimizer = optimizer_with(provider)
    await optimizer.complete(STORED)
    response = await optimizer.complete(NEGATED)
    (step,) = [step for step in response.trace.steps if step.stage == "semantic"]
    assert "negation" in step.reason
    assert STORED in step.reason


@pytest.mark.parametrize(
    "other",
    [
        ask(OTHER_WORDS, scope=Scope(tenant="acme")),
        ask(OTHER_WORDS, scope=Scope(namespace="test")),
        ask(OTHER_WORDS, system="Answer in French."),
        ask(OTHER_WORDS, model="gpt-4o-mini"),
        ask(OTHER_WORDS, temperature=0),
        ask(OTHER_WORDS, max_tokens=7),
        ask(OTHER_WORDS, seed=1),
        ask(OTHER_WORDS, n=2),
        ask(OTHER_WORDS, tools=[{"type": "function", "function": {"name": "reset"}}]),
        ask(OTHER_WORDS, cache="refresh"),
        ask(OTHER_WORDS, cache="bypass"),
        Request(body=body(("tool", "x"), ("user", OTHER_WORDS))),
    ],
    ids=lambda request: str(sorted(request.body)),
)  # fmt: skip
async def test_what_was_asked_otherwise_never_meets(provider, other):
    optimizer = optimizer_with(provider)
    await optimizer.complete(STORED)
    assert (await optimizer.complete(other)).trace.mechanism is None


async def test_answers_that_call_tools_are_never_served_to_another_question(provider):
    from resopt import ToolCall

    optimizer = optimizer_with(provider)
    provider.fields = {"tool_calls": (ToolCall(id="1", name="f", arguments="{}"),), "finish_reason": "tool_calls"}
    await optimizer.complete(STORED)
    assert (await optimizer.complete(OTHER_WORDS)).trace.outcome == "miss"


async def test_personal_answers_stay_with_their_user(provider):
    optimizer = optimizer_with(provider)
    mine, same = "What is my account balance?", "What's my account balance?"
    ann, bob = Scope(user="ann"), Scope(user="bob")
    await optimizer.complete(mine, scope=ann)
    assert (await optimizer.complete(same, scope=bob)).trace.outcome == "miss"
    assert (await optimizer.complete(same)).trace.outcome == "bypass"


async def test_only_finds_what_means_the_same(provider):
    optimizer = optimizer_with(provider)
    await optimizer.complete(STORED)
    assert (await optimizer.complete(OTHER_WORDS, cache="only")).trace.mechanism == "semantic"
    with pytest.raises(CacheMissError):
        await optimizer.complete(ELSEWHERE, cache="only")


# What is kept, and for how long


async def test_a_hit_is_found_under_its_own_words_the_next_time(provider):
    optimizer = optimizer_with(provider)
    await optimizer.complete(STORED, tags=("kb:1",))
    await optimizer.complete(OTHER_WORDS)
    again = await optimizer.complete(OTHER_WORDS)
    assert again.trace.mechanism == "semantic"
    assert optimizer.cache.semantic.hits == 1
    assert len(optimizer.cache) == 2
    assert optimizer.invalidate(tag="kb:1") == 2
    assert (await optimizer.complete(OTHER_WORDS)).trace.outcome == "miss"


async def test_what_comes_from_an_answer_does_not_outlive_it(provider):
    clock = ManualClock()
    optimizer = optimizer_with(provider, ttl_seconds=100, clock=clock)
    await optimizer.complete(STORED)
    clock.advance(90)
    hit = await optimizer.complete(OTHER_WORDS)
    assert hit.trace.mechanism == "semantic"
    clock.advance(11)
    assert (await optimizer.complete(OTHER_WORDS)).trace.outcome == "miss"


@pytest.mark.parametrize("how", ["evicted", "expired", "invalidated", "model", "age", "cleared", "replaced"])
async def test_what_is_gone_is_not_found_by_meaning(provider, how):
    clock = ManualClock()
    optimizer = optimizer_with(provider, max_size=3, ttl_seconds=100, clock=clock)
    await optimizer.complete(STORED, tags=("t",))
    (space,) = optimizer.cache.meaning.spaces
    assert len(space) == len(space.partition) == 1
    if how == "evicted":
        for number in range(3):
            await optimizer.complete(f"Question number {number} about something else")
    elif how == "expired":
        clock.advance(101)
        assert optimizer.lookup(ELSEWHERE) is None
    elif how == "invalidated":
        assert optimizer.invalidate(tag="t") == 1
    elif how == "model":
        assert optimizer.invalidate(model="gpt-4o") == 1
    elif how == "age":
        clock.advance(1)
        assert optimizer.invalidate(older_than=0.5) == 1
    elif how == "cleared":
        optimizer.cache.clear()
    else:
        await optimizer.complete(STORED, cache="refresh")
        assert len(space) == len(space.partition) == 1
        return
    assert optimizer.cache.entry(ask(STORED)) is None
    assert len(space) == len(space.partition) == (3 if how == "evicted" else 0)
    assert optimizer.lookup(OTHER_WORDS) is None


async def test_vectors_count_as_bytes(provider):
    plain = AsyncOptimizer(Knowing(), prices=PRICES)
    optimizer = optimizer_with(provider)
    await plain.complete(STORED)
    await optimizer.complete(STORED)
    (space,) = optimizer.cache.meaning.spaces
    assert optimizer.stats.bytes - plain.stats.bytes == space.partition.bytes_of(1) > 1_000
    with pytest.raises(ConfigurationError):
        SemanticCache(max_bytes=-1)


# Corrections


@pytest.mark.parametrize("by", ["response", "id", "a later hit"])
async def test_a_reported_hit_is_taken_back_for_good(provider, by):
    optimizer = optimizer_with(provider)
    await optimizer.complete(STORED)
    hit = await optimizer.complete(OTHER_WORDS)
    if by == "a later hit":
        hit = await optimizer.complete(OTHER_WORDS)
    assert optimizer.report_bad_hit(hit.trace.id if by == "id" else hit) == 2
    assert len(optimizer.cache) == 0
    await optimizer.complete(STORED)
    again = await optimizer.complete(OTHER_WORDS)
    assert again.trace.outcome == "miss"
    assert "barred" in str(optimizer.cache.explain(OTHER_WORDS + " please"))
    assert (optimizer.cache.semantic.reported, optimizer.cache.semantic.spaces[0].barred) == (1, 1)


async def test_an_exact_hit_can_be_reported_too(provider):
    optimizer = optimizer_with(provider)
    await optimizer.complete(STORED)
    await optimizer.complete(OTHER_WORDS)
    hit = await optimizer.complete(STORED)
    assert optimizer.report_bad_hit(hit) == 2
    for nonsense in ("no such id", 7, None):
        with pytest.raises(ConfigurationError):
            optimizer.report_bad_hit(nonsense)


async def test_a_plain_cache_can_be_told_too(provider):
    optimizer = AsyncOptimizer(provider, prices=PRICES)
    response = await optimizer.complete(STORED)
    assert optimizer.report_bad_hit(response) == 1
    with pytest.raises(ConfigurationError):
        optimizer.report_bad_hit("id")


@pytest.mark.parametrize("face", ["async", "blocking"])
async def test_an_audit_finds_a_wrong_answer_and_puts_the_right_one_in_its_place(face):
    provider = Twin()
    provider.says = {"How can": "Something else entirely is true of that: go to the branch in person."}
    optimizer = AsyncOptimizer(provider, cache=cache(audit_share=1.0), prices=PRICES)
    if face == "blocking":
        optimizer = Optimizer(provider, cache=cache(audit_share=1.0), prices=PRICES)
        complete = anyio.to_thread.run_sync
        await complete(optimizer.complete, STORED)
        hit = await complete(optimizer.complete, OTHER_WORDS)
    else:
        await optimizer.complete(STORED)
        hit = await optimizer.complete(OTHER_WORDS)
    assert hit.trace.mechanism == "semantic"
    await wait_for(lambda: optimizer.cache.semantic.spaces[0].wrong == 1)
    await wait_for(lambda: optimizer.cache.entry(ask(OTHER_WORDS)) is not None)
    assert optimizer.cache.entry(ask(OTHER_WORDS)).response.text.startswith("Something else")
    assert optimizer.cache.entry(ask(STORED)) is None
    assert optimizer.cache.semantic.reported == 1
    report = optimizer.ledger.summary()
    assert (report.requests, report.outcomes["background"]) == (2, 1)
    assert {saving.mechanism: saving.avoided for saving in report.savings} == {"semantic": CALL, "audit": -CALL}
    assert report.spent + report.avoided == report.baseline


async def test_an_audit_that_agrees_changes_nothing(provider):
    optimizer = optimizer_with(provider, audit_share=1.0)
    await optimizer.complete(STORED)
    await optimizer.complete(OTHER_WORDS)
    await wait_for(lambda: optimizer.cache.semantic.spaces[0].audited == 1)
    figures = optimizer.cache.semantic.spaces[0]
    assert (figures.wrong, figures.labels) == (0, 1)
    assert len(optimizer.cache) == 2


async def test_an_audit_that_fails_counts_against_the_tier(provider, caplog):
    optimizer = optimizer_with(provider, audit_share=1.0)
    await optimizer.complete(STORED)
    provider.error = RuntimeError("down")
    assert (await optimizer.complete(OTHER_WORDS)).trace.outcome == "hit"
    await wait_for(lambda: optimizer.cache.semantic.spaces[0].wrong == 1)
    assert optimizer.skipped == {"audit": 1}
    assert len(optimizer.cache) == 2


async def test_misses_with_a_candidate_are_lessons(provider):
    optimizer = optimizer_with(provider, label_share=1.0)
    await optimizer.complete(STORED)
    await optimizer.complete("How do I change my password?")
    assert optimizer.cache.semantic.spaces[0].labels == 1
    assert provider.calls == 2


@pytest.mark.parametrize("slow", [False, True])
async def test_a_judge_of_one_s_own(provider, slow):
    asked = []

    def judge(*texts):
        asked.append(texts)
        return 0.9

    async def slow_judge(*texts):
        await anyio.lowlevel.checkpoint()
        return judge(*texts)

    optimizer = optimizer_with(provider, audit_share=1.0, judge=slow_judge if slow else judge)
    await optimizer.complete(STORED)
    await optimizer.complete(OTHER_WORDS)
    await wait_for(lambda: optimizer.cache.semantic.spaces[0].audited == 1)
    assert asked[0][0] == OTHER_WORDS
    assert asked[0][2] == STORED
    assert optimizer.cache.semantic.spaces[0].wrong == 0


# What has to be waited for


def by_letter(texts):
    return [[text.count(letter) + 1 for letter in "abcdefgh"] for text in texts]


async def by_letter_async(texts):
    await anyio.lowlevel.checkpoint()
    return by_letter(texts)


@pytest.mark.parametrize("embedder", [by_letter, by_letter_async, Embedder(by_letter, deadline=5)])
@pytest.mark.parametrize("face", ["async", "blocking"])
async def test_an_embedder_of_one_s_own(embedder, face):
    provider = Twin()
    mine = cache(embedder=embedder, verifier=None, similarity_threshold=0.9, deadline=5)
    if face == "blocking":
        with Optimizer(provider, cache=mine, prices=PRICES) as optimizer:
            first = await anyio.to_thread.run_sync(optimizer.complete, STORED)
            hit = await anyio.to_thread.run_sync(optimizer.complete, OTHER_WORDS)
    else:
        optimizer = AsyncOptimizer(provider, cache=mine, prices=PRICES)
        first = await optimizer.complete(STORED)
        hit = await optimizer.complete(OTHER_WORDS)
    assert first.trace.outcome == "miss"
    assert (hit.trace.outcome, hit.trace.mechanism, hit.text) == ("hit", "semantic", first.text)
    assert optimizer.cache.semantic.embedder_failures == {}


@pytest.mark.parametrize("result", [RuntimeError("down"), [[float("nan")] * 8], [[0.0] * 8], [1.0], None], ids=str)
async def test_an_embedder_that_fails_is_a_miss(provider, result):
    async def broken(texts):
        if isinstance(result, Exception):
            raise result
        if result is None:
            await anyio.sleep(60)
        return result

    optimizer = optimizer_with(provider, embedder=broken, deadline=0.05)
    for question in (STORED, OTHER_WORDS):
        assert (await optimizer.complete(question)).trace.outcome == "miss"
    assert sum(optimizer.cache.semantic.embedder_failures.values()) >= 1
    assert optimizer.cache.semantic.hits == 0
    assert list(optimizer.cache.meaning.spaces) == []


async def test_a_verifier_of_one_s_own(provider):
    heard = []

    async def verifier(question, other, answer):
        heard.append((question, other, answer))
        return 0.99

    optimizer = optimizer_with(provider, verifier=verifier)
    first = await optimizer.complete(STORED)
    assert (await optimizer.complete(OTHER_WORDS)).trace.mechanism == "semantic"
    assert heard == [(OTHER_WORDS, STORED, first.text)]
    assert (await optimizer.complete(NEGATED)).trace.outcome == "miss"


@pytest.mark.parametrize("said", [0.1, 2.0, "yes", None, RuntimeError()], ids=str)
async def test_a_verifier_that_says_no_or_nonsense_is_a_miss(provider, said):
    def verifier(question, other, answer):
        if isinstance(said, Exception):
            raise said
        return said

    optimizer = optimizer_with(provider, verifier=verifier)
    await optimizer.complete(STORED)
    assert (await optimizer.complete(OTHER_WORDS)).trace.outcome == "miss"
    assert optimizer.cache.semantic.verifier_failures == (0 if said == 0.1 else 1)


class Small(Knowing):
    """A cheap model that says what it is told to."""

    def __init__(self, word, **fields):
        super().__init__(**fields)
        self.word = word

    async def complete(self, request):
        response = await super().complete(request)
        return msgspec.structs.replace(response, text=self.word, body=chat(self.word))


GREY = "How do I change my password?"


@pytest.mark.parametrize("word", ["YES", "No.", ""])
async def test_a_model_is_asked_in_the_grey_zone(provider, word):
    small = Small(word)
    optimizer = optimizer_with(provider, verifier=LLMVerifier(small, model="gpt-4o-mini"))
    optimizer.ledger.prices = type(optimizer.ledger.prices)(PRICES | {"gpt-4o-mini": (0.25, 1)})
    await optimizer.complete(STORED)
    response = await optimizer.complete(GREY)
    yes = word == "YES"
    assert response.trace.mechanism == ("semantic" if yes else None)
    assert small.calls == 1
    assert small.requests[0].body["model"] == "gpt-4o-mini"
    report = optimizer.ledger.summary()
    savings = {saving.mechanism: saving.avoided for saving in report.savings}
    assert savings == ({"semantic": CALL, "verifier": -CALL // 10} if yes else {"verifier": -CALL // 10})
    assert report.spent + report.avoided == report.baseline
    assert (await optimizer.complete(ELSEWHERE)).trace.outcome == "miss"
    assert small.calls == 1


async def test_a_model_that_is_late_is_not_waited_for(provider):
    small = Small("YES")
    small.gate = anyio.Event()
    optimizer = optimizer_with(provider, verifier=LLMVerifier(small, model="gpt-4o-mini", deadline=0.05))
    await optimizer.complete(STORED)
    assert (await optimizer.complete(GREY)).trace.outcome == "miss"


async def test_agreement_of_a_model_with_audits_is_counted(provider):
    verifier = LLMVerifier(Small("NO"), model="gpt-4o-mini")
    optimizer = optimizer_with(provider, verifier=verifier, label_share=1.0)
    await optimizer.complete(STORED)
    await optimizer.complete(GREY)
    figures = optimizer.cache.semantic
    assert (figures.model_asked, figures.model_agreed, figures.model_disagreed) == (1, 0, 1)


@pytest.mark.parametrize("word", ["Adapted to the new question.", "CANNOT", ""])
@pytest.mark.parametrize("face", ["async", "blocking"])
async def test_an_eager_cache_has_answers_rewritten(word, face):
    small, provider = Small(word), Twin()
    eager = cache(profile="eager", rewriter=Rewriter(small, model="gpt-4o-mini"))
    prices = PRICES | {"gpt-4o-mini": (0.25, 1)}
    if face == "blocking":
        optimizer = Optimizer(provider, cache=eager, prices=prices)

        async def complete(question):
            return await anyio.to_thread.run_sync(optimizer.complete, question)
    else:
        optimizer = AsyncOptimizer(provider, cache=eager, prices=prices)
        complete = optimizer.complete
    await complete(STORED)
    response = await complete(OTHER_WORDS)
    report = optimizer.ledger.summary()
    savings = {saving.mechanism: saving.avoided for saving in report.savings}
    assert report.spent + report.avoided == report.baseline
    if not word.startswith("Adapted"):
        assert response.trace.outcome == "miss"
        assert savings == {"rewrite": -CALL // 10}
        return
    assert (response.text, response.trace.mechanism, response.trace.cost) == (word, "rewrite", CALL // 10)
    assert response.json()["choices"][0]["message"]["content"] == word
    assert savings == {"rewrite": CALL - CALL // 10}
    again = await complete(OTHER_WORDS)
    assert (again.text, again.trace.mechanism, again.trace.cost) == (word, "rewrite", 0)
    assert small.calls == 1
    (space,) = optimizer.cache.meaning.spaces
    assert len(space) == 1, "what was rewritten is no source"
    assert optimizer.report_bad_hit(again) == 2


# As data


async def test_explanations_change_nothing(provider):
    optimizer = optimizer_with(provider)
    assert optimizer.cache.explain(STORED).why == "nothing was posted in its scope"
    await optimizer.complete(STORED)
    before = optimizer.cache.semantic
    explained = optimizer.cache.explain(OTHER_WORDS)
    assert (explained.decision, explained.standing) == ("semantic", "cold")
    assert explained.candidates[0].question == STORED
    refused = optimizer.cache.explain(NEGATED)
    assert refused.decision == "miss"
    assert refused.candidates[0].reasons[0].guard == "negation"
    assert "negation" in str(refused)
    assert optimizer.cache.explain(STORED).decision == "exact"
    assert optimizer.cache.explain(STORED.upper()).decision == "folded"
    assert "seed" in optimizer.cache.explain(OTHER_WORDS, seed=1).why
    assert "what time is it" in optimizer.cache.explain("What time is it?").why
    assert optimizer.cache.semantic == before
    assert outcomes(optimizer) == ["miss"]


async def test_the_report_says_how_right_it_was(provider):
    optimizer = optimizer_with(provider, audit_share=1.0)
    await optimizer.complete(STORED)
    assert "Semantic hits: 0, 0 reported" in str(optimizer.ledger.summary())
    await optimizer.complete(OTHER_WORDS)
    await wait_for(lambda: optimizer.cache.semantic.spaces[0].audited == 1)
    assert "Semantic hits: 1, 0 reported as wrong; audits of the busiest scope: at most 0.0% wrong (95 %)" in str(
        optimizer.ledger.summary()
    )


async def test_what_was_learnt_survives_a_restart(provider):
    optimizer = optimizer_with(provider)
    await optimizer.complete(STORED)
    hit = await optimizer.complete(OTHER_WORDS)
    optimizer.report_bad_hit(hit)
    learnt = optimizer.cache.learnt()
    other = optimizer_with(Knowing())
    other.cache.restore(learnt)
    await other.complete(STORED)
    assert (await other.complete(OTHER_WORDS)).trace.outcome == "miss"
    for damaged in (b"", learnt[:-3], b"x" + learnt):
        with pytest.raises(ConfigurationError):
            other.cache.restore(damaged)
    with pytest.raises(ConfigurationError, match="another"):
        cache(verifier=None).restore(learnt)


@pytest.mark.parametrize(
    "arguments",
    [
        {"profile": "bold"},
        {"profile": "eager"},
        {"similarity_threshold": 2},
        {"max_wrong_hits": 0},
        {"max_wrong_hits": "2 %"},
        {"audit_share": -1},
        {"label_share": True},
        {"embedder": "text-embedding-3-small"},
        {"verifier": "gpt"},
        {"verifier": 7},
        {"rewriter": 7},
        {"judge": 7},
        {"guards": "numbers"},
        {"guards": ["no such guard"]},
        {"deadline": 0},
        {"index": "tree"},
        {"ttl_seconds": -1},
    ],
    ids=str,
)
def test_nonsense_is_refused(arguments):
    with pytest.raises(ConfigurationError):
        SemanticCache(**arguments)


@pytest.mark.parametrize("index", ["flat", "exact", "hnsw"])
@pytest.mark.parametrize("own", [False, True])
async def test_any_index_finds_the_same(provider, index, own):
    if index == "hnsw":
        pytest.importorskip("hnswlib", reason="the extra hnsw compiles; see test_vectors.py")
    embedder = {"embedder": by_letter, "deadline": 5, "verifier": None, "similarity_threshold": 0.9} if own else {}
    optimizer = optimizer_with(provider, index=index, **embedder)
    await optimizer.complete(STORED)
    assert (await optimizer.complete(OTHER_WORDS)).trace.mechanism == "semantic"
    (space,) = optimizer.cache.meaning.spaces
    optimizer.cache.clear()
    assert len(space) == len(space.partition) == 0
    assert space.decide(OTHER_WORDS, by_letter([OTHER_WORDS])[0] if own else None).candidates == []


async def test_guards_can_be_chosen(provider):
    optimizer = optimizer_with(provider, guards=["number"], verifier=None, similarity_threshold=0.9)
    await optimizer.complete(STORED)
    assert (await optimizer.complete(NEGATED)).trace.mechanism == "semantic"


# Levels


async def test_three_levels(provider):
    small = Small("Adapted.")
    tiers = MultiTierCache(
        l3_threshold=0.5, rewriter=Rewriter(small, model="gpt-4o-mini"), audit_share=0, label_share=0
    )
    optimizer = AsyncOptimizer(provider, cache=tiers, prices=PRICES | {"gpt-4o-mini": (0.25, 1)})
    answers = [await optimizer.complete(question) for question in (STORED, STORED, OTHER_WORDS, GREY, GREY, ELSEWHERE)]
    assert [tiers.tier(answer) for answer in answers] == [None, "L1", "L2", "L3", "L3", None]
    assert (provider.calls, small.calls) == (2, 1)
    report = optimizer.ledger.summary()
    assert report.spent + report.avoided == report.baseline
    assert optimizer.invalidate(key=answers[2].trace.key) == 1, "the source alone"
    assert optimizer.report_bad_hit(answers[3]) == 2, "what was rewritten, and what was promoted from the same source"


async def test_without_a_rewriter_a_broad_match_is_a_miss(provider):
    tiers = MultiTierCache(l3_threshold=0.5, audit_share=0, label_share=0)
    optimizer = AsyncOptimizer(provider, cache=tiers)
    await optimizer.complete(STORED)
    assert (await optimizer.complete(GREY)).trace.outcome == "miss"


async def test_levels_by_cosine_alone(provider):
    small = Small("Adapted.")
    tiers = MultiTierCache(0.99, 0.85, verifier=None, rewriter=Rewriter(small, model="m"), audit_share=0, label_share=0)
    optimizer = AsyncOptimizer(provider, cache=tiers)
    await optimizer.complete(STORED)
    assert tiers.tier(await optimizer.complete(OTHER_WORDS)) in ("L2", "L3")
    assert tiers.tier(await optimizer.complete(GREY)) == "L3"


@pytest.mark.parametrize("thresholds", [(0.8, 0.9), (2, 0.9), (0.9, -1), ("a", 0.5)])
def test_levels_must_make_sense(thresholds):
    with pytest.raises(ConfigurationError):
        MultiTierCache(*thresholds)


def test_a_tier_is_of_hits_only():
    assert MultiTierCache.tier(Response(text="", model="m")) is None
