"""Feedback, figures by model and mechanism, quality against the baseline, and guardrails that hold mechanisms back."""

import json
import logging
import math
import random
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from resopt import ConfigurationError, Feedback, Guardrails, ManualClock
from resopt.once import Once
from resopt.quality.guardrail import Saved, Watch
from resopt.quality.scores import Mean, Pairs
from resopt.quality.signals import Decision
from resopt.sealed import seal


def decision(number=0, model="small", mechanism="route", **fields):
    return Decision(id=f"d{number}", model=model, mechanism=mechanism, **fields)


def by_name(figures):
    return {each.name: each for each in figures}


def test_figures_by_model_tier_and_mechanism():
    feedback = Feedback(tiers={"small": "fast"})
    feedback.give(decision(1), thumbs="up", task_success=True)
    feedback.give(decision(2), thumbs="down", rating=5)
    feedback.give(decision(3, "large", None), accepted=True, score=0.5)
    feedback.implied(decision(4), "retry")
    feedback.implied(decision(5), "escalation")
    report = feedback.report()
    small, large = by_name(report.models)["small"], by_name(report.models)["large"]
    assert (small.satisfaction.count, small.satisfaction.mean) == (3, pytest.approx(2 / 3))
    assert (small.task_success.count, small.task_success.mean) == (1, 1.0)
    assert (small.retries, small.escalations, small.score.count) == (1, 1, 0)
    assert (large.satisfaction.mean, large.score.mean) == (1.0, 0.5)
    assert set(by_name(report.mechanisms)) == {"route", "(as asked)"}
    assert set(by_name(report.tiers)) == {"fast"}
    assert report.overall.satisfaction.count == 4
    text = str(report)
    assert "by small" in text
    assert "too few scores" in text
    assert json.loads(json.dumps(report.to_dict()))["overall"]["retries"] == 1


def test_a_second_voice_takes_the_place_of_the_first():
    feedback = Feedback(keep=2)
    for thumbs in ("up", "down", "down"):
        feedback.give(decision(1), thumbs=thumbs)
    assert feedback.report().overall.satisfaction == Mean.of(1, 0)
    feedback.give(Decision(model="small"), thumbs="up")
    feedback.give(Decision(model="small"), thumbs="up")
    assert feedback.report().overall.satisfaction.count == 3, "without an id each counts"
    feedback.give(decision(1), score=0.5, judge="a 1")
    feedback.give(decision(1), score=0.7, judge="b 1")
    assert feedback.report().overall.score.count == 2, "two judges are two voices"


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"thumbs": "sideways"},
        {"rating": 0},
        {"rating": 6},
        {"rating": True},
        {"accepted": 1},
        {"task_success": "yes"},
        {"score": 1.1},
    ],
)
def test_what_says_nothing_is_refused(said):
    with pytest.raises(ConfigurationError):
        Feedback().give(decision(), **said)


def test_nan_is_no_verdict():
    feedback = Feedback()
    assert feedback.give(decision(), score=math.nan) == ()
    feedback.pair(decision(), math.nan, 1.0)
    report = feedback.report()
    assert (report.overall.score.count, report.against_baseline.count) == (0, 0)
    with pytest.raises(ValueError, match="give"):
        feedback.implied(decision(), "thumbs")


def test_a_thumb_down_on_a_stored_answer_is_told():
    told, scores = [], []
    feedback = Feedback(on_thumbs_down=told.append, on_score=[lambda *given: scores.append(given)])
    stored = decision(1, mechanism="semantic", key=b"k" * 16)
    feedback.give(stored, thumbs="up")
    feedback.give(stored, rating=1)
    assert told == []
    feedback.give(stored, thumbs="down")
    feedback.give(decision(2), thumbs="down")
    assert told == [stored]
    assert [score for _, score in scores] == [1.0, 0.0], "who watches without end counts each decision once"


def test_all_that_is_said_at_once_of_a_decision_without_an_id_is_one_value():
    scores = []
    feedback = Feedback(on_score=[lambda *given: scores.append(given)])
    for _ in range(2):
        feedback.give(Decision(model="small"), thumbs="down", rating=5, task_success=True)
    assert [score for _, score in scores] == [0.0, 0.0]


