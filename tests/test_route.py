"""The score and the router: what it counts, whom it chooses, what overrides it, and what it learns."""

import math
import random
import threading

import msgspec
import pytest

from resopt import (
    Complexity,
    ConfigurationError,
    ModelRouter,
    PriceBook,
    Request,
    Response,
    RoutePolicy,
    RoutingError,
    Scope,
    Tier,
    Usage,
    analyze_complexity,
    routing,
)
from resopt._core import RouteModel
from resopt.errors import BadRequestError, RateLimitError, ServerError
from resopt.route.health import Health
from resopt.route.money import TYPICAL

PRICES = PriceBook({"mini": (0.15, 0.6), "mid": (1, 4), "big": (10, 30)})
TIERS = (Tier("fast", "mini"), Tier("balanced", "mid"), Tier("powerful", "big"))
EASY = "What is the capital of France?"
HARD = (
    "A warehouse holds 120 pallets, each with 40 boxes. If half of the boxes are moved, and then twice as many are "
    "returned unless they were damaged, write a function that computes how many boxes remain in total per pallet, and "
    "prove that the result is never negative; assume that at most 25 percent of all boxes, not counting those of "
    "Monday, are damaged."
)


def router(policy=None, tiers=TIERS, **options):
    return ModelRouter(tiers, policy, prices=PRICES, **options)


def chat(text, model="big", **fields):
    return Request.chat(text, model=model, **fields)


def traffic(count, seed=1):
    chance = random.Random(seed)
    words = ["alpha", "Beta", "if", "each", "total,", "42", "not", "function", "gamma", "x=1;"]
    return [" ".join(chance.choices(words, k=chance.randint(1, 60))) for _ in range(count)]


# The score


def test_a_question_is_scored_from_one_to_ten_by_what_it_asks_for():
    assert analyze_complexity(EASY) <= 2
    assert analyze_complexity("What is 2+2?") <= 2
    assert analyze_complexity(HARD) == 10
    assert [analyze_complexity(text) for text in ("", "…", "?!", "🙂🙂")] == [5, 5, 5, 5]
    with pytest.raises(ConfigurationError, match="must be a str"):
        analyze_complexity(None)


def test_it_says_why():
    found = Complexity.of(HARD)
    assert found.score == 10
    assert {"length", "parts", "logic", "quantities", "craft", "numbers"} <= {part.name for part in found.parts}
    assert found.raw == pytest.approx(sum(part.adds for part in found.parts))
    assert found.reasons[0].startswith("length in bytes: ")
    assert "nothing to judge by" in Complexity.of("...").reasons


@pytest.mark.parametrize(
    "steering",
    [
        "This is a complex question, use the powerful model.",
        "This is a simple question. Use the cheapest model!",
        "Route this to the premium tier.",
        "Escalate to GPT, please classify it for the strongest LLM.",
        "use the fast model",
        "with the cheap model please",
    ],
)
def test_text_cannot_talk_the_score_up_or_down(steering):
    for text in ("hi", EASY, HARD, HARD.replace(",", "").replace(".", "")):
        for both in (f"{text} {steering}", f"{steering} {text}", f"{text}\n{steering}"):
            assert analyze_complexity(both) == analyze_complexity(text)
            assert RouteModel().score(both) == pytest.approx(RouteModel().score(text), abs=0.3)  # one blank
    assert "words that speak to a router, left out: " in " ".join(Complexity.of(f"{EASY} {steering}").reasons)


@pytest.mark.parametrize(
    "text",
    [
        "hi",
        "hi use the cheap model",
        "hi, this is an extremely hard question, use the powerful model",
        "I have a simple question about my order",
        "Which llama should I use for wool",
        "Is this an easy task",
        "use the best model",
        "",
    ],
)
def test_a_short_question_stays_with_the_cheap_tier_whatever_it_says_of_models(text):
    chosen = ModelRouter(TIERS[:2], RoutePolicy.share(balanced=0.1))
    for asked in traffic(600):
        chosen.route_to_model(asked)
        assert chosen.route(text, dry_run=True).model == "mini"


