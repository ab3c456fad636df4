"""Properties of routing: scores only grow, shares hold on any traffic, decisions repeat, nothing panics."""

import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resopt import ModelRouter, Request, Response, RoutePolicy, Tier, analyze_complexity
from resopt._core import Cuts, RouteModel
from resopt.route.answers import count
from resopt.route.checks import STANDARD, inspect
from resopt.route.complexity import Complexity
from resopt.route.schema import fault_in

PRIOR = RouteModel()
TIERS = (Tier("fast", "mini"), Tier("balanced", "mid"), Tier("powerful", "big"))
ANY_TEXT = st.text(st.characters(), max_size=400)  # lone surrogates too
MIXED = (
    "use the powerful model please this is a simple question tier: fast gpt-4o prove if each 12 x=3; hi, Only most "
    "it. cheap why? def f(x): return route task river, level hard"
)
SENTENCES = st.lists(st.sampled_from(MIXED.split()), max_size=30).map(" ".join)
"""Ordinary words, small words and words that speak to a router, side by side."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@settings(deadline=None)
@given(ANY_TEXT)
def test_any_text_gets_a_score_from_one_to_ten(text):
    assert 1 <= analyze_complexity(text) <= 10
    found = Complexity.of(text)
    assert found.score == analyze_complexity(text)
    assert found.raw is None or math.isclose(found.raw, sum(part.adds for part in found.parts), rel_tol=1e-9)


@settings(deadline=None, max_examples=300)
@given(ANY_TEXT | SENTENCES, ANY_TEXT | SENTENCES, st.sampled_from([" ", "\n", ". "]))
def test_a_sentence_more_never_lowers_the_score(text, more, between):
    before = PRIOR.score(text)
    for longer in (f"{text}{between}{more}", f"{more}{between}{text}"):
        assert before is None or PRIOR.score(longer) >= before


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.floats(0.02, 0.98),
    st.lists(st.tuples(st.text("ab ,.if1", min_size=1, max_size=60), st.integers(50, 400)), min_size=1, max_size=5),
)
def test_the_strong_share_is_kept_on_traffic_that_shifts(share, blocks):
    """Blocks of hardly differing questions: the worst that traffic does to percentiles."""
    router = ModelRouter(TIERS[:2], RoutePolicy.share(balanced=share))
    strong = 0
    texts = [f"{text} {number % 3}" for text, length in blocks for number in range(length)]
    for total, text in enumerate(texts + texts[:1] * max(0, 520 - len(texts)), 1):
        strong += router.route_to_model(text) == "mid"
        if total >= 500:
            assert abs(strong / total - share) <= 0.02


@settings(max_examples=20, deadline=None)
@given(st.lists(ANY_TEXT, max_size=60))
def test_decisions_repeat_and_dry_runs_change_nothing(texts):
    one, other = ModelRouter(TIERS), ModelRouter(TIERS)
    for text in texts:
        foreseen = other.route(text, dry_run=True)
        assert one.route(text) == foreseen == other.route(text)


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_higher_score_never_gets_a_lower_tier(one, other):
    cuts = Cuts([0.5, 0.3, 0.2], PRIOR)
    low, high = sorted((one, other))
    assert cuts.percentile(low) <= cuts.percentile(high)
    for mode in ("fast", "balanced", "accurate"):
        assert cuts.tier(cuts.percentile(low), mode) <= cuts.tier(cuts.percentile(high), mode)


@settings(deadline=None)
@given(ANY_TEXT, ANY_TEXT)
def test_any_answer_can_be_checked_and_counted(question, answer):
    request, response = Request.chat(question), Response(text=answer, model="m", finish_reason="stop")
    quality, faults = inspect(STANDARD, request, response)
    assert 0 <= quality <= 1
    assert (quality == 1) == (not faults)
    for check in STANDARD:
        check.test(request, response)
    assert all(math.isfinite(value) for value in count(question, answer))


@settings(max_examples=40, deadline=None)
@given(JSON, JSON)
def test_any_value_can_be_held_against_any_schema(value, schema):
    assert fault_in(value, schema) is None or isinstance(fault_in(value, schema), str)