def test_signals_are_logged_and_read_back():
    log = []
    feedback = Feedback(log=log.append, clock=ManualClock(5.0).now)
    feedback.give(decision(1), thumbs="down", rating=2)
    feedback.implied(decision(1), "retry")
    assert [(signal.kind, signal.value, signal.ts) for signal in log] == [
        ("thumbs", 0.0, 5.0), ("rating", 0.25, 5.0), ("retry", 0.0, 5.0),
    ]  # fmt: skip
    again = Feedback()
    for signal in log:
        again.replay(signal)
    assert again.report() == feedback.report()


def test_names_beyond_the_limit_share_a_line():
    feedback = Feedback()
    for number in range(1_100):
        feedback.give(decision(number, model=f"m{number}"), thumbs="up")
    names = by_name(feedback.report().models)
    assert len(names) == 1_025
    assert names["(other)"].satisfaction.count == 76


def test_wilson_intervals():
    # Published: 88.1 % of 143 has a 95 % interval of about 82 to 92 %.
    mean = Mean.of(143, 126)
    assert [mean.mean, mean.low, mean.high] == pytest.approx([0.881, 0.818, 0.925], abs=2e-3)
    assert Mean.of(0, 0) == Mean(0)
    assert Mean.of(3, 3).high == 1.0


def test_quality_against_the_baseline_covers_the_truth():
    """Of 95 % intervals about 95 % hold the true ratio, for pairs and for two groups."""
    chance = random.Random(1)
    covered = {"pairs": 0, "groups": 0}
    for _ in range(300):
        pairs, groups = Feedback(keep=0), Feedback(keep=0)
        for _ in range(200):
            shared = chance.random()
            ours, theirs = float(shared < 0.76), float(shared < 0.72 or shared > 0.92)
            pairs.pair(decision(), ours, theirs)
            groups.give(decision(), score=float(chance.random() < 0.76))
            groups.give(decision(mechanism=None), score=float(chance.random() < 0.80))
        for name, feedback in (("pairs", pairs), ("groups", groups)):
            ratio = feedback.report().against_baseline
            covered[name] += ratio.low <= 0.76 / 0.80 <= ratio.high
    assert 0.90 <= covered["pairs"] / 300 <= 0.99, covered
    assert 0.90 <= covered["groups"] / 300 <= 0.99, covered


def test_a_pair_counts_once():
    feedback = Feedback()
    for _ in range(3):
        feedback.pair(decision(1), 0.5, 1.0)
    feedback.pair(decision(2), 1.0, 1.0)
    report = feedback.report()
    assert (report.against_baseline.pairs, report.against_baseline.ratio) == (2, 0.75)
    assert report.overall.score.count == 2
    assert by_name(report.mechanisms)["route"].against_baseline == report.against_baseline
    feedback.pair(decision(3), 1.0, math.nan)
    assert feedback.report().against_baseline.pairs == 2
    with pytest.raises(ConfigurationError, match="give both"):
        feedback.give(decision(4), thumbs="up", baseline=1.0)


def test_a_score_that_is_said_again_takes_the_place_of_the_first_in_all_figures():
    def told(*statements):
        log = []
        feedback = Feedback(log=log.append)
        for score, baseline, where in statements:
            feedback.give(decision(1, mechanism=where), score=score, baseline=baseline)
        replayed = Feedback()
        for signal in log:
            replayed.replay(signal)
        assert replayed.report() == feedback.report()
        return feedback.report()

    for restated in (
        told((1.0, 1.0, "route"), (0.5, 1.0, "route")),
        told((1.0, 0.5, "route"), (0.5, 1.0, "route")),
        told((1.0, None, "route"), (0.5, 1.0, "route")),
        told((1.0, 1.0, "route"), (0.5, None, "route")),
        told((1.0, 1.0, None), (0.5, 1.0, "route")),
        told((1.0, 1.0, "route"), (0.5, math.nan, "route")),
    ):
        once = told((0.5, 1.0, "route"))
        assert restated.overall == once.overall
        assert restated.against_baseline == once.against_baseline
        assert by_name(restated.mechanisms)["route"] == by_name(once.mechanisms)["route"]


def test_who_is_told_and_fails_takes_nothing_from_the_others(caplog):
    def fails(*_):
        raise OSError("the disk is full")

    scores, rails_ = [], Guardrails({"route": 0.9}, on_change=fails)
    feedback = Feedback(
        log=fails, on_thumbs_down=fails, guardrails=rails_, on_score=[fails, lambda *_: scores.append(1)]
    )
    with caplog.at_level(logging.ERROR, "resopt"):
        for number in range(100):
            feedback.give(decision(number, key=b"k" * 16), thumbs="down")
        feedback.implied(decision(1), "retry")
    assert feedback.failed == {"log": 101, "on_thumbs_down": 100, "on_score": 100, "guardrails": 1}
    assert "the disk is full" in caplog.text
    assert (len(scores), feedback.report().overall.satisfaction.count) == (100, 100)
    assert rails_.held_back() == ("route",)