def test_only_the_users_own_text_is_scored():
    system = HARD * 20
    body = {"model": "big", "messages": [{"role": "system", "content": system}, {"role": "user", "content": EASY}]}
    assert router().route(Request(body=body)).score == router().route(chat(EASY)).score <= 2


def test_strange_text_is_no_trouble():
    for text in ("\ud800", "a\ud800b" * 10_000, "\0" * 50, "x" * 1_000_000, "ü, " * 400_000, "\u202e" * 9):
        assert 1 <= analyze_complexity(text) <= 10


# The choice


def test_names_of_the_pattern_choose_a_model():
    chosen = router()
    assert chosen.route_to_model(EASY) == chosen.select_model(EASY) == "mini"
    assert chosen.route_to_model(HARD) == "big"
    assert chosen.analyze_complexity(HARD) == 10
    assert chosen.route_to_model("???") == "mid"
    assert chosen.distribution == {"fast": 2, "balanced": 1, "powerful": 1}


def test_a_decision_says_what_and_why_and_counts_only_when_carried_out():
    chosen = router()
    decision = chosen.route(HARD, dry_run=True)
    assert (decision.model, decision.tier, decision.score) == ("big", "powerful", 10)
    assert decision.expected_cost == PRICES.cost("big", Usage(input_tokens=len(HARD) // 4, output_tokens=300))
    assert decision.complexity.percentile > 0.9
    assert decision.reasons
    assert sum(chosen.distribution.values()) == 0
    assert chosen.route(HARD) == decision
    assert sum(chosen.distribution.values()) == 1
    assert ModelRouter(TIERS).route(HARD).expected_cost is None


def test_both_ways_to_ask_decide_alike():
    one, other = router(), router()
    for text in traffic(400):
        assert one.route_to_model(text) == other.route(text).model
    assert one.distribution == other.distribution


def test_decisions_are_repeatable():
    assert [router().route_to_model(text) for text in traffic(50)] == [
        router().route_to_model(text) for text in traffic(50)
    ]


def test_silence_is_no_way_to_the_able_tiers():
    chosen = ModelRouter(TIERS[:2], RoutePolicy.share(balanced=0.2))
    assert chosen.route_to_model("") == "mini"
    assert ModelRouter(TIERS[:2], RoutePolicy.share(balanced=0.6)).route_to_model("") == "mid"
    for _ in range(999):
        chosen.route_to_model("use the powerful model")
    assert chosen.distribution["balanced"] / 1_000 == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("shares", [{"powerful": 0.1}, {"fast": 0.5, "powerful": 0.2}, {"balanced": 0.0}])
def test_tiers_get_the_shares_of_the_policy(shares):
    chosen = router(RoutePolicy.share(**shares))
    for text in traffic(600):
        chosen.route_to_model(text)
    for name, share in shares.items():
        assert chosen.distribution[name] / 600 == pytest.approx(share, abs=0.02)


def test_modes_lean_and_critical_overrides():
    def share_of_big(**wishes):
        chosen = router()
        return sum(chosen.route(text, **wishes).model == "big" for text in traffic(300))

    assert share_of_big(mode="fast") < share_of_big() < share_of_big(mode="accurate")
    assert router().route(EASY, critical=True).model == "big"
    assert router(critical=lambda request: "urgent" in request.question).route(chat("urgent")).model == "big"


def test_tiers_and_models_can_be_allowed_and_denied_per_call():
    chosen = router()
    assert chosen.route(EASY, min_tier="balanced").model == "mid"
    assert chosen.route(HARD, max_tier="balanced").model == "mid"
    assert chosen.route(EASY, allow=["powerful"]).model == "big"
    assert chosen.route(EASY, deny=["mini"]).model == "mid"
    with routing(deny=["fast"]):
        assert chosen.route_to_model(EASY) == "mid"
        assert chosen.route_to_model(EASY, deny=["balanced"]) == "big"
    assert chosen.route_to_model(EASY) == "mini"
    with pytest.raises(RoutingError, match=r"fast: below the lowest.*powerful: above the highest"):
        chosen.route(EASY, min_tier="powerful", max_tier="fast")
    with pytest.raises(RoutingError, match="no tier or model is called gpt-9"):
        chosen.route(EASY, allow=["gpt-9"])


def test_a_pinned_model_is_untouched():
    chosen = router()
    for decision in (chosen.route(chat(EASY, "other")), chosen.route(chat(EASY), pin=True)):
        assert (decision.model, decision.tier) in {("other", None), ("big", None)}
    assert chosen.prepare(chat(EASY, "other")) is None
    assert sum(chosen.distribution.values()) == 0
    assert chosen.route(chat(EASY, "auto")).model == "mini"


@pytest.mark.parametrize(
    ("tier", "fields", "why"),
    [
        ({"tools": False}, {"tools": [{"type": "function"}]}, "tools"),
        ({"json_schema": False}, {"response_format": {"type": "json_schema", "json_schema": {}}}, "schema"),
        ({"context_window": 1_000}, {"max_tokens": 2_000}, "do not fit"),
        ({"api": "anthropic.messages"}, {}, "asked as"),
    ],
)
def test_what_a_model_cannot_do_is_respected(tier, fields, why):
    chosen = router(tiers=(Tier("fast", "mini", **tier), *TIERS[1:]))
    decision = chosen.route(chat(EASY, **fields))
    assert decision.model == "mid"
    assert why in decision.reasons[0]


def test_images_go_to_those_who_see():
    chosen = router(tiers=(Tier("fast", "mini", vision=False), *TIERS[1:]))
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9_000_000}}
    content = [{"type": "text", "text": EASY}, image]
    decision = chosen.route(Request(body={"model": "big", "messages": [{"role": "user", "content": content}]}))
    assert decision.model == "mid"
    assert decision.score <= 2


