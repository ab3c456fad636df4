"""Which questions must not be cached as usual: on questions of our own, and for every spelling of one."""

import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resopt.cache.freshness import DEFAULT_RULES, GENERIC, Decision, Freshness
from resopt.cache.freshness_rules import SHIELDS, Rule, Shield
from resopt.errors import ConfigurationError

FRESHNESS = Freshness()
QUESTIONS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "freshness_questions.jsonl").read_text("utf-8").splitlines()
]
"""`part` tells how honest a figure is. `held` was labelled before any rule existed, and measured once before rules were
changed: 116 of 118 right. `open` was seen while changing them. `second` and `third` were written and labelled later: 67
of 80 and 62 of 64 were right at first sight, before the rules learned from them."""


def test_the_questions_are_enough_and_balanced():
    labels = Counter(question["label"] for question in QUESTIONS)
    assert sum(question["part"] == "held" for question in QUESTIONS) >= 100
    assert len(QUESTIONS) >= 200
    assert min(labels.values()) >= 0.2 * len(QUESTIONS)


@pytest.mark.parametrize("part", ["held", "open", "second", "third"])
def test_at_least_95_percent_are_classified_as_labelled(part):
    questions = [question for question in QUESTIONS if question["part"] == part]
    wrong = [
        (question["question"], question["label"], decision.kind, decision.rule)
        for question in questions
        if (decision := FRESHNESS.classify(question["question"])).kind != question["label"]
    ]
    assert len(questions) >= 60
    assert len(wrong) <= 0.05 * len(questions), wrong


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("why was my card declined?", "generic"),
        ("how do I reset my password?", "generic"),
        ("how do I activate my card?", "generic"),
        ("can I change my PIN?", "generic"),
        ("what should I do if my card was stolen", "generic"),
        ("What was the latest version of Windows in 2010", "generic"),
        ("what is daylight saving time", "generic"),
        ("how is the weather forecast made", "generic"),
        ("what is my balance?", "personal"),
        ("where is my order?", "personal"),
        ("when will my refund arrive?", "personal"),
        ("how much do I owe", "personal"),
        ("am I eligible", "personal"),
        ("have you received my payment", "personal"),
        ("what time is it", "time_sensitive"),
        ("are you open now", "time_sensitive"),
        ("exchange rate now", "time_sensitive"),
        ("What's the weather today?", "time_sensitive"),
    ],
)
def test_the_examples_of_the_specification(question, kind):
    assert FRESHNESS.classify(question).kind == kind


def test_a_question_may_be_both():
    decision = FRESHNESS.classify("What's the weather like near me?")
    assert (decision.kind, decision.personal, decision.time_sensitive) == ("personal", True, True)
    assert decision.rule == "place of the asker + weather"
    assert decision.action == "short"
    assert decision.ttl == min(rule.ttl for rule in DEFAULT_RULES if rule.name in decision.rule.split(" + "))


def test_a_decision_says_why():
    decision = FRESHNESS.classify("Hi! Could you please tell me when my Sofa will be delivered?")
    assert decision == Decision(
        kind="personal",
        action="short",
        ttl=300.0,
        personal=True,
        rule="state of mine, asked for",
        matched="ask when my",
    )
    assert FRESHNESS.classify("What time is it?").action == "bypass"
    assert FRESHNESS.classify("What is a tuple?") is GENERIC


def test_a_personal_answer_without_a_user_is_bypassed():
    personal = FRESHNESS.classify("what is my balance")
    assert (personal.action_for("anna"), personal.action_for(None)) == ("short", "bypass")
    with_address = FRESHNESS.classify("please close the case of anna@example.org")
    assert (with_address.action_for("anna"), with_address.action_for(None)) == ("store", "bypass")
    assert GENERIC.action_for(None) == "store"


@pytest.mark.parametrize(
    "text",
    [
        "mail to anna.lindqvist+shop@mail.example.org",
        "IBAN DE89 3704 0044 0532 0130 00",
        "gb29nwbk60161331926819",
        "card 4111 1111 1111 1111",
        "call me on +44 20 7946 0958",
        "call 555-867-5309",
        "order 4471-2093",
        "invoice no. INV20931",
        "ticket #88213",
    ],
)
def test_what_identifies_a_person_or_case_is_personal_whatever_is_asked(text):
    assert FRESHNESS.classify(f"How do I close this: {text}?").personal


@pytest.mark.parametrize(
    "text", ["in order 2024 was a good year", "a 401k account", "python 3.12.1", "the year 1989", "1,000,000"]
)
def test_other_numbers_are_not(text):
    assert not FRESHNESS.classify(f"What about {text}?").personal


@pytest.mark.parametrize(
    "question",
    [
        'How do you say "where is my luggage" in Spanish?',
        "Translate to French: where is my order? what time is it?",
        "What does 'my balance' mean?",
        "Write a poem about today's weather",
    ],
)
def test_a_question_about_words_is_generic(question):
    assert FRESHNESS.classify(question) is GENERIC


spellings = st.tuples(
    st.sampled_from([question["question"] for question in QUESTIONS]),
    st.sampled_from([str.lower, str.upper, str.title, str.swapcase]),
    st.sampled_from([" ", "  ", "\t", "\n", "\u00a0"]),
    st.sampled_from(["", "?", "!", "...", " ?!", " "]),
    st.sampled_from(["", " ", "\n"]),
)