@pytest.mark.parametrize("options", [{"guardrails": 5}, {"log": "file"}, {"on_thumbs_down": 5}])
def test_feedback_refuses_what_it_cannot_tell(options):
    with pytest.raises(ConfigurationError):
        Feedback(**options)


def test_pairs_tell_more_than_groups():
    chance = random.Random(3)
    pairs, groups = Feedback(), Feedback(keep=0)
    for number in range(400):
        good = float(chance.random() < 0.8)
        pairs.pair(decision(number), good, good)
        groups.give(decision(number), score=good)
        groups.give(decision(number, mechanism=None), score=float(chance.random() < 0.8))
    paired, apart = pairs.report().against_baseline, groups.report().against_baseline
    assert (paired.ratio, paired.low, paired.holds) == (1.0, 1.0, True)
    assert apart.high - apart.low > 0.1
    assert "400 pairs; target 90% met" in str(pairs.report())
    assert Pairs().ratio().holds is None


def test_a_ratio_below_the_target_is_missed():
    feedback = Feedback()
    for number in range(100):
        feedback.pair(decision(number), float(number % 2), 1.0)
    assert feedback.report().against_baseline.holds is False


# Guardrails.


@pytest.fixture
def clock():
    return ManualClock(1_000.0)


def rails(clock, **options):
    changes = []
    options = {"per_step": 40, "clock": clock.now} | options
    made = Guardrails({"semantic": 0.9, "prompt": 0.8}, on_change=lambda *change: changes.append(change), **options)
    return made, changes


def feed(guardrails, scores, namespace="", mechanism="semantic"):
    """Scores in turn, until something changes; how many it took."""
    before = guardrails.held_back()
    for number, score in enumerate(scores):
        guardrails.score(Decision(mechanism=mechanism, namespace=namespace), score)
        if guardrails.held_back() != before:
            return number + 1
    return None


def coins(seed, probability, count):
    chance = random.Random(seed)
    return [float(chance.random() < probability) for _ in range(count)]


def test_a_mechanism_below_its_minimum_is_held_back_in_its_namespace_alone(clock, caplog):
    guardrails, changes = rails(clock)
    assert guardrails.allows("semantic", "a", "u")
    with caplog.at_level(logging.WARNING, "resopt"):
        assert feed(guardrails, coins(1, 0.7, 400), "a") is not None
    assert "semantic in a is off" in caplog.text
    assert not guardrails.allows("semantic", "a", "u")
    assert guardrails.allows("semantic", "b", "u")
    assert guardrails.allows("prompt", "a", "u")
    assert changes == [("semantic", "a", "off")]
    assert guardrails.held_back() == ("semantic in a",)
    assert Feedback(guardrails=guardrails).report().off == ("semantic in a",)


def test_a_mechanism_at_its_minimum_is_hardly_ever_held_back(clock):
    guardrails, _ = rails(clock)
    alarms = sum(feed(guardrails, coins(seed, 0.9, 1_000), str(seed)) is not None for seed in range(60))
    assert alarms <= 4


def test_many_voices_on_one_answer_are_one_value(clock):
    """Four voices that agree, counted as four values, alarm in most of a hundred watches at the minimum."""
    guardrails, _ = rails(clock)
    feedback = Feedback(guardrails=guardrails)
    for seed in range(60):
        for number, good in enumerate(coins(seed, 0.9, 250)):
            one = decision(f"{seed}-{number}", mechanism="semantic", namespace=str(seed))
            feedback.give(one, thumbs="up" if good else "down", rating=5 if good else 1, accepted=bool(good))
            feedback.give(one, score=good, judge="a 1")
            feedback.give(one, score=1 - good, judge="a 1")
    assert len(guardrails.held_back()) <= 4, guardrails.held_back()


def test_voices_of_many_threads_on_one_answer_are_one_value(clock):
    guardrails, _ = rails(clock)
    feedback, scores = Feedback(guardrails=guardrails), []
    feedback.on_score.append(lambda *given: scores.append(given))

    def speak(voice):
        for number in range(200):
            feedback.give(decision(number, mechanism="semantic"), score=1.0, judge=str(voice))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(speak, range(8)))
    assert len(scores) == 200
    assert guardrails._floors["semantic", ""].count == 200