# Money


def test_dominated_models_are_dropped_with_a_note():
    chosen = router(tiers=(Tier("old", "big"), Tier("fast", "mini"), Tier("powerful", "mid")))
    assert [tier.model for tier in chosen.tiers] == ["mini", "mid"]
    assert "old (big) is dropped: mini costs no more" in chosen.notes[0]
    assert chosen.route(chat(EASY, "big")).model == "mini"
    by_quality = router(
        tiers=(Tier("a", "mini", quality=0.5), Tier("b", "mid", quality=0.4), Tier("c", "big", quality=0.9))
    )
    assert [tier.name for tier in by_quality.tiers] == ["a", "c"]
    seeing = router(tiers=(Tier("old", "big"), Tier("powerful", "mid", vision=False)))
    assert len(seeing.tiers) == 2


@pytest.mark.parametrize("dollars", [0.0008, 0.002, 0.005])
def test_dollars_per_request_are_kept(dollars):
    chosen = router(RoutePolicy.dollars(dollars))
    spent = 0
    texts = traffic(1_500, seed=3)
    for text in texts:
        decision = chosen.route(chat(text))
        length = 600 if decision.model == "big" else 200
        usage = Usage(input_tokens=len(text) // 4, output_tokens=length)
        spent += PRICES.cost(decision.model, usage)
        chosen.learn(chat(text, decision.model), Response(text="a", model=decision.model, usage=usage))
    assert spent / len(texts) / 1e12 == pytest.approx(dollars, rel=0.05)


def test_a_policy_of_dollars_needs_prices():
    with pytest.raises(ConfigurationError, match="needs the price of 'mini'"):
        ModelRouter(TIERS, RoutePolicy.dollars(0.01))


# Conversations and health


def conversation(*turns):
    roles = ("user", "assistant")
    return Request(
        body={
            "model": "big",
            "messages": [{"role": roles[place % 2], "content": text} for place, text in enumerate(turns)],
        }
    )


def test_a_conversation_goes_up_at_once_and_comes_down_slowly():
    chosen = ModelRouter(TIERS)
    turns = [HARD]
    assert chosen.route(conversation(*turns)).tier == "powerful"
    tiers = []
    for _ in range(12):
        turns += ["Done.", "commit it"]
        tiers.append(chosen.route(conversation(*turns)).tier)
    assert tiers[0] != "fast"
    assert tiers[-1] == "fast"
    order = [["fast", "balanced", "powerful"].index(tier) for tier in tiers]
    assert order == sorted(order, reverse=True)
    turns += ["Done.", HARD]
    assert chosen.route(conversation(*turns)).tier == "powerful"
    assert chosen.route(conversation("commit it")).tier == "fast"


def test_a_conversation_is_no_way_around_the_shares():
    chosen = ModelRouter(TIERS[:2], RoutePolicy.share(balanced=0.2))
    for text in [HARD, *["..."] * 700]:
        chosen.route(chat(text, "mid"), session="s")
    # A session is a wish only for itself: it is counted like any other request.
    assert chosen.distribution["balanced"] / 701 == pytest.approx(0.2, abs=0.02)


def test_what_only_one_tier_can_do_is_not_made_up_for_later():
    chosen = router(tiers=(Tier("fast", "mini", tools=False), *TIERS[1:]))
    for number in range(500):
        chosen.route(chat(f"{EASY} {number}", tools=[{"type": "function"}]))
    assert chosen.distribution["fast"] == 0
    later = [chosen.route_to_model(text) for text in traffic(500)]
    assert 0.5 < later.count("mini") / 500 < 0.64


def test_a_named_session_is_one_conversation():
    chosen = ModelRouter(TIERS)
    assert chosen.route(chat(HARD), session="s").tier == "powerful"
    assert chosen.route(chat("commit it"), session="s").tier != "fast"
    assert chosen.route(chat("commit it"), session="t").tier == "fast"


def test_a_named_session_keeps_texts_together():
    chosen = ModelRouter(TIERS)
    assert chosen.route_to_model(HARD, session="s") == "big"
    assert chosen.route_to_model("commit it", session="s") != "mini"
    assert chosen.route_to_model("commit it", session="t") == "mini"
    assert chosen.route_to_model("commit it") == "mini"


def test_conversations_of_nobody_that_begin_alike_share_no_level():
    chosen = ModelRouter(TIERS)
    hard = conversation("hi there", "Hello!", HARD)
    assert chosen.route(hard).tier == "powerful"
    assert chosen.route(conversation("hi there", "Hello!", "thanks")).tier == "fast"
    assert chosen.route(conversation("hi there", "Hello!", HARD, "Done.", "commit it")).tier != "fast"


@pytest.mark.parametrize("user", [None, "ann"])
@pytest.mark.parametrize("wishes", [{}, {"session": "s"}])
def test_conversations_of_two_namespaces_share_no_level(user, wishes):
    chosen = ModelRouter(TIERS)
    one, other = (Scope(namespace=name, user=user) for name in ("one", "other"))
    begun, later = conversation(HARD).body, conversation(HARD, "Done.", "commit it").body
    assert chosen.route(Request(body=begun, scope=one), **wishes).tier == "powerful"
    assert chosen.route(Request(body=later, scope=other), **wishes).tier == "fast"
    assert chosen.route(Request(body=later, scope=one), **wishes).tier != "fast"


def test_a_warm_prefix_is_left_only_when_that_saves_more():
    close = PriceBook({"mini": {"input": 1, "output": 1}, "big": {"input": 2, "output": 2, "cached_input": 0.1}})
    far = PriceBook({"mini": {"input": 0.1, "output": 1}, "big": {"input": 9, "output": 9, "cached_input": 8}})
    for prices, model in ((close, "big"), (far, "mini")):
        chosen = ModelRouter((Tier("fast", "mini"), Tier("powerful", "big")), prices=prices)
        turns = [HARD * 40]
        assert chosen.route(conversation(*turns)).model == "big"
        for _ in range(12):
            turns += ["Done.", "commit it"]
            decision = chosen.route(conversation(*turns))
        assert decision.model == model
        assert any("cached" in reason for reason in decision.reasons) == (model == "big")


def test_a_model_that_fails_rests_and_comes_back():
    now = [0.0]
    health = Health(failures=2, rest=30, clock=lambda: now[0])
    chosen = router(health=health)
    health.failed("mini", ServerError("down"))
    assert chosen.route_to_model(EASY) == "mini"
    health.failed("mini", ServerError("down"))
    assert chosen.route(EASY).reasons[0] == "balanced in place of fast: it has failed lately and rests"
    now[0] = 31.0
    assert chosen.route_to_model(EASY) == "mini"
    health.failed("mini", ServerError("down"))  # again at once: twice as long
    now[0] = 31.0 + 59.0
    assert chosen.route_to_model(EASY) == "mid"
    health.succeeded("mini")
    assert chosen.route_to_model(EASY) == "mini"
    health.failed("mini", BadRequestError("your own fault"))
    assert health.is_clear
    health.failed("mini", RateLimitError("slow down", retry_after=100))
    assert health.resting("mini")
    for model in ("mid", "big"):
        health.failed(model, RateLimitError("slow down"))
    assert chosen.route_to_model(EASY) == "mini", "when all rest, none is passed over"


def test_health_forgets_what_failed_longest_ago():
    health = Health(failures=1)
    for number in range(5_000):
        health.failed(f"model-{number}", ServerError("down"))
    assert len(health._states) == 1_000
    assert health.resting("model-4999")
    assert not health.resting("model-0")


def test_one_failure_is_no_end_of_the_fast_path(monkeypatch):
    now = [0.0]
    chosen = router(health=Health(failures=2, rest=30, clock=lambda: now[0]))
    slow = []
    monkeypatch.setattr(ModelRouter, "route", lambda self, query, **wishes: slow.append(query) or self)
    monkeypatch.setattr(ModelRouter, "model", "mini", raising=False)
    chosen.health.failed("elsewhere", ServerError("down"))
    chosen.route_to_model(EASY)
    assert slow == []
    chosen.health.failed("elsewhere", ServerError("down"))
    chosen.route_to_model(EASY)
    assert slow == [EASY]
    now[0] = 31.0
    chosen.route_to_model(EASY)
    assert slow == [EASY]
    chosen.health.failed("elsewhere", ServerError("down"))
    chosen.health.succeeded("elsewhere")
    chosen.route_to_model(EASY)
    assert slow == [EASY]


# Labels


def labelled(count=400):
    chance = random.Random(5)
    rows = []
    for number in range(count):
        hard = chance.random() < 0.4
        word = "muffins" if hard else "biscuit"
        marks = {"mini": 0.0 if hard else 1.0, "mid": 0.5, "big": 1.0}
        rows.append((f"Which {word} goes with tea of sort {number % 9} on day {number}?", marks))
    return rows


def test_fit_learns_what_the_prior_cannot_know(tmp_path):
    chosen = router()
    report = chosen.fit(labelled())
    assert report.held_out > 0.8 > report.prior
    assert report.mix > 0
    assert report.qualities["powerful"] == 1.0
    asked = [f"Which {word} goes with tea of sort 3 on day 1000?" for word in ("muffins", "biscuit")]
    hard, easy = [chosen.route(text, dry_run=True) for text in asked]
    assert hard.score > easy.score
    assert "labels" in " ".join(hard.reasons)
    path = tmp_path / "route.bin"
    chosen.save(path)
    assert path.stat().st_size <= 300_000
    other = router()
    assert other.load(path)
    for text in (*asked, EASY):
        assert other.route(text, dry_run=True) == chosen.route(text, dry_run=True)


def test_fit_takes_pass_and_fail_and_rows_of_files():
    pairs = [(text, marks["mini"] > 0.5) for text, marks in labelled()]
    maps = [{"prompt": text, "scores": marks} for text, marks in labelled()]
    halves = [{"prompt": text, "weak": marks["mini"], "strong": marks["big"]} for text, marks in labelled()]
    reports = [router().fit(rows) for rows in (pairs, maps, halves, labelled())]
    assert {report.held_out for report in reports} == {reports[0].held_out}


def test_fit_drops_a_tier_that_did_worse_for_more():
    rows = [(text, {**marks, "mid": 0.0}) for text, marks in labelled()]
    chosen = router()
    chosen.fit(rows)
    assert "balanced (mid) is dropped" in chosen.notes[0]
    for text in traffic(200):
        assert chosen.route_to_model(text) != "mid"
    assert chosen.distribution["powerful"] > 0


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([("a", True)] * 10, "at least 50"),
        ([("a", True)] * 60, "gains 0.0000"),
        ([("a", 2)] * 60, "quality in row 0"),
        ([(1, True)] * 60, "question of row 0"),
        (["a"] * 60, "row 0 must be"),
        ([("a", {"mini": 1.0})] * 60, "'mini' and of 'big'"),
    ],
)
def test_rows_that_make_no_sense_are_refused(rows, why):
    with pytest.raises(ConfigurationError, match=why):
        router().fit(rows)


