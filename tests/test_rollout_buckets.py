"""Buckets: published, uniform, independent between features and of the arm, and never taken away by a larger share."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resopt import ConfigurationError, Rollout, optimization_enabled, use_rollout
from resopt.rollout.buckets import BUCKETS, arm, bucket

USERS = [f"user-{number}" for number in range(20_000)]


def chi_square(counts, cells):
    """Chi-square of counts against equal shares, as standard deviations from its mean."""
    expected = sum(counts.values()) / cells
    statistic = sum((counts.get(cell, 0) - expected) ** 2 / expected for cell in range(cells))
    return (statistic - (cells - 1)) / (2 * (cells - 1)) ** 0.5


def test_the_published_vectors_hold():
    published = json.loads((Path(__file__).parent / "vectors" / "buckets.json").read_text("utf-8"))["vectors"]
    assert len(published) >= 50
    for row in published:
        assert bucket(row["feature"], row["unit"], row["salt"]) == row["bucket"]
        assert arm(row["feature"], row["unit"], row["salt"]) == row["arm"]


def test_buckets_are_uniform():
    for feature in ("caching", "model_routing"):
        numbers = [bucket(feature, user) for user in USERS]
        assert min(numbers) >= 0
        assert max(numbers) < BUCKETS
        assert abs(chi_square(Counter(number // 100 for number in numbers), 100)) < 4
        assert abs(chi_square(Counter(number % 100 for number in numbers), 100)) < 4


@pytest.mark.parametrize(
    "other", [lambda user: bucket("b", user), lambda user: arm("a", user), lambda user: bucket("a", user, "2")]
)
def test_features_arms_and_salts_are_independent(other):
    pairs = Counter((bucket("a", user) // 1000) * 10 + other(user) // 1000 for user in USERS)
    assert abs(chi_square(pairs, 100)) < 4


def test_a_feature_and_a_salt_are_not_run_together():
    assert bucket("ab", "c", "") != bucket("a", "c", "b")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(0, 100), st.floats(0, 100))
def test_a_larger_share_never_moves_anyone_out(user, one, other):
    smaller, larger = sorted((one, other))
    if Rollout({"f": smaller}).enabled(user, "f"):
        assert Rollout({"f": larger}).enabled(user, "f")


def test_from_five_to_twenty_five_per_cent():
    rollout = Rollout({"model_routing": 5})
    before = {user for user in USERS if rollout.enabled(user, "model_routing")}
    rollout.set("model_routing", 25)
    after = {user for user in USERS if rollout.enabled(user, "model_routing")}
    assert before < after
    assert abs(len(before) / len(USERS) - 0.05) < 0.006
    assert abs(len(after) / len(USERS) - 0.25) < 0.012


def test_a_rollout_by_feature():
    rollout = Rollout({"caching": 100, "model_routing": 50, "prompt_optimization": 0})
    assert all(rollout.enabled(user, "caching") for user in USERS[:100])
    assert not any(rollout.enabled(user, "prompt_optimization") for user in USERS[:100])
    assert not rollout.enabled("u", "nobody_named_this")
    assert rollout.percentages == {"caching": 100, "model_routing": 50, "prompt_optimization": 0}
    assert Rollout({"f": 0.01}).percentages == {"f": 0.01}


def test_stages_are_switched_by_their_features():
    rollout = Rollout({"model_routing": 0, "semantic": 0, "caching": 100})
    assert not rollout.switches("route", "u")
    assert not rollout.switches("semantic", "u")
    assert rollout.switches("cache", "u")
    assert rollout.switches("prompt", "u"), "a stage that no percentage is given for stays on"


def test_the_pattern_s_function(monkeypatch):
    use_rollout(None)
    with pytest.raises(ConfigurationError, match="use_rollout"):
        optimization_enabled("u", "caching")
    try:
        use_rollout({"caching": 100, "model_routing": 50, "prompt_optimization": 10})
        assert optimization_enabled("u", "caching")
        share = sum(optimization_enabled(user, "prompt_optimization") for user in USERS) / len(USERS)
        assert abs(share - 0.1) < 0.01
        assert not optimization_enabled("u", "caching", Rollout({}))
    finally:
        use_rollout(None)


def test_a_rollout_is_saved_as_json():
    rollout = Rollout({"caching": 12.34}, salt="2026")
    again = Rollout.from_json(rollout.to_json())
    assert (again.percentages, again.salt) == (rollout.percentages, "2026")
    for bad in ("[]", "", 5, None, b"\xff", '{"percentages":{"caching":"x"}}'):
        with pytest.raises(ConfigurationError, match="no saved rollout"):
            Rollout.from_json(bad)
    for bad in ('{"percentages":{"caching":101}}', '{"percentages":{"":1}}'):
        with pytest.raises(ConfigurationError):
            Rollout.from_json(bad)


@pytest.mark.parametrize(
    "bad", [{"f": -1}, {"f": 101}, {"f": True}, {"f": "5"}, {"f": float("nan")}, {"": 5}, {1: 5}, [("f", 5)]]
)
def test_percentages_that_make_no_sense_are_refused(bad):
    with pytest.raises(ConfigurationError):
        Rollout(bad)


def test_users_must_be_texts():
    rollout = Rollout({"f": 50})
    with pytest.raises(ConfigurationError):
        rollout.enabled(7, "f")
    with pytest.raises(ConfigurationError):
        Rollout({}, salt=b"x")