def test_what_was_counted_is_held_in_mind_within_bounds():
    once = Once(keep=3)
    assert [once.first(name) for name in ("a", "b", "a", "", "")] == [True, True, False, True, True]
    assert [once.first(name) for name in ("c", "d", "b", "a")] == [True, True, False, True]
    again = Once(keep=2)
    again.restore(once.names())
    assert again.names() == ["d", "a"]
    assert not any(again.first(name) for name in ("d", "a"))


def test_a_fall_after_a_long_good_time_is_seen(clock):
    guardrails, _ = rails(clock)
    assert feed(guardrails, coins(1, 0.97, 2_000)) is None
    needed = feed(guardrails, coins(2, 0.75, 1_000))
    assert needed is not None
    assert needed <= 350


def test_it_comes_back_only_step_by_step(clock):
    guardrails, changes = rails(clock, pause=100.0)
    users = [f"u{number}" for number in range(2_000)]

    def serving():
        return sum(guardrails.allows("semantic", "", user) for user in users) / len(users)

    feed(guardrails, [0.0] * 100)
    assert serving() == 0
    feed(guardrails, [1.0] * 500)
    clock.advance(99)
    assert serving() == 0, "scores from before the alarm bring nothing back"
    clock.advance(2)
    seen = [serving()]
    for _ in range(3):
        feed(guardrails, [1.0] * 40)
        seen.append(serving())
    assert seen == [pytest.approx(0.05, abs=0.02), pytest.approx(0.25, abs=0.04), pytest.approx(0.5, abs=0.05), 1.0]
    assert [change for *_, change in changes] == ["off", "ramp", "ramp", "ramp", "on"]


def test_a_further_alarm_doubles_the_pause(clock):
    guardrails, _ = rails(clock, pause=100.0)
    feed(guardrails, [0.0] * 100)
    clock.advance(101)
    guardrails.allows("semantic")
    feed(guardrails, [0.0] * 100)
    for _ in range(60):
        guardrails.score(Decision(mechanism="semantic"), 0.0)
    clock.advance(101)
    assert not any(guardrails.allows("semantic", "", str(number)) for number in range(200))
    clock.advance(101)
    assert any(guardrails.allows("semantic", "", str(number)) for number in range(200))


def test_a_shortened_prompt_counts_beside_the_route(clock):
    guardrails, _ = rails(clock)
    for _ in range(100):
        guardrails.score(Decision(mechanism="route", shortened=True), 0.0)
        guardrails.score(Decision(mechanism=None), 0.0)
    assert guardrails.held_back() == ("prompt",)


def test_guardrails_are_saved(clock):
    guardrails, _ = rails(clock)
    feed(guardrails, [0.0] * 100, "a")
    feed(guardrails, coins(1, 0.85, 60), "b")
    again, _ = rails(clock)
    again.restore(guardrails.to_json())
    assert again.held_back() == guardrails.held_back()
    assert again.to_json() == guardrails.to_json()
    other = Guardrails({"prompt": 0.5}, clock=clock.now)
    other.restore(guardrails.to_json())
    assert other.held_back() == ()


def test_saved_guardrails_know_which_decisions_were_counted(clock):
    guardrails, _ = rails(clock)
    for _ in range(2):
        guardrails.score(decision(1, mechanism="semantic"), 0.0)
    again, _ = rails(clock)
    again.restore(guardrails.to_json())
    again.score(decision(1, mechanism="semantic"), 0.0)
    again.score(decision(2, mechanism="semantic"), 0.0)
    assert (guardrails._floors["semantic", ""].count, again._floors["semantic", ""].count) == (1, 2)


def test_damaged_guardrails_are_refused_and_change_nothing(clock):
    guardrails, _ = rails(clock)
    feed(guardrails, [0.0] * 100, "a")
    saved = guardrails.to_json()
    for bad in (
        "", "{}", "[]", 5, None, '[["semantic","a",{"alarms":-3}]]',
        saved.replace('"alarms":1', '"alarms":-1'), saved.replace('"alarms":1', '"alarms":9'),
        saved.replace('"version":1', '"version":2'), saved.replace('"a"', '"b"'),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError, match="no saved guardrails"):
            guardrails.restore(bad)
    assert guardrails.to_json() == saved
    for watch in (Watch(step=-1), Watch(alarms=-1), Watch(off_until=-1.0)):
        with pytest.raises(msgspec.ValidationError):
            seal(Saved([("semantic", "a", watch)], []), 1)