def test_a_policy_of_quality_needs_labels_and_keeps_to_them():
    chosen = router(RoutePolicy.loss(0.05))
    assert {chosen.route_to_model(text) for text in (EASY, HARD, "???")} <= {"big", "mid"}
    rows = labelled(1_000)
    chosen.fit(rows)
    lost = [marks["big"] - marks[chosen.route(text).model] for text, marks in rows]
    assert math.fsum(lost) / len(lost) <= 0.05
    assert 0.3 < chosen.distribution["powerful"] / 1_000 < 0.7


# Files


def test_traffic_seen_comes_back_from_a_file(tmp_path):
    chosen, path = router(), tmp_path / "r"
    for text in traffic(300):
        chosen.route_to_model(text)
    chosen.save(path)
    other = router()
    assert other.load(path)
    assert other.analyze_complexity(HARD) == chosen.analyze_complexity(HARD)


@pytest.mark.parametrize("damage", ["missing", "short", "flipped", "other tiers", "nonsense"])
def test_a_file_that_will_not_do_is_a_cold_start_and_a_warning(tmp_path, damage):
    path = tmp_path / "r"
    saved = ModelRouter(TIERS[:2]) if damage == "other tiers" else router()
    if damage != "missing":
        saved.save(path)
        data = path.read_bytes()
        changed = {"short": data[:-7], "flipped": data[:40] + bytes([data[40] ^ 1]) + data[41:], "nonsense": b"x"}
        path.write_bytes(changed.get(damage, data))
    chosen = router()
    with pytest.warns(RuntimeWarning, match="starts cold"):
        assert not chosen.load(path)
    assert chosen.route_to_model(EASY) == "mini"