@given(spellings)
def test_spellings_that_fold_equal_have_one_class(spelling):
    question, change, blank, end, start = spelling
    if change(question).casefold() != question.casefold():
        return  # not one question any more
    spelt = start + change(question.rstrip("?!. ")).replace(" ", blank) + end
    assert FRESHNESS.classify(spelt) == FRESHNESS.classify(question)


def test_compatibility_forms_and_apostrophes_fold():
    plain = FRESHNESS.classify("What's my balance?")
    assert plain.personal
    assert FRESHNESS.classify("What\u2019s my balance?") == plain
    assert FRESHNESS.classify("\uff37hat's my balance?") == plain


@given(st.text(max_size=300))
def test_any_text_has_a_class(text):
    assert FRESHNESS.classify(text).kind in ("generic", "time_sensitive", "personal")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "unit",
    [
        "my ",
        "how many my ",
        "what is the ",
        "who won ",
        "i have ",
        "0",
        "0 ",
        "a1",
        "@",
        "a.",
        "traffic ",
        "ask the ",
        ", and what ",
    ],
)
def test_long_and_repetitive_texts_take_bounded_time(unit):
    """A pattern that backtracks without bound would take longer than the universe here, not 20 seconds."""
    for length in (500, 2_000, 1_000_000):
        FRESHNESS.classify(unit * (length // len(unit)))


def test_what_is_remembered_is_bounded():
    freshness = Freshness()
    for number in range(10_000):
        freshness.classify(f"what is {number}")
    freshness.classify("where is my order? " * 100)
    assert 0 < len(freshness._memo) <= 4_096
    assert max(map(len, freshness._memo)) <= 512
    assert freshness.classify("what is my balance") is freshness.classify("what is my balance")


def test_both_ends_of_a_long_text_are_read():
    filler = "lorem ipsum dolor " * 1_000
    assert FRESHNESS.classify(filler + ". Where is my order?").personal
    assert FRESHNESS.classify("Where is my order? " + filler).personal
    assert FRESHNESS.classify(filler + ". Where is my order? " + filler) is GENERIC


def test_the_words_of_a_rule_never_hide_a_match():
    """`Rule.words` only saves time: trying every rule on every question decides the same."""
    everything = Freshness([msgspec.structs.replace(rule, words="") for rule in DEFAULT_RULES])
    for question in QUESTIONS:
        assert everything.classify(question["question"]) == FRESHNESS.classify(question["question"])


def test_the_default_rules_pass_their_own_checks():
    Freshness(list(DEFAULT_RULES))
    names = [rule.name for rule in DEFAULT_RULES]
    assert len(set(names)) == len(names)


def test_rules_can_be_replaced():
    lunch = Rule(name="lunch", kind="time_sensitive", words="lunch", anywhere=(r"\blunch\b",), ttl=30.0)
    only = Freshness([lunch])
    assert only.classify("what is for LUNCH?") == Decision(
        kind="time_sensitive", action="short", ttl=30.0, time_sensitive=True, rule="lunch", matched="lunch"
    )
    assert only.classify("what is my balance") is GENERIC
    without = Freshness([rule for rule in DEFAULT_RULES if rule.name != "weather"])
    assert not without.classify("is it raining in Oslo").time_sensitive
    quiet = Freshness([msgspec.structs.replace(lunch, unless=("hush",))], shields={"hush": Shield(opening=("hush",))})
    assert quiet.classify("hush lunch") is GENERIC
    assert quiet.classify("lunch hush").time_sensitive


def test_off_finds_nothing():
    off = Freshness.off()
    assert all(off.classify(question["question"]) is GENERIC for question in QUESTIONS)


VALID = Rule(name="r", kind="personal", anywhere=("x",), ttl=1.0)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("text", "must be Rule, not str"),
        (msgspec.structs.replace(VALID, kind="generic"), "kind must be"),
        (msgspec.structs.replace(VALID, action="keep"), "action must be"),
        (msgspec.structs.replace(VALID, ttl=None), "needs ttl"),
        (msgspec.structs.replace(VALID, ttl=0.0), "above 0"),
        (msgspec.structs.replace(VALID, action="bypass"), "ttl goes with action 'short' only"),
        (msgspec.structs.replace(VALID, unless=("nothing",)), "unknown shield 'nothing'; known: language"),
        (msgspec.structs.replace(VALID, words="My"), "lower case"),
        (msgspec.structs.replace(VALID, anywhere=("(",)), "not a regular expression"),
        (msgspec.structs.replace(VALID, besides=("(",)), "not a regular expression"),
        (msgspec.structs.replace(VALID, anywhere="x"), "tuple of str"),
        (msgspec.structs.replace(VALID, anywhere=()), "can never hold"),
    ],
)
def test_a_wrong_rule_is_refused_by_name(rule, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        Freshness([rule])
    assert rule == "text" or "'r'" in str(caught.value)


def test_a_wrong_shield_is_refused_by_name():
    with pytest.raises(ConfigurationError, match="'language' must be a Shield, not str"):
        Freshness([VALID], shields={**SHIELDS, "language": "x"})