def test_a_ramp_that_has_become_shorter_holds_back_all_the_same(clock):
    guardrails, _ = rails(clock, ramp=(5, 25, 50), pause=1.0)
    feed(guardrails, [0.0] * 100)
    clock.advance(2)
    guardrails.allows("semantic")
    for _ in range(100):
        guardrails.score(Decision(mechanism="semantic"), 1.0)
    shorter, _ = rails(clock, ramp=(5,))
    shorter.restore(guardrails.to_json())
    assert shorter.held_back() == ("semantic",)
    assert sum(shorter.allows("semantic", unit=str(number)) for number in range(1_000)) < 100


def test_namespaces_beyond_the_limit_share_a_watch(monkeypatch, clock):
    monkeypatch.setattr("resopt.quality.guardrail.WATCHED", 3)
    guardrails, _ = rails(clock)
    for number in range(100):
        guardrails.score(Decision(mechanism="semantic", namespace=str(number)), 0.0)
    assert len(guardrails._watches) == 4
    assert not guardrails.allows("semantic", "99")
    assert guardrails.held_back()[-1] == "semantic in the other namespaces"


@pytest.mark.parametrize("bad", ["*", "late"])
def test_a_bad_namespace_beyond_the_limit_bars_none_that_has_its_own_watch(monkeypatch, clock, bad):
    monkeypatch.setattr("resopt.quality.guardrail.WATCHED", 2)
    guardrails, _ = rails(clock)
    feed(guardrails, [1.0] * 50, "good")
    feed(guardrails, [1.0] * 50, "better" if bad == "late" else "*")
    feed(guardrails, [0.0] * 100, "late" if bad == "late" else "*")
    assert guardrails.allows("semantic", "good")
    assert not guardrails.allows("semantic", bad)
    assert guardrails.allows("semantic", "unheard of") == (bad == "*"), "the late ones share a watch"
    again, _ = rails(clock)
    again.restore(guardrails.to_json())
    assert again.held_back() == guardrails.held_back() != ()


@pytest.mark.parametrize(
    ("minimums", "mechanism", "switch"),
    [({"exact": 0.9}, "exact", "cache"), ({"cache": 0.9}, "exact", "cache"), ({"cache": 0.9}, "folded", "cache"),
     ({"folded": 0.9}, "folded", "cache"), ({"budget": 0.9}, "budget", "degrade"), ({"mine": 0.9}, "mine", "mine")],
)  # fmt: skip
def test_mechanisms_are_switched_by_what_makes_them(clock, minimums, mechanism, switch):
    guardrails = Guardrails(minimums, clock=clock.now)
    assert feed(guardrails, [1.0] * 60, mechanism=mechanism) is None
    assert guardrails.allows(switch)
    assert feed(guardrails, [0.0] * 200, mechanism=mechanism) is not None
    assert not guardrails.allows(switch)
    assert guardrails.allows("semantic")


def test_two_mechanisms_of_one_switch_are_watched_apart(clock):
    guardrails = Guardrails({"exact": 0.9, "folded": 0.9}, clock=clock.now)
    feed(guardrails, [1.0] * 200, mechanism="exact")
    feed(guardrails, [0.0] * 60, mechanism="folded")
    assert guardrails.held_back() == ("folded",)
    assert not guardrails.allows("cache")


@pytest.mark.parametrize(
    "options",
    [
        {"minimums": {"a": 1.0}}, {"minimums": None}, {"minimums": 5}, {"minimums": {"a": "x"}}, {"minimums": {5: 0.5}},
        {"minimums": {"": 0.5}}, {"minimums": {"a": True}}, {"alpha": 0}, {"alpha": "x"}, {"alpha": None},
        {"alpha": math.nan}, {"ramp": ()}, {"ramp": (50, 5)}, {"ramp": None}, {"ramp": ("a",)}, {"ramp": (math.nan,)},
        {"ramp": 5}, {"ramp": (5, 101)}, {"ramp": (5, 5)}, {"per_step": 0}, {"per_step": 1.5}, {"per_step": True},
        {"pause": -1}, {"pause": "x"}, {"pause": math.inf}, {"on_change": 5},
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ConfigurationError):
        Guardrails(**({"minimums": {"semantic": 0.9}} | options))