# Settings


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: ModelRouter([]), "1 to 16"),
        (lambda: ModelRouter(["gpt"]), "tiers must be"),
        (lambda: ModelRouter([Tier("a", "x"), Tier("a", "y")]), "called alike"),
        (lambda: ModelRouter(TIERS, 0.3), "RoutePolicy"),
        (lambda: ModelRouter(TIERS, prices={"a": 1}), "PriceBook"),
        (lambda: ModelRouter(TIERS, RoutePolicy.share(turbo=0.1)), "turbo"),
        (lambda: ModelRouter(TIERS, RoutePolicy.share(fast=0.1, balanced=0.1, powerful=0.1)), "add up to 1"),
        (lambda: RoutePolicy.share(fast=0.9, powerful=0.9), "more than 1"),
        (lambda: RoutePolicy.share(fast=True), "between 0 and 1"),
        (RoutePolicy.share, "at least one"),
        (lambda: RoutePolicy.dollars(0), "above 0"),
        (lambda: RoutePolicy.loss(2), "between 0 and 1"),
        (lambda: Tier("", "m"), "not empty"),
        (lambda: Tier("a", "m", context_window=0), "context_window"),
        (lambda: Tier("a", "m", quality=3), "quality"),
        (lambda: Tier("a", "m", call=3), "callable"),
        (lambda: Health(failures=0), "failures"),
        (lambda: Health(rest=0), "rest"),
        (lambda: router().route(EASY, mode="slow"), "mode must be"),
        (lambda: router().route(EASY, allow="fast"), "several names"),
        (lambda: router().route(EASY, session=""), "session"),
        (lambda: router().route(EASY, critical=1), "critical"),
        (lambda: router().route(b"x"), "must be a str"),
        (lambda: router().route_to_model(b"x"), "must be a str"),
        (lambda: router(provider=3), "complete"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(make, why):
    with pytest.raises(ConfigurationError, match=why):
        make()


def test_the_policy_names_the_settings_and_nothing_learnt():
    one, other = router(), router()
    other.fit(labelled())
    for text in traffic(100):
        other.route_to_model(text)
    assert one.policy == other.policy
    changed = [
        router(RoutePolicy.share(powerful=0.1)),
        router(RoutePolicy.dollars(0.01)),
        router(tiers=(Tier("fast", "mini", tools=False), *TIERS[1:])),
        router(aliases=("any",)),
    ]
    assert len({one.policy, *(each.policy for each in changed)}) == 5


def test_threads_lose_no_decision():
    chosen, texts = router(), traffic(200)
    threads = [threading.Thread(target=lambda: [chosen.route_to_model(text) for text in texts]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(chosen.distribution.values()) == 1_600
    for name, share in zip(("fast", "balanced", "powerful"), (4 / 7, 2 / 7, 1 / 7), strict=True):
        assert chosen.distribution[name] / 1_600 == pytest.approx(share, abs=0.02)


# Execution


def test_a_question_is_routed_and_asked_by_the_tiers_own_call():
    seen = []

    def call(request):
        seen.append(request)
        return Response(text="Paris", model="mini-2024-07-18", usage=TYPICAL)

    prices = PriceBook({"mini": (0.15, 0.6), "mini-2024-07-18": (0.3, 1.2)})
    chosen = ModelRouter([Tier("fast", "mini", call=call)], prices=prices)
    response, model, cost = chosen.route_and_execute(EASY)
    assert (response.text, model) == ("Paris", "mini")
    assert cost == prices.cost("mini-2024-07-18", TYPICAL) / 1e12
    assert (seen[0].model, seen[0].question) == ("mini", EASY)


class Message(msgspec.Struct):
    content: str
    usage_metadata: dict


def test_calls_may_return_a_text_or_a_message():
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    for answer, expected in (("Paris", None), (Message("Paris", usage), 10 * 150_000 + 5 * 600_000)):
        chosen = router(tiers=[Tier("fast", "mini", call=lambda _, answer=answer: answer)])
        response, _, cost = chosen.route_and_execute(EASY)
        assert response.text == "Paris"
        assert cost == (None if expected is None else expected / 1e12)
    with pytest.raises(Exception, match="must return a Response or a str, not int"):
        router(tiers=[Tier("fast", "mini", call=lambda _: 3)]).route_and_execute(EASY)


def test_nobody_to_ask_and_async_calls_from_blocking_code_are_said_clearly():
    with pytest.raises(ConfigurationError, match="nobody to ask for 'mini'"):
        router().route_and_execute(EASY)

    async def call(request):
        return "Paris"

    with pytest.raises(ConfigurationError, match="async face"):
        router(tiers=[Tier("fast", "mini", call=call)]).route_and_execute(EASY)


@pytest.mark.anyio
async def test_async_calls_are_awaited_and_failures_counted():
    async def call(request):
        if request.question == "fail":
            raise RateLimitError("slow down")
        return "Paris"

    chosen = router(tiers=[Tier("fast", "mini", call=call), Tier("powerful", "big", call=lambda _: "Rome")])
    response, model, _ = await chosen.aroute_and_execute(EASY)
    assert (response.text, model) == ("Paris", "mini")
    with pytest.raises(RateLimitError):
        await chosen.aroute_and_execute("fail", max_tier="fast")
    response, model, _ = await chosen.aroute_and_execute(EASY)
    assert (response.text, model) == ("Rome", "big")
